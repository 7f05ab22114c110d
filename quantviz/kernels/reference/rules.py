"""Every rule: the parameters of a group from its extremes, codes from weights, weights from codes.

All arithmetic is float32 in the order of the source library, except where a comment says float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from ...formats import MXINT8_STEP, FloatFormat, IntFormat
from ...schemes import Scheme

MIN_NORMAL = 2.0**-126  # smallest normal float32
SMALLEST_ABSMAX = 1e-38  # bitsandbytes clamps a block's absmax to this before taking the reciprocal
NVFP4_SMALLEST_SCALE = 2.0**-6  # torchao clamps block scales to e4m3's smallest normal
_SCALE_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


# -- arithmetic that is the same on every device -----------------------------------------------


def over(x: torch.Tensor, divisor: float) -> torch.Tensor:
    """x / divisor. By a tensor, because on CUDA torch multiplies by the reciprocal of a Python number instead."""
    return x / torch.full_like(x, divisor)


def power_of_two(exponent: torch.Tensor) -> torch.Tensor:
    """float64 2^exponent, from -1022 to 1023, by its bits: torch.ldexp calls pow, which need not be exact on a GPU."""
    return ((exponent.to(torch.int64) + 1023) << 52).view(torch.float64)


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
    units = torch.round(magnitude * power_of_two(f.mantissa_bits - exponent)).to(torch.int64)
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
    """A scale rounded to the type it is stored in, saturating; counts what that type could not hold.

    An infinite one stays so: it makes weights that are not finite, which are refused.
    """
    dtype = _SCALE_DTYPES.get(scheme.scale, torch.float32)
    largest = torch.finfo(dtype).max
    rounded = torch.where(exact.isfinite(), exact.clamp(max=largest).to(dtype).float(), exact)
    vanished = int(((rounded == 0) & (exact > 0)).sum())
    return Params(rounded, rounded, vanished=vanished, saturated=int((exact > largest).sum()))


def store_minimum(minimum: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """A minimum rounded to the type it is stored in, saturating; what is not finite stays so, as of a scale."""
    dtype = _SCALE_DTYPES.get(scheme.scale, torch.float32)
    limit = torch.finfo(dtype).max
    return torch.where(minimum.isfinite(), minimum.to(dtype).float().clamp(-limit, limit), minimum)


def make_params(low: torch.Tensor, high: torch.Tensor, mean: torch.Tensor, scheme: Scheme) -> Params:
    """The scale of every group, and its zero point or minimum, from its extremes and mean magnitude."""
    f, largest = scheme.fmt, torch.maximum(-low, high).abs()  # never -0
    match scheme.rule:
        case "cast":
            return Params()
        case "sym":
            return _store(over(largest, f.max_symmetric), scheme)
        case "sign" | "ternary":
            return _store(mean, scheme)
        case "scaled":
            return _store(over(largest, f.max), scheme)
        case "codebook":
            return _store(largest, scheme)
        case "asym":
            low, high = low.clamp(max=0), high.clamp(min=0)
            p = _store(over(high - low, f.max_unsigned), scheme)
            zero = torch.where(p.scale > 0, torch.round(-low / p.scale), 0).clamp(0, f.max_unsigned)
            return replace(p, zero=zero)
        case "offset":
            p = _store(over(high - low, f.max_unsigned), scheme)
            return replace(p, minimum=store_minimum(low, scheme))
        case "mx":
            # floor(log2 max|x|) is the exponent field; a subnormal maximum counts as 2^-127, as torchao has it.
            field = (largest.view(torch.int32) >> 23) & 0xFF
            exponent = (field - 127 - f.element_emax).clamp(min=-127)
            stored = power_of_two(exponent).float()
            return Params(stored.clamp(min=MIN_NORMAL), stored)
        case "nvfp4":
            maximum = largest.amax()
            if maximum == 0:
                zeros = torch.zeros_like(largest)
                return Params(zeros, zeros, block_scale=zeros, tensor_scale=0.0)
            tensor_scale = nvfp4_tensor_scale(maximum)
            e4m3 = _E4M3
            exact = (over(largest, 6.0) / tensor_scale).clamp(NVFP4_SMALLEST_SCALE, e4m3.max)
            block = decode_float(encode_float(exact, e4m3), e4m3)
            # torchao multiplies by (1 / tensor scale) / block scale, to match its Triton kernel.
            # Of weights below 2^-122 or so that is infinite, and the largest number takes its place.
            factor = ((1.0 / tensor_scale) / block).clamp(max=torch.finfo(torch.float32).max)
            return Params(factor, tensor_scale * block, block_scale=block,
                          tensor_scale=float(tensor_scale))  # fmt: skip
    raise AssertionError(scheme.rule)


def nvfp4_tensor_scale(maximum: torch.Tensor) -> torch.Tensor:
    """max |x| / (448 · 6) of a tensor that is not all zeros."""
    return over(maximum, 448.0 * 6.0).clamp(min=MIN_NORMAL)


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
        case "asym":  # torchao multiplies by the reciprocal; of the smallest scales there is none in float32
            reciprocal = torch.where(p.scale > 0, 1.0 / p.scale, 0)
            steps = torch.where(reciprocal.isinf(), _divide(x, p.scale), x * reciprocal)
            code = (torch.round(steps) + p.zero).clamp(0, f.max_unsigned)
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


def code_limits(p: Params, scheme: Scheme) -> tuple[Any, Any]:
    """Below and above what a weight is cut off: half a step past the smallest or largest code, where a weight rounds
    beyond it; of code books, whose steps differ, the outermost level itself. Signs have no end."""
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
        case "codebook":
            limit = 1.0  # the outermost levels; what lies beyond is cut to them
    if scheme.rule == "cast":
        return -limit, limit
    if scheme.rule not in ("asym", "offset"):
        low, high = -limit * p.stored, limit * p.stored
    # Without a scale nothing is cut off: the weights are zeroed, or all equal the minimum.
    return torch.where(p.stored > 0, low, -torch.inf), torch.where(p.stored > 0, high, torch.inf)
