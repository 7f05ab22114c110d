"""The definition of every element and scaling; `quantviz.schemes.rules` says which rule has which.

A rule goes from weights to steps of their group (the scaling), from steps to codes (the element), and back. All
arithmetic is float32 in the order of the source library, except where a comment says float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from ...formats import FORMATS, CodebookFormat, FloatFormat
from ...schemes import Scheme
from ...schemes.rules import LARGEST_STEPS, element_of, power_choice

MIN_NORMAL = 2.0**-126  # smallest normal float32
SMALLEST_ABSMAX = 1e-38  # bitsandbytes clamps a block's absmax to this before taking the reciprocal
SMALLEST_EDGE_SCALE = 1e-7  # MLX's eps
NVFP4_SMALLEST_SCALE = 2.0**-6  # torchao clamps block scales to e4m3's smallest normal
_SCALE_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "e4m3": torch.float8_e4m3fn}


# -- arithmetic that is the same on every device -----------------------------------------------


def over(x: torch.Tensor, divisor: float) -> torch.Tensor:
    """x / divisor. By a tensor, because on CUDA torch multiplies by the reciprocal of a Python number instead."""
    return x / torch.full_like(x, divisor)


def power_of_two(exponent: torch.Tensor) -> torch.Tensor:
    """float64 2^exponent, from -1022 to 1023, by its bits: torch.ldexp calls pow, which need not be exact on a GPU."""
    return ((exponent.to(torch.int64) + 1023) << 52).view(torch.float64)


# -- float formats -----------------------------------------------------------------------------


def encode_float(x: torch.Tensor, f: FloatFormat) -> torch.Tensor:
    """Bit patterns (int64) of the nearest values of `f`; ties to even, saturating, -0 kept where there is one.

    Below 2^emin the spacing is constant, so subnormals need no case of their own: |x| in units of its
    spacing, plus 2^m for every binade above the lowest, is the code, carries included.
    """
    if f.name == "fp32":
        return x.view(torch.int32).to(torch.int64) & 0xFFFFFFFF
    magnitude = x.abs().double()
    exponent = torch.frexp(magnitude).exponent - 1
    exponent = torch.where(magnitude == 0, f.emin, exponent).clamp(min=f.emin)
    units = torch.round(magnitude * power_of_two(f.mantissa_bits - exponent)).to(torch.int64)
    code = (units + ((exponent.to(torch.int64) - f.emin) << f.mantissa_bits)).clamp(max=f.max_code)
    negative = torch.signbit(x) if f.has_negative_zero else torch.signbit(x) & (code > 0)
    return code | (negative.to(torch.int64) << (f.bits - 1))


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
    """A scale rounded to the type it is stored in, saturating; counts what that type could not hold.

    An infinite one stays so: it makes weights that are not finite, which are refused.
    """
    dtype = _SCALE_DTYPES.get(scheme.stored_scale, torch.float32)
    largest = torch.finfo(dtype).max
    rounded = torch.where(exact.isfinite(), exact.clamp(max=largest).to(dtype).float(), exact)
    vanished = int(((rounded == 0) & (exact > 0)).sum())
    return Params(rounded, rounded, vanished=vanished, saturated=int((exact > largest).sum()))


def store_minimum(minimum: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """A minimum rounded to the type it is stored in, saturating; what is not finite stays so, as of a scale."""
    dtype = _SCALE_DTYPES.get(scheme.stored_scale, torch.float32)
    limit = torch.finfo(dtype).max
    return torch.where(minimum.isfinite(), minimum.to(dtype).float().clamp(-limit, limit), minimum)


def make_params(low: torch.Tensor, high: torch.Tensor, mean: torch.Tensor, scheme: Scheme) -> Params:
    """The scale of every group, and its zero point or minimum, from its extremes and mean magnitude."""
    largest, most = torch.maximum(-low, high).abs(), scheme.code_range[1]  # the largest is never -0
    match scheme.how.scaling:
        case "none":
            return Params()
        case "largest":
            return _store(over(largest, scheme.largest_step), scheme)
        case "mean":
            return _store(mean, scheme)
        case "unit":
            return _store(largest, scheme)
        case "zero point":
            low, high = low.clamp(max=0), high.clamp(min=0)
            p = _store(over(high - low, most), scheme)
            return replace(p, zero=torch.where(p.scale > 0, torch.round(-low / p.scale), 0).clamp(0, most))
        case "minimum":
            p = _store(over(high - low, most), scheme)
            return replace(p, minimum=store_minimum(low, scheme))
        case "edge":
            return _from_edge(low, high, most, scheme)
        case "power of two":
            # floor(log2 max|x|) is the exponent field; a subnormal maximum counts as 2^-127, as torchao has it.
            choice = power_choice(scheme)
            field = ((over(largest, choice.divisor).view(torch.int32) + choice.addend) >> 23) & 0xFF
            exponent = (field - 127 - choice.emax).clamp(-127, 127)
            stored = power_of_two(exponent).float()
            return Params(stored.clamp(min=MIN_NORMAL), stored)
        case "two levels":
            return _two_levels(largest)
    raise AssertionError(scheme.rule)


def _from_edge(low: torch.Tensor, high: torch.Tensor, most: int, scheme: Scheme) -> Params:
    """MLX's affine_quantize: the minimum is the end of larger magnitude, the scale points from it to the other end.

    MLX makes codes by the float32 scale and stores that rounded; here, as in all rules, the rounded one makes them.
    """
    scale = over(high - low, most).clamp(min=SMALLEST_EDGE_SCALE)
    from_low = low.abs() > high.abs()
    scale, edge = torch.where(from_low, scale, -scale), torch.where(from_low, low, high)
    steps = torch.round(edge / scale)  # from 0 to the edge
    scale = torch.where(steps != 0, edge / torch.where(steps != 0, steps, 1), scale)
    stored = store_minimum(scale, scheme)
    limit = torch.finfo(_SCALE_DTYPES.get(scheme.stored_scale, torch.float32)).max
    return Params(
        stored, stored, minimum=store_minimum(torch.where(steps != 0, edge, 0), scheme),
        vanished=int((stored == 0).sum()), saturated=int((scale.abs() > limit).sum()),
    )  # fmt: skip


def _two_levels(largest: torch.Tensor) -> Params:
    """NVFP4: a float32 scale of the tensor, and of each block a scale in e4m3 that it multiplies."""
    maximum = largest.amax()
    if maximum == 0:
        zeros = torch.zeros_like(largest)
        return Params(zeros, zeros, block_scale=zeros, tensor_scale=0.0)
    tensor_scale = nvfp4_tensor_scale(maximum)
    e4m3 = FORMATS["fp8_e4m3"]
    exact = (over(largest, 6.0) / tensor_scale).clamp(NVFP4_SMALLEST_SCALE, e4m3.max)
    block = decode_float(encode_float(exact, e4m3), e4m3)
    # torchao multiplies by (1 / tensor scale) / block scale, to match its Triton kernel.
    # Of weights below 2^-122 or so that is infinite, and the largest number takes its place.
    factor = ((1.0 / tensor_scale) / block).clamp(max=torch.finfo(torch.float32).max)
    return Params(factor, tensor_scale * block, block_scale=block, tensor_scale=float(tensor_scale))


def nvfp4_tensor_scale(maximum: torch.Tensor) -> torch.Tensor:
    """max |x| / (448 · 6) of a tensor that is not all zeros."""
    return over(maximum, LARGEST_STEPS[6]).clamp(min=MIN_NORMAL)


def four_over_six_rate(maximum: torch.Tensor) -> torch.Tensor:
    """256 · 6 / max |x| of a tensor that is not all zeros; the tensor's scale is 1 over it."""
    return (torch.full_like(maximum, LARGEST_STEPS[4]) / maximum).clamp(max=1 / MIN_NORMAL)


