"""The linear layer on the CPU: activations in float32 times weights in 8, 4 or 2 bits, unpacked in registers.

Layout: a row's codes lie block after block. Byte j of a block's B bytes holds the codes of weights j, j + B, j + 2B …,
so that one vector of bytes gives whole vectors of neighbouring weights by shifting and masking. Scales stay in the
type that the scheme stores them in. Zero points are taken off afterwards, by the sums of the activations of a block:
Σ s·(q - z)·x = s·(Σ q·x - z·Σ x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....errors import QuantvizError
from ....schemes import CHANNEL, Scheme
from ....tensors import StoredTensor, as_stored
from ....tensors.arrays import is_torch, plain_torch
from ... import quantize
from ...results import Quantized
from ..workers import THREADS, pool

KERNEL = "numba, weights unpacked in registers, activations and sums in float32"
BITS = (8, 4, 2)
WIDTHS = (256, 128, 64, 32)  # block lengths that have kernels
TASK_BYTES = 1 << 18  # of packed weights that a thread takes at a time

# ‖y - ŷ‖ / ‖ŷ‖ against the same product in float64. A product or a sum rounds by up to 2^-24. A lane adds up a 16th of
# a row, 2^10 products for the longest, whose errors grow like the root of their number: 2^5. Codes with a zero point
# add up to what is then taken off again, 2^4 times what remains where activations have a mean. A wrong code, scale or
# place shows as 2^-11 and more.
TOLERANCE = 2.0**-24 * 2.0**5 * 2.0**4


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Weights [rows, cols] as the CPU's kernels read them.

    codes: uint8 [rows, cols · bits / 8].  scales: [rows, blocks], the bits of the stored type (uint16, or uint32 for
    float32).  zeros: [rows, blocks], uint8, for 8 bits int8; None where `zero` serves all.  width: weights in a block.
    """

    scheme: Scheme
    shape: tuple[int, int]
    codes: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray | None
    zero: float
    width: int
    device: str = "cpu"

    @property
    def nbytes(self) -> int:
        """Bytes that one product reads of the weights."""
        return sum(a.nbytes for a in (self.codes, self.scales, self.zeros) if a is not None)

    @property
    def bits(self) -> int:
        return self.scheme.fmt.bits

    def clone(self) -> PackedRows:
        """The same weights in other memory."""
        zeros = None if self.zeros is None else self.zeros.copy()
        return PackedRows(self.scheme, self.shape, self.codes.copy(), self.scales.copy(), zeros, self.zero, self.width)


def refusal(scheme: Scheme, rows: int, cols: int) -> str | None:
    """Why weights [rows, cols] cannot be packed for the CPU's kernels; None where they can."""
    if scheme.symmetry not in ("sym", "asym") or scheme.fmt.bits not in BITS or scheme.rule == "sign":
        return (
            f"There is no CPU kernel that multiplies {scheme}; int8, int4 and int2 have one, sym and asym, "
            "for example int4-sym-b64."
        )
    if scheme.transforms:
        return f"The CPU kernel multiplies no rotated weights and none that are kept apart, so not {scheme}."
    if scheme.granularity == CHANNEL:
        return None if cols % WIDTHS[-1] == 0 else _uneven(scheme, cols, WIDTHS[-1])
    if scheme.granularity.rows != 1 or scheme.granularity.cols not in WIDTHS:
        return f"The CPU kernel takes one scale a row or a block of 32, 64, 128 or 256, and not {scheme}."
    return None if cols % scheme.granularity.cols == 0 else _uneven(scheme, cols, scheme.granularity.cols)


def _uneven(scheme: Scheme, cols: int, width: int) -> str:
    fit = [w for w in WIDTHS if cols % w == 0]
    near = f"a block of {' or '.join(map(str, fit))} does" if fit else f"{cols // width * width + width:,} columns do"
    return f"{scheme} needs rows of a multiple of {width} weights, and these have {cols:,}; {near}."


def pack(w: Any, key: str | Scheme) -> PackedRows:
    """Quantizes weights [rows, cols] and packs them. Raises QuantvizError where `refusal` gives a reason."""
    scheme = Scheme.parse(key)
    stored: StoredTensor = as_stored(w)
    scheme.check_shape(stored.rows, stored.cols)
    if reason := refusal(scheme, stored.rows, stored.cols):
        raise QuantvizError(reason)
    return pack_quantized(quantize(stored, scheme))


