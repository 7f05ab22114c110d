"""Every element and scaling for one weight, as Triton sees it. `K`, a plan.Rule, is a constant: its branches vanish.

A group's parameters are three float32 numbers:
  factor   what a weight is divided by (largest, mean, minimum) or multiplied by (the rest); of a zero point, where the
           reciprocal of a scale is beyond float32, minus the scale
  stored   what dequantization multiplies by
  extra    zero point, minimum, or the block scale of two levels
The arithmetic and its order are those of `reference`, which names the sources. Two things keep the bits the same on
a GPU: divisions are `div_rn`, and kernels are launched with enable_fp_fusion=False, so that a·b + c rounds twice.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ...schemes.rules import LARGEST_STEPS
from .casts import (
    INF,
    MAX_BF16,
    MAX_E4M3,
    MAX_FINITE,
    MAX_FP16,
    bits_of,
    cast,
    cast_code,
    clip,
    code_value,
    float_of,
    rint,
    to_bf16,
)

MIN_NORMAL = tl.constexpr(2.0**-126)
SMALLEST_ABSMAX = tl.constexpr(1e-38)  # as in reference
SMALLEST_EDGE_SCALE = tl.constexpr(1e-7)
NVFP4_SMALLEST_SCALE = tl.constexpr(2.0**-6)
MXINT8_STEP = tl.constexpr(2.0**-6)
LARGEST_STEPS_OF_FOUR = tl.constexpr(LARGEST_STEPS[4])


# -- parameters of a group ---------------------------------------------------------------------


@triton.jit
def store(v, STORE: tl.constexpr):
    """A scale (or minimum) rounded to the type it is stored in, saturating.

    What is not finite stays so: it makes weights that are not, which are refused.
    """
    if STORE == "fp16":
        return tl.where(tl.abs(v) <= MAX_FINITE, cast(v, 10, 113, MAX_FP16), v)
    elif STORE == "bf16":
        return tl.where(tl.abs(v) <= MAX_FINITE, to_bf16(v), v)
    elif STORE == "e4m3":
        return tl.where(tl.abs(v) <= MAX_FINITE, cast(v, 3, 121, MAX_E4M3), v)
    else:
        return v


@triton.jit
def beyond(exact, STORE: tl.constexpr):
    """Whether a scale exceeds the largest value of the type it is stored in."""
    if STORE == "fp16":
        return exact > MAX_FP16
    elif STORE == "bf16":
        return exact > MAX_BF16
    elif STORE == "e4m3":
        return exact > MAX_E4M3
    else:
        return exact > MAX_FINITE


@triton.jit
def divisor(scale):
    """A scale to divide by: dividing by infinity turns the weights of a vanished scale into zeros."""
    return tl.where(scale > 0, scale, INF)


@triton.jit
def parameters(low, high, mean, tensor_scale, K: tl.constexpr):
    """factor, stored, extra, and the scale before rounding (0 where no rounding is counted), of groups."""
    largest = tl.abs(tl.maximum(-low, high))  # like a range below, never -0
    none = tl.zeros_like(low)
    if K.scaling == "largest":
        exact = tl.div_rn(largest, K.largest)
        s = store(exact, K.store)
        return divisor(s), s, none, exact
    elif K.scaling == "mean":
        s = store(mean, K.store)
        return divisor(s), s, none, mean
    elif K.scaling == "zero point":
        low, high = tl.minimum(low, 0.0), tl.maximum(high, 0.0)
        exact = tl.div_rn(tl.abs(high - low), K.top)
        s = store(exact, K.store)
        safe = tl.where(s > 0, s, 1.0)
        zero = rint(clip(tl.div_rn(-low, safe), 0.0, K.top))
        reciprocal = tl.div_rn(1.0, safe)
        factor = tl.where(reciprocal > MAX_FINITE, -s, reciprocal)
        return tl.where(s > 0, factor, 0.0), s, tl.where(s > 0, zero, 0.0), exact
    elif K.scaling == "minimum":
        exact = tl.div_rn(tl.abs(high - low), K.top)
        s = store(exact, K.store)
        return divisor(s), s, store(low, K.store), exact
    elif K.scaling == "edge":
        scale = tl.maximum(tl.div_rn(tl.abs(high - low), K.top), SMALLEST_EDGE_SCALE)
        from_low = tl.abs(low) > tl.abs(high)
        scale, edge = tl.where(from_low, scale, -scale), tl.where(from_low, low, high)
        steps = rint(tl.div_rn(edge, scale))
        scale = tl.where(steps != 0, tl.div_rn(edge, tl.where(steps != 0, steps, 1.0)), scale)
        s = store(scale, K.store)
        return tl.where(s != 0, s, INF), s, store(tl.where(steps != 0, edge, 0.0), K.store), tl.abs(scale)
    elif K.scaling == "unit":
        s = store(largest, K.store)
        least = tl.full(s.shape, SMALLEST_ABSMAX, tl.float32)  # subnormal, so a bare number would count as float64
        return tl.div_rn(1.0, tl.maximum(s, least)), s, none, largest
    elif K.scaling == "power of two":
        field = (bits_of(tl.div_rn(largest, K.largest)) + K.addend) >> 23
        exponent = tl.minimum(tl.maximum(field - K.power_emax, 0), 254)
        # 2^-127 is subnormal: stored so, but weights are divided by 2^-126, as torchao has it.
        s = float_of(tl.where(exponent > 0, exponent << 23, 1 << 22))
        return tl.div_rn(1.0, tl.maximum(s, MIN_NORMAL)), s, none, none
    elif K.scaling == "two levels":
        whole = none + tl.where(tensor_scale > 0, tensor_scale, 1.0)
        exact = clip(tl.div_rn(tl.div_rn(largest, 6.0), whole), NVFP4_SMALLEST_SCALE, 448.0)
        block = tl.where(tensor_scale > 0, cast(exact, 3, 121, 448.0), 0.0)
        safe = tl.where(block > 0, block, 1.0)
        factor = tl.where(block > 0, tl.minimum(tl.div_rn(tl.div_rn(1.0, whole), safe), MAX_FINITE), 0.0)
        return factor, whole * block, block, none
    else:  # a plain cast
        return none + 1.0, none + 1.0, none, none


@triton.jit
def four_over_six(v, high, tensor, K: tl.constexpr):
    """factor, stored and extra of NVFP4 blocks [count] under sixes=4, of weights v [count, weights], 0 where there is
    none. high: the largest magnitude of each.  tensor: as `plan.Parameters` has it."""
    six, stored, block, error = _of_four_or_six(v, high, 1.0, tensor, K)
    four, stored_of_four, block_of_four, error_of_four = _of_four_or_six(v, high, 1.5, tensor, K)
    better = error_of_four < error
    return tl.where(better, four, six), tl.where(better, stored_of_four, stored), tl.where(better, block_of_four, block)


@triton.jit
def _of_four_or_six(v, high, grown, tensor, K: tl.constexpr):
    """The same with one scale, and Σ e²."""
    scale, rate, largest = tl.load(tensor), tl.load(tensor + 1), tl.load(tensor + 2)
    block = cast(tl.div_rn(high, 6.0) * rate * grown, 3, 121, 448.0)
    stored = scale * block
    factor = tl.where(stored > 0, tl.div_rn(1.0, tl.where(stored > 0, stored, 1.0)), 0.0)
    factor = tl.minimum(factor, MAX_FINITE)
    u = clip(v * factor[:, None], -6.0, 6.0)
    e = tl.div_rn(cast(u, K.mantissa, K.emin, K.top) * block[:, None] * largest, LARGEST_STEPS_OF_FOUR) - v
    return factor, stored, block, tl.sum((e * e).to(tl.float64), 1)


# -- codes -------------------------------------------------------------------------------------


@triton.jit
def rank_of(v, table):
    """How many of the 15 rising thresholds lie below v."""
    n = tl.where(v > tl.load(table + 7), 8, 0)
    n += tl.where(v > tl.load(table + n + 3), 4, 0)
    n += tl.where(v > tl.load(table + n + 1), 2, 0)
    return n + tl.where(v > tl.load(table + n), 1, 0)


@triton.jit
def to_steps(v, factor, extra, K: tl.constexpr):
    """A weight as the element sees it."""
    if K.scaling == "none" or K.element == "signs":
        return v
    elif K.scaling == "largest" or K.scaling == "mean":
        return tl.div_rn(v, factor)
    elif K.scaling == "zero point":
        return tl.where(factor < 0, tl.div_rn(v, tl.where(factor < 0, -factor, 1.0)), v * factor)
    elif K.scaling == "minimum" or K.scaling == "edge":
        return tl.div_rn(v - extra, factor)
    elif K.scaling == "unit":
        return clip(v * factor, -1.0, 1.0)
    elif K.scaling == "two levels":
        return clip(v * factor, -6.0, 6.0)
    else:  # a power of two
        return v * factor


@triton.jit
def from_steps(value, stored, extra, K: tl.constexpr):
    """A weight from what the element stands for."""
    if K.scaling == "none":
        return value
    elif K.scaling == "zero point":
        return (value - extra) * stored
    elif K.scaling == "minimum" or K.scaling == "edge":
        return extra + value * stored
    else:
        return value * stored


@triton.jit
def encode(v, factor, extra, table, K: tl.constexpr):
    """The code: a whole number in float32 for the elements that are whole numbers or signs, else int32."""
    u = to_steps(v, factor, extra, K)
    if K.element == "identity":
        return bits_of(u)
    elif K.element == "bf16":
        return (bits_of(to_bf16(u)) >> 16) & 0xFFFF
    elif K.element == "floats":
        return cast_code(u, K)
    elif K.element == "signs":
        return tl.where(u >= 0, 1.0, -1.0)
    elif K.element == "levels":
        return tl.load(table + 32 + rank_of(u, table)).to(tl.int32)
    elif K.element == "stepped":
        return rint(clip(u * 64.0, -127.0, 127.0))
    elif K.scaling == "zero point":  # clipped before it is rounded, and only then shifted: see rint
        return rint(clip(u, -extra, K.top - extra)) + extra
    else:
        return rint(clip(u, K.first * 1.0, K.top))


@triton.jit
def decode(code, stored, extra, table, K: tl.constexpr):
    """The dequantized weight of a code, in either form that `encode` gives, or an integer."""
    if K.element == "identity":
        return float_of(code)
    elif K.element == "bf16":
        return float_of(code << 16)
    elif K.element == "floats":
        return from_steps(code_value(code, K), stored, extra, K)
    elif K.element == "levels":
        return from_steps(tl.load(table + 16 + (code & 15)), stored, extra, K)
    elif K.element == "stepped":
        return from_steps(code.to(tl.float32) * MXINT8_STEP, stored, extra, K)
    else:
        return from_steps(code.to(tl.float32), stored, extra, K)


@triton.jit
def outside(v, stored, extra, K: tl.constexpr):
    """Whether weights round beyond the smallest or largest code, as `reference.code_limits` has it."""
    half_step = K.top + (2.0 ** (K.emax - K.mantissa)) * 0.5  # of a float format
    if K.element == "identity" or K.element == "signs":
        return v != v
    elif K.scaling == "none":
        return tl.abs(v) > half_step
    elif K.element == "floats":
        return (stored > 0) & (tl.abs(v) > half_step * stored)
    elif K.element == "levels":
        return (stored > 0) & (tl.abs(v) > stored)
    elif K.element == "stepped":
        return (stored > 0) & (tl.abs(v) > 127.5 * MXINT8_STEP * stored)
    else:
        low = from_steps(K.first - 0.5 + tl.zeros_like(stored), stored, extra, K)
        high = from_steps(K.top + 0.5 + tl.zeros_like(stored), stored, extra, K)
        if K.scaling == "edge":
            low, high = tl.minimum(low, high), tl.maximum(low, high)
        return (stored != 0) & ((v < low) | (v > high))