def four_over_six(x: torch.Tensor, largest: torch.Tensor) -> Params:
    """NVFP4 whose blocks bring their largest weight to 6, or to 4 where Σ e² is less. x: tiles.  largest: of each.

    Source: select_fouroversix and compute_nv_scale_factors in fouroversix's quantize/pytorch/reference.py, which adds
    the squares in float32; here in float64, so that their order does not count.
    """
    maximum, f = largest.amax(), FORMATS["fp4_e2m1"]
    if maximum == 0:
        return _two_levels(largest)
    rate = four_over_six_rate(maximum)
    tensor_scale, e4m3 = 1.0 / rate, FORMATS["fp8_e4m3"]

    def to(grown: float) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        block = decode_float(encode_float(over(largest, 6.0) * rate * grown, e4m3), e4m3)
        stored = tensor_scale * block
        factor = torch.where(stored > 0, 1.0 / stored, 0).clamp(max=torch.finfo(torch.float32).max)
        v = decode_float(encode_float((x * factor).clamp(-6.0, 6.0), f), f)
        e = over(v * block * maximum, LARGEST_STEPS[4]) - x
        return (factor, stored, block), (e * e).double().sum(dim=(1, 3), keepdim=True)

    (six, error), (four, error_of_four) = to(1.0), to(1.5)
    scale, stored, block = (torch.where(error_of_four < error, a, b) for a, b in zip(four, six, strict=True))
    return Params(scale, stored, block_scale=block, tensor_scale=float(tensor_scale))