def pack_quantized(q: Quantized) -> PackedRows:
    """Packs what is quantized already, as NumPy arrays; for schemes and shapes that `refusal` lets through."""
    scheme, cols = q.scheme, q.shape[-1]
    rows, bits = math.prod(q.shape[:-1]), scheme.fmt.bits
    width = scheme.granularity.cols or next(w for w in WIDTHS if cols % w == 0)
    codes = np.ascontiguousarray(q.codes).reshape(rows, cols)
    scales, zeros, zero = _stored(q.scales, scheme), q.zero_points, 0.0
    if bits == 8:
        if zeros is not None:  # signed, as the kernel reads bytes
            codes, zeros = codes ^ np.uint8(128), (zeros ^ np.uint8(128)).view(np.int8)
        codes = codes.view(np.uint8)
    else:
        if zeros is None:
            zero = float(2 ** (bits - 1))
            codes = (codes + np.int8(zero)).view(np.uint8)
        codes = _in_bytes(codes.reshape(rows, -1, width), bits).reshape(rows, -1)
    if scheme.granularity == CHANNEL:
        scales, zeros = (None if a is None else np.repeat(a, cols // width, axis=1) for a in (scales, zeros))
    return PackedRows(scheme, (rows, cols), codes, scales, zeros, zero, width)


def _stored(scales: np.ndarray, scheme: Scheme) -> np.ndarray:
    """The bits of scales in the type they are stored in; nothing is rounded, they hold such values already."""
    if scheme.scale == "fp16":
        return scales.astype(np.float16).view(np.uint16)
    bits = np.ascontiguousarray(scales, np.float32).view(np.uint32)
    return bits if scheme.scale == "fp32" else (bits >> 16).astype(np.uint16)


def _in_bytes(codes: np.ndarray, bits: int) -> np.ndarray:
    """uint8 [rows, blocks, width] codes of `bits` bits -> [rows, blocks, width · bits / 8], fields width apart."""
    fields = np.split(codes, 8 // bits, axis=2)
    out = fields[0].copy()
    for place, field in enumerate(fields[1:], 1):
        out |= field << np.uint8(place * bits)
    return out


def linear(x: Any, packed: PackedRows, out: np.ndarray | None = None) -> np.ndarray:
    """y = x · Wᵀ in float32.

    x: [tokens, cols] or [cols], NumPy or torch on the CPU, any float type.  out: float32 [tokens, rows] to write to.
    Raises QuantvizError for no tokens at all and for rows of another length.
    """
    x = as_activations(x)
    cols, rows = packed.shape[1], packed.shape[0]
    if x.ndim not in (1, 2) or x.shape[-1] != cols:
        raise QuantvizError(f"The activations have shape {list(x.shape)}, and this layer takes rows of {cols:,}.")
    x2 = np.ascontiguousarray(x.reshape(-1, cols))
    if not len(x2):
        raise QuantvizError("There is no token to multiply: the batch is 0; give at least 1.")
    y = np.empty((len(x2), rows), np.float32) if out is None else out
    start = 0
    while start < len(x2):
        tokens = TOKENS_AT_ONCE if len(x2) - start >= TOKENS_AT_ONCE else 1
        _multiply(x2[start : start + tokens], packed, y[start : start + tokens])
        start += tokens
    return y.reshape(*x.shape[:-1], rows)


TOKENS_AT_ONCE = 4  # of a larger batch; what is unpacked once then serves them all


def as_activations(x: Any) -> np.ndarray:
    """float32, from NumPy or torch; a view where it is float32 already."""
    if is_torch(x):
        x = plain_torch(x, "The activations").float().numpy()
    return np.asarray(x, np.float32)


def _multiply(x: np.ndarray, packed: PackedRows, y: np.ndarray) -> None:
    from .loops import STORED_SCALES, Rows, gemv_kernel

    rows = packed.shape[0]
    asymmetric = packed.zeros is not None
    run = gemv_kernel(packed.bits, packed.width, len(x))
    sums = x.reshape(len(x), -1, packed.width).sum(axis=2)
    zeros = packed.zeros if asymmetric else np.zeros((1, 1), np.int8 if packed.bits == 8 else np.uint8)
    scale_type = STORED_SCALES[packed.scheme.scale]
    weights = Rows(packed.codes, packed.scales, scale_type, asymmetric, zeros, np.float32(packed.zero))
    _share(rows, max(1, TASK_BYTES * rows // packed.nbytes), lambda first, last: run(first, last, weights, x, sums, y))


def _share(rows: int, step: int, run: Callable[[int, int], None]) -> None:
    """run(first, last) over all rows, `step` at a time, by the calling thread and those of the pool that come in time.

    A layer takes a millisecond or less, so none waits for a thread that has not begun: its caller does the work.
    """
    starts = iter(range(0, rows, step))  # a C iterator: next() is one step under the GIL

    def some() -> None:
        for first in starts:
            run(first, min(first + step, rows))

    helpers = [pool().submit(some) for _ in range(min(THREADS, -(-rows // step)) - 1)]
    try:
        some()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        errors = [error for helper in begun if (error := helper.exception())]
    if errors:
        raise errors[0]
