"""The readable engine: every rule in plain torch, on any torch device. The other engines are compared with it.

A tensor [rows, cols] is seen as tiles [grid rows, R, grid cols, C]; the parameters of a group broadcast over
R and C. All arithmetic is float32 in the order of the source library, except where a comment says float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..formats import MXINT8_STEP, FloatFormat, IntFormat
from ..metrics import Sums
from ..schemes import TENSOR, Scheme
from .common import LOG_BIN_SHIFT, LOG_BINS, Bins, Counts, Extremes, Pass, Quantized, scale_notices

MIN_NORMAL = 2.0**-126  # smallest normal float32
SMALLEST_ABSMAX = 1e-38  # bitsandbytes clamps a block's absmax to this before taking the reciprocal
NVFP4_SMALLEST_SCALE = 2.0**-6  # torchao clamps block scales to e4m3's smallest normal
_SCALE_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


# -- tiles -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tiles:
    """A [rows, cols] tensor as [grid rows, R, grid cols, C], padded with zeros; `valid` is None without padding.

    whole: the extremes of the tensor that this is a part of, where one scale serves it all.
    """

    x: torch.Tensor
    valid: torch.Tensor | None
    rows: int
    cols: int
    whole: Extremes | None = None

    @classmethod
    def of(cls, x: torch.Tensor, scheme: Scheme, whole: Extremes | None = None) -> Tiles:
        rows, cols = x.shape
        if scheme.granularity in (None, TENSOR):
            return cls(x[None, :, None, :], None, rows, cols, whole if scheme.granularity else None)
        height, width = scheme.granularity.rows or rows, scheme.granularity.cols or cols
        pad = (-cols % width, -rows % height)
        valid = None
        if any(pad):
            valid = torch.nn.functional.pad(torch.ones_like(x, dtype=torch.bool), (0, pad[0], 0, pad[1]))
            x = torch.nn.functional.pad(x, (0, pad[0], 0, pad[1]))
            valid = valid.reshape(-(-rows // height), height, -(-cols // width), width)
        return cls(x.reshape(-(-rows // height), height, -(-cols // width), width), valid, rows, cols)

    def _one(self, value: float) -> torch.Tensor:
        return torch.full((1, 1, 1, 1), value, dtype=torch.float32, device=self.x.device)

    def flat(self, tiled: torch.Tensor) -> torch.Tensor:
        """Back to [rows, cols], padding cut off."""
        a, b, c, d = tiled.shape
        return tiled.reshape(a * b, c * d)[: self.rows, : self.cols]

    def max_abs(self) -> torch.Tensor:
        if self.whole:
            return self._one(self.whole.max_abs)
        return self.x.abs().amax(dim=(1, 3), keepdim=True)

    def min_max(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.whole:
            return self._one(self.whole.min), self._one(self.whole.max)
        if self.valid is None:
            return self.x.amin(dim=(1, 3), keepdim=True), self.x.amax(dim=(1, 3), keepdim=True)
        low = torch.where(self.valid, self.x, torch.inf).amin(dim=(1, 3), keepdim=True)
        high = torch.where(self.valid, self.x, -torch.inf).amax(dim=(1, 3), keepdim=True)
        return low, high

    def mean_abs(self) -> torch.Tensor:
        """Summed in float64, so that the order of the sum cannot show in the float32 result."""
        if self.whole:
            return self._one(self.whole.mean_abs)
        total = self.x.abs().sum(dim=(1, 3), keepdim=True, dtype=torch.float64)
        if self.valid is None:
            return (total / (self.x.shape[1] * self.x.shape[3])).float()
        return (total / self.valid.sum(dim=(1, 3), keepdim=True)).float()


# -- float formats -----------------------------------------------------------------------------


def encode_float(x: torch.Tensor, f: FloatFormat) -> torch.Tensor:
    """Bit patterns (int64) of the nearest values of `f`; ties to even, saturating, -0 kept.

    Below 2^emin the spacing is constant, so subnormals need no case of their own: |x| in units of its
    spacing, plus 2^m for every binade above the lowest, is the code, carries included.
    """
    if f.name == "fp32":
        return x.view(torch.int32).to(torch.int64) & 0xFFFFFFFF
    magnitude = x.abs().double()
    exponent = torch.frexp(magnitude).exponent - 1
    exponent = torch.where(magnitude == 0, f.emin, exponent).clamp(min=f.emin)
    units = torch.round(torch.ldexp(magnitude, f.mantissa_bits - exponent)).to(torch.int64)
    code = (units + ((exponent.to(torch.int64) - f.emin) << f.mantissa_bits)).clamp(max=f.max_code)
    return code | (torch.signbit(x).to(torch.int64) << (f.bits - 1))


def decode_float(code: torch.Tensor, f: FloatFormat) -> torch.Tensor:
    """float32 values of bit patterns."""
    if f.name == "fp32":
        return code.to(torch.int32).view(torch.float32)
    return torch.from_numpy(f.values.copy()).to(code.device)[code.to(torch.int64)]


# -- parameters of a group ---------------------------------------------------------------------


@dataclass(frozen=True)
class Params:
    """Parameters of all groups, each [grid rows, 1, grid cols, 1].

    scale: what a weight is divided by.  stored: what dequantization multiplies by; the same, except for
    subnormal MX scales and nvfp4.
    """

    scale: torch.Tensor | None = None
    stored: torch.Tensor | None = None
    zero: torch.Tensor | None = None
    minimum: torch.Tensor | None = None
    block_scale: torch.Tensor | None = None
    tensor_scale: float | None = None
    vanished: int = 0
    saturated: int = 0


def _store(exact: torch.Tensor, scheme: Scheme) -> Params:
    """A scale rounded to the type it is stored in, saturating; counts what that type could not hold."""
    dtype = _SCALE_DTYPES.get(scheme.scale, torch.float32)
    largest = torch.finfo(dtype).max
    rounded = exact.clamp(max=largest).to(dtype).float()
    vanished = int(((rounded == 0) & (exact > 0)).sum())
    return Params(rounded, rounded, vanished=vanished, saturated=int((exact > largest).sum()))


def choose_params(tiles: Tiles, scheme: Scheme, whole: Extremes | None = None) -> Params:
    """The scale of every group, and its zero point or minimum; `whole` as in Tiles, here for nvfp4."""
    f = scheme.fmt
    match scheme.rule:
        case "cast":
            return Params()
        case "sym":
            return _store(tiles.max_abs() / f.max_symmetric, scheme)
        case "sign" | "ternary":
            return _store(tiles.mean_abs(), scheme)
        case "scaled":
            return _store(tiles.max_abs() / f.max, scheme)
        case "codebook":
            return _store(tiles.max_abs(), scheme)
        case "asym":
            low, high = tiles.min_max()
            low, high = low.clamp(max=0), high.clamp(min=0)
            exact = (high - low) / f.max_unsigned
            p = _store(torch.where(exact > 0, exact.clamp(min=MIN_NORMAL), exact), scheme)
            zero = torch.where(p.scale > 0, torch.round(-low / p.scale), 0).clamp(0, f.max_unsigned)
            return replace(p, zero=zero)
        case "offset":
            low, high = tiles.min_max()
            minimum = low.to(_SCALE_DTYPES.get(scheme.scale, torch.float32)).float()
            largest = torch.finfo(_SCALE_DTYPES.get(scheme.scale, torch.float32)).max
            p = _store((high - low) / f.max_unsigned, scheme)
            return replace(p, minimum=minimum.clamp(-largest, largest))
        case "mx":
            # floor(log2 max|x|) is the exponent field; a subnormal maximum counts as 2^-127, as torchao has it.
            field = (tiles.max_abs().view(torch.int32) >> 23) & 0xFF
            exponent = (field - 127 - f.element_emax).clamp(min=-127)
            stored = torch.ldexp(torch.ones_like(exponent, dtype=torch.float32), exponent)
            return Params(stored.clamp(min=MIN_NORMAL), stored)
        case "nvfp4":
            maximum = tiles._one(whole.max_abs).amax() if whole else tiles.x.abs().amax()
            if maximum == 0:
                zeros = torch.zeros_like(tiles.max_abs())
                return Params(zeros, zeros, block_scale=zeros, tensor_scale=0.0)
            tensor_scale = (maximum / (448.0 * 6.0)).clamp(min=MIN_NORMAL)
            e4m3 = _E4M3
            exact = (tiles.max_abs() / 6.0 / tensor_scale).clamp(NVFP4_SMALLEST_SCALE, e4m3.max)
            block = decode_float(encode_float(exact, e4m3), e4m3)
            # torchao multiplies by (1 / tensor scale) / block scale, to match its Triton kernel.
            return Params((1.0 / tensor_scale) / block, tensor_scale * block, block_scale=block,
                          tensor_scale=float(tensor_scale))  # fmt: skip
    raise AssertionError(scheme.rule)


_E4M3 = FloatFormat("fp8_e4m3", 4, 3, "fn", "OFP8")


# -- codes -------------------------------------------------------------------------------------


def _divide(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """x / scale. Under a scale of 0 that is 0, with the sign of x: floats have a -0."""
    return x / torch.where(scale > 0, scale, torch.inf)


def encode(x: torch.Tensor, p: Params, scheme: Scheme) -> torch.Tensor:
    """Codes (int64) of weights under the parameters of their groups."""
    f = scheme.fmt
    match scheme.rule:
        case "cast":
            return encode_float(x, f)
        case "sym" | "ternary":
            q = 1 if scheme.rule == "ternary" else f.max_symmetric
            code = torch.round(_divide(x, p.scale)).clamp(-q, q)
        case "sign":
            code = torch.where(x >= 0, 1, -1)
        case "asym":  # torchao multiplies by the reciprocal
            reciprocal = torch.where(p.scale > 0, 1.0 / p.scale, 0)
            code = (torch.round(x * reciprocal) + p.zero).clamp(0, f.max_unsigned)
        case "offset":
            code = torch.round(_divide(x - p.minimum, p.scale)).clamp(0, f.max_unsigned)
        case "scaled":
            return encode_float(_divide(x, p.scale), f)
        case "codebook":
            v = (x * (1.0 / p.scale.clamp(min=SMALLEST_ABSMAX))).clamp(-1, 1)
            rank = torch.bucketize(v.contiguous(), torch.from_numpy(f.thresholds.copy()).to(x.device))
            return torch.from_numpy(f.order.copy()).to(x.device)[rank].to(torch.int64)
        case "mx" if isinstance(f.element, IntFormat):
            code = torch.round(x / p.scale / MXINT8_STEP).clamp(-127, 127)
        case "mx":
            return encode_float(x / p.scale, f.element)
        case "nvfp4":
            return encode_float((x * p.scale).clamp(-6.0, 6.0), f.element)
    return code.to(torch.int64)


def decode(code: torch.Tensor, p: Params, scheme: Scheme) -> torch.Tensor:
    """float32 weights of codes under the parameters of their groups."""
    f = scheme.fmt
    match scheme.rule:
        case "cast":
            return decode_float(code, f)
        case "asym":
            return (code.float() - p.zero) * p.stored
        case "offset":
            return p.minimum + code.float() * p.stored
        case "scaled":
            return p.stored * decode_float(code, f)
        case "codebook":
            return torch.from_numpy(f.values.copy()).to(code.device)[code] * p.stored
        case "mx" if isinstance(f.element, IntFormat):
            return code.float() * MXINT8_STEP * p.stored
        case "mx" | "nvfp4":
            return decode_float(code, f.element) * p.stored
    return code.float() * p.stored


# -- the engine --------------------------------------------------------------------------------


def code_dtype(scheme: Scheme) -> torch.dtype:
    """Smallest dtype that holds every code."""
    if scheme.code_range[0] < 0:
        return torch.int8
    return {True: torch.uint8, False: torch.uint16}[scheme.fmt.bits <= 8] if scheme.fmt.bits <= 16 else torch.uint32


def quantize(x: torch.Tensor, scheme: Scheme, whole: Extremes | None = None) -> Quantized:
    """Quantizes a float32 tensor of any shape, on its own device; see `Quantized`.

    whole: extremes of the tensor that x is a part of, if it is a part.
    """
    tiles = Tiles.of(x.reshape(-1, x.shape[-1]), scheme, whole)
    p = choose_params(tiles, scheme, whole)
    codes = tiles.flat(encode(tiles.x, p, scheme)).reshape(x.shape).to(code_dtype(scheme))
    scales = p.stored if p.block_scale is None else p.block_scale

    def grid(parameter: torch.Tensor | None) -> torch.Tensor | None:
        return None if parameter is None else parameter[:, 0, :, 0].contiguous()

    zeros = grid(p.zero)
    return Quantized(
        scheme, tuple(x.shape), codes, grid(scales), None if zeros is None else zeros.to(torch.uint8), grid(p.minimum),
        p.tensor_scale, scale_notices(scheme, p.vanished, p.saturated),
    )  # fmt: skip


def dequantize(q: Quantized) -> torch.Tensor:
    """float32 weights, in the shape and on the device of the codes."""
    codes = q.codes.reshape(-1, q.shape[-1])
    tiles = Tiles.of(codes.to(torch.int64), q.scheme)

    def spread(parameter: torch.Tensor | None) -> torch.Tensor | None:
        return None if parameter is None else parameter[:, None, :, None].float()

    stored = spread(q.scales)
    if q.tensor_scale is not None:
        stored = torch.tensor(q.tensor_scale, dtype=torch.float32, device=codes.device) * stored
    p = Params(stored, stored, spread(q.zero_points), spread(q.minima))
    return tiles.flat(decode(tiles.x, p, q.scheme)).reshape(q.shape)


def code_limits(p: Params, scheme: Scheme) -> tuple[Any, Any]:
    """Below and above what a weight rounds beyond the smallest or largest code: half a step past its value."""
    f = scheme.fmt
    match scheme.rule:
        case "cast" | "scaled" | "mx" | "nvfp4" if not isinstance(getattr(f, "element", f), IntFormat):
            e = getattr(f, "element", f)
            limit = e.max + 2.0 ** (e.emax - e.mantissa_bits) / 2
        case "mx":
            limit = 127.5 * MXINT8_STEP
        case "sym" | "ternary":
            limit = (1 if scheme.rule == "ternary" else f.max_symmetric) + 0.5
        case "asym":
            low, high = (-0.5 - p.zero) * p.stored, (f.max_unsigned + 0.5 - p.zero) * p.stored
        case "offset":
            low, high = p.minimum - 0.5 * p.stored, p.minimum + (f.max_unsigned + 0.5) * p.stored
        case _:  # sign and code books have no end of range: every weight takes its nearest level
            return -torch.inf, torch.inf
    if scheme.rule == "cast":
        return -limit, limit
    if scheme.rule not in ("asym", "offset"):
        low, high = -limit * p.stored, limit * p.stored
    # Without a scale nothing is cut off: the weights are zeroed, or all equal the minimum.
    return torch.where(p.stored > 0, low, -torch.inf), torch.where(p.stored > 0, high, torch.inf)


def measure(x: torch.Tensor, scheme: Scheme, bins: tuple[Bins, Bins] | None, importance: Any = None) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a float32 tensor [rows, cols] under a scheme."""
    tiles = Tiles.of(x, scheme)
    p = choose_params(tiles, scheme)
    codes = encode(tiles.x, p, scheme)
    y = tiles.flat(decode(codes, p, scheme))
    e = y - x
    X, Y, E = x.double(), y.double(), e.double()
    nonzero = X != 0
    s = Sums(
        count=x.numel(), nonzero=int(nonzero.sum()), squared_error=float((E * E).sum()), abs_error=float(E.abs().sum()),
        relative_error=float((E[nonzero].abs() / X[nonzero].abs()).sum()), max_abs_error=float(E.abs().max()),
        squared=float((X * X).sum()), abs=float(X.abs().sum()), product=float((X * Y).sum()),
        squared_dequantized=float((Y * Y).sum()),
    )  # fmt: skip
    if p.stored is not None:
        steps = torch.where(p.stored > 0, (tiles.x - decode(codes, p, scheme)).double() / p.stored.double(), 0)
        s.squared_steps = float((tiles.flat(steps) ** 2).sum())
    if importance is not None:
        h = torch.as_tensor(importance, dtype=torch.float64, device=x.device)
        s.weighted_squared_error = float((E * E * h).sum())
        s.importance = float(h.sum()) * x.shape[0]
    counts = None if bins is None else _count(tiles, x, y, e, codes, p, scheme, bins)
    return Pass(s, counts, scale_notices(scheme, p.vanished, p.saturated))