# -- scalings: weights in steps of their group, and back ------------------------------------------


def _divide(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """x / scale. Under a scale of 0 that is 0, with the sign of x: floats have a -0."""
    return x / torch.where(scale > 0, scale, torch.inf)


def to_steps(x: torch.Tensor, p: Params, scheme: Scheme) -> torch.Tensor:
    """Weights as the element sees them."""
    match scheme.how.scaling:
        case "none":
            return x
        case "zero point":  # torchao multiplies by the reciprocal; of the smallest scales there is none in float32
            reciprocal = torch.where(p.scale > 0, 1.0 / p.scale, 0)
            return torch.where(reciprocal.isinf(), _divide(x, p.scale), x * reciprocal)
        case "minimum":
            return _divide(x - p.minimum, p.scale)
        case "edge":
            return (x - p.minimum) / torch.where(p.scale != 0, p.scale, torch.inf)
        case "unit":
            return (x * (1.0 / p.scale.clamp(min=SMALLEST_ABSMAX))).clamp(-1, 1)
        case "power of two":
            return x / p.scale
        case "two levels":
            return (x * p.scale).clamp(-6.0, 6.0)
    return _divide(x, p.scale)


def from_steps(v: torch.Tensor, p: Params, scheme: Scheme) -> torch.Tensor:
    """Weights from what the element stands for."""
    match scheme.how.scaling:
        case "none":
            return v
        case "zero point":
            return (v - p.zero) * p.stored
        case "minimum" | "edge":
            return p.minimum + v * p.stored
    return v * p.stored


# -- elements: steps to codes, and what codes stand for -------------------------------------------


def encode(x: torch.Tensor, p: Params, scheme: Scheme) -> torch.Tensor:
    """Codes (int64) of weights under the parameters of their groups."""
    how, f = scheme.how, element_of(scheme.fmt)
    match how.element:
        case "signs":  # which needs no scale
            return torch.where(x >= 0, 1, -1)
        case "floats":
            return encode_float(to_steps(x, p, scheme), f)
        case "levels":
            thresholds, order = (torch.from_numpy(part.copy()).to(x.device) for part in (f.thresholds, f.order))
            return order[torch.bucketize(to_steps(x, p, scheme).contiguous(), thresholds)].to(torch.int64)
    steps = to_steps(x, p, scheme)
    code = torch.round(steps if how.step == 1 else steps / how.step)
    return (code if p.zero is None else code + p.zero).clamp(*scheme.code_range).to(torch.int64)


def decode(code: torch.Tensor, p: Params, scheme: Scheme) -> torch.Tensor:
    """float32 weights of codes under the parameters of their groups."""
    how, f = scheme.how, element_of(scheme.fmt)
    match how.element:
        case "floats":
            v = decode_float(code, f)
        case "levels":
            v = torch.from_numpy(f.values.copy()).to(code.device)[code]
        case _:
            v = code.float() if how.step == 1 else code.float() * how.step
    return from_steps(v, p, scheme)


def code_limits(p: Params, scheme: Scheme) -> tuple[Any, Any]:
    """Below and above what a weight is cut off: half a step past the smallest or largest code, where a weight rounds
    beyond it; of code books, whose steps differ, the outermost level itself. Signs have no end."""
    how, f = scheme.how, element_of(scheme.fmt)
    if isinstance(f, FloatFormat):
        most = f.max + 2.0 ** (f.emax - f.mantissa_bits) / 2
        ends = -most, most
    elif isinstance(f, CodebookFormat):
        ends = -1.0, 1.0
    else:
        first, last = scheme.code_range
        ends = (first - 0.5) * how.step, (last + 0.5) * how.step
    if how.scaling == "none":
        return ends
    low, high = (from_steps(end, p, scheme) for end in ends)
    if how.scaling == "edge":
        low, high = torch.minimum(low, high), torch.maximum(low, high)
    # Without a scale nothing is cut off: the weights are zeroed, or all equal the minimum.
    return torch.where(p.stored != 0, low, -torch.inf), torch.where(p.stored != 0, high, torch.inf)
