"""Weights packed for Triton's linear kernels: a scheme's own codes and scales, laid out as `triton_layouts` says.

Nothing is rounded on the way but the levels of a code book, which the kernels for few tokens hold in float16. Plain
torch, on any device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ....errors import QuantvizError
from ....schemes import Scheme
from ... import quantize
from ...engines import default_engine
from ...results import Quantized
from .layouts import COLUMNS, PAIRED, Layout, flush_steps, layout_of

KERNEL = "Triton, weights unpacked in registers, products exact and summed in float32"
SCALE_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
# What a level of bnb_fp4 is divided by: times 12, every one is exact in float16.
BNB_FP4_UNIT = 12.0
LANES = 32  # threads of a warp


@dataclass(frozen=True, eq=False)
class Book:
    """The levels of a code book on the device.

    exact: float32 [16].  held: float32 [16], the float16 numbers that the kernels for few tokens multiply by, in units
    of 1 / unit.  tables: int32 [8, 32], the same as bytes, every table once a lane: lower bytes of levels 0 to 15, four
    to a word, then upper bytes.
    """

    exact: torch.Tensor
    held: torch.Tensor
    tables: torch.Tensor
    unit: float


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """Weights [rows, cols] as the kernels read them.

    words: int32 [rows, planes · words a plane], rows padded to whole runs.  scales: [grid rows, grid cols], the bits of
    the stored type as int16, int32 or uint8, a row's grid padded as its words are.  zeros: uint8 like the scales, or
    None where `zero` serves all blocks.  book: the levels of a code book, else None.  factor: what every scale is
    multiplied by.  largest: no magnitude of a weight is above it.
    """

    scheme: Scheme
    shape: tuple[int, int]
    layout: Layout
    words: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor | None
    zero: int
    book: Book | None
    factor: float
    largest: float

    @property
    def device(self) -> str:
        return str(self.words.device)

    @property
    def nbytes(self) -> int:
        """Bytes that one product reads of the weights."""
        return sum(t.nbytes for t in (self.words, self.scales, self.zeros) if t is not None)

    @property
    def bits(self) -> int:
        return self.layout.bits

    @property
    def row_words(self) -> int:
        """Words of a plane of a row."""
        return self.words.shape[1] // self.layout.planes

    @property
    def scale_type(self) -> str:
        """How a scale is stored: fp32, fp16, bf16, e8m0 or e4m3."""
        return {"mx": "e8m0", "nvfp4": "e4m3"}.get(self.scheme.rule) or self.scheme.scale

    @property
    def group(self) -> tuple[int, int]:
        """Rows and columns that share a scale; columns 0 where a row has one."""
        return _group(self.scheme, *self.shape)

    def clone(self) -> PackedWeights:
        """The same weights in other memory."""
        zeros = None if self.zeros is None else self.zeros.clone()
        return replace(self, words=self.words.clone(), scales=self.scales.clone(), zeros=zeros)


def refusal(scheme: Scheme, rows: int, cols: int) -> str | None:
    """Why weights [rows, cols] cannot be packed for these kernels; None where they can."""
    layout = layout_of(scheme)
    if layout is None:
        return (
            f"There is no GPU kernel that multiplies {scheme}; int8, int4, int3 and int2 (sym and asym), ternary, "
            "fp8_e4m3, fp4_e2m1, nf4, bnb_fp4, mxfp8_e4m3, mxfp4 and nvfp4 have one, for example int4-sym-b64."
        )
    if scheme.transforms or scheme.double:
        what = "nested scales" if scheme.double else "rotated weights and none that are kept apart"
        return f"The GPU kernels multiply no {what}, so not {scheme}."
    group = _group(scheme, rows, cols)[1]
    if flush_steps(layout, group) is None:
        fit = sorted({16, 32, layout.run, 2 * layout.run} | {g for g in (64, 128) if layout.run % g == 0})
        return (
            f"The GPU kernels take blocks of {', '.join(map(str, fit))} or another multiple of {layout.run} in "
            f"{scheme.format}, and channel, not {scheme}."
        )
    return None


def _group(scheme: Scheme, rows: int, cols: int) -> tuple[int, int]:
    g = scheme.granularity
    height, width = g.within(rows, cols)
    return height, 0 if width == cols else width


def pack(w: Any, key: str | Scheme, device: str = "cuda", engine: str | None = None) -> PackedWeights:
    """Quantizes weights [rows, cols] under a scheme and packs them on a device.

    engine: what quantizes; None takes one that works where a tensor lies, so that nothing travels.
    Raises QuantvizError where `refusal` gives a reason, and as `quantize` does.

    >>> packed = pack(np.eye(64, 256, dtype=np.float32), "int4-sym-b64", device="cpu")
    >>> packed.words.shape, packed.scales.shape, packed.nbytes
    (torch.Size([64, 32]), torch.Size([64, 4]), 8704)
    """
    scheme = Scheme.parse(key)
    shape = tuple(w.shape)
    if len(shape) != 2:
        raise QuantvizError(f"A linear layer has weights [rows, cols], and these have shape {list(shape)}.")
    scheme.check_shape(*shape)
    if reason := refusal(scheme, *shape):
        raise QuantvizError(reason)
    return pack_quantized(quantize(w, scheme, engine=engine or _engine(w)), device)


def _engine(w: Any) -> str:
    if not isinstance(w, torch.Tensor) or w.device.type == "cpu":
        return "cpu"
    return default_engine() if w.is_cuda and default_engine() == "cuda" else "reference"


def pack_quantized(q: Quantized, device: str = "cuda") -> PackedWeights:
    """Packs what is quantized already, NumPy or torch, codes and scales unchanged.

    Raises QuantvizError where `refusal` gives a reason.
    """
    scheme = q.scheme
    rows, cols = q.shape
    if reason := refusal(scheme, rows, cols):
        raise QuantvizError(reason)
    layout = layout_of(scheme)
    runs = math.ceil(cols / layout.run)
    codes = _tensor(q.codes, device).to(torch.int32)
    zero = 0
    if scheme.code_range[0] < 0:  # stored without a sign
        zero = 1 if scheme.rule == "ternary" else 2 ** (layout.bits - 1)
    scales = _tensor(q.scales, device).float()
    group = _group(scheme, rows, cols)[1]
    width = 1 if group == 0 else math.ceil(runs * layout.run / group)
    factor = float(q.tensor_scale) if q.tensor_scale is not None else 1.0
    return PackedWeights(
        scheme, (rows, cols), layout, _words(codes + zero, layout, runs, zero),
        _padded(_stored(scales, scheme), width),
        None if q.zero_points is None else _padded(_tensor(q.zero_points, device), width),
        zero, _book(scheme, device) if scheme.rule == "codebook" else None, factor, _largest(scheme, scales) * factor,
    )  # fmt: skip


def _tensor(a: Any, device: str) -> torch.Tensor:
    return (a if isinstance(a, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(a))).to(device)


def _words(codes: torch.Tensor, layout: Layout, runs: int, padding: int) -> torch.Tensor:
    """int32 codes [rows, cols] -> int32 [rows, planes · runs · 4]; what pads a row is never multiplied by anything."""
    rows, cols = codes.shape
    codes = torch.nn.functional.pad(codes, (0, runs * layout.run - cols), value=padding)
    codes = codes.reshape(rows, runs, layout.steps, COLUMNS, PAIRED // COLUMNS)
    words = torch.zeros((rows, layout.planes, runs, COLUMNS), dtype=torch.int32, device=codes.device)
    for p, pair in enumerate(layout.places):
        for h, bits in enumerate(pair):
            code = codes[:, :, p, :, h]
            for j, (plane, bit) in enumerate(bits):
                words[:, plane] |= ((code >> j) & 1) << bit
    return words.reshape(rows, -1)


def _stored(scales: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """The bits of scales in the type they are stored in; nothing is rounded, they hold such values already."""
    if scheme.rule == "mx":  # the exponent field; 2^-127, subnormal in float32, has 0 there as E8M0 does
        return (scales.contiguous().view(torch.int32) >> 23).to(torch.uint8)
    if scheme.rule == "nvfp4":
        return scales.to(torch.float8_e4m3fn).view(torch.uint8)
    bits = torch.int32 if scheme.scale == "fp32" else torch.int16
    return scales.to(SCALE_DTYPES[scheme.scale]).contiguous().view(bits)


def _padded(grid: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(grid, (0, width - grid.shape[1])).contiguous()


def _book(scheme: Scheme, device: str) -> Book:
    unit = BNB_FP4_UNIT if scheme.format == "bnb_fp4" else 1.0
    exact = scheme.fmt.values
    held = (exact.astype(np.float64) * unit).astype(np.float16)
    bits = held.view(np.uint16)
    raw = np.concatenate([bits & 255, bits >> 8]).astype(np.uint8)
    tables = np.repeat(raw.view("<i4"), LANES).reshape(-1, LANES)
    on_device = (torch.from_numpy(a.copy()).to(device) for a in (exact, held.astype(np.float32), tables))
    return Book(*on_device, unit)


def _largest(scheme: Scheme, scales: torch.Tensor) -> float:
    """No magnitude of a weight is above this, before the factor; exact but for schemes with zero points."""
    element = getattr(scheme.fmt, "element", scheme.fmt)
    most = max(map(abs, scheme.code_range))
    top = {"sym": most, "asym": most, "ternary": 1, "codebook": 1}.get(scheme.rule)
    return float(scales.max()) * (element.max if top is None else top)