def _count(tiles, x, y, e, codes, p, scheme: Scheme, bins: tuple[Bins, Bins]) -> Counts:
    low, high = code_limits(p, scheme)
    outside = tiles.flat((tiles.x < low) | (tiles.x > high))
    log_bin = e.abs().contiguous().view(torch.int32) >> LOG_BIN_SHIFT
    code_counts = None
    if scheme.fmt.bits <= 16:
        first, last = scheme.code_range
        code_counts = _bincount(tiles.flat(codes) - first, last - first + 1)
    E = tiles.flat(decode(codes, p, scheme)) - x
    block = Tiles.of(E.double() ** 2, scheme).x.sum(dim=(1, 3)).float()
    return Counts(
        _histogram(y, bins[0]), _histogram(e, bins[1]), _bincount(log_bin, LOG_BINS), code_counts,
        block.cpu().numpy(), int(((x != 0) & (y == 0)).sum()), int(outside.sum()),
    )  # fmt: skip


def _bincount(index: torch.Tensor, length: int) -> np.ndarray:
    return torch.bincount(index.reshape(-1).to(torch.int64), minlength=length).cpu().numpy()


def _histogram(v: torch.Tensor, bins: Bins) -> np.ndarray:
    """[below, bins ..., above]; the index in float32, so that every engine counts alike."""
    index = torch.floor((v - float(bins.lo)) * float(bins.inverse_width))
    return _bincount(index.clamp(-1, bins.count) + 1, bins.count + 2)
