"""What rounds one weight, as arrays: the parameters of its group, fixed before, and a table or a range of codes.

Of a weight x in a group, in float32 and in this order:

    t    = (x - shift) × factor   or   (x - shift) / factor,   within ±limit
    code = round(t / step) + zero within [low, high],   or that of the stretch between thresholds in which t lies
    x̂    = (value of the code - zero) × stored + shift

which is what `quantviz.kernels.reference.rules` does rule by rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..formats import CodebookFormat, FloatFormat
from ..kernels.results import Quantized
from ..schemes import Scheme
from ..schemes.rules import element_of

f4 = np.float32
_MIN_NORMAL = f4(2.0**-126)
_SMALLEST_ABSMAX = f4(1e-38)  # bitsandbytes' clamp before it takes the reciprocal


@dataclass(frozen=True, eq=False)
class Steps:
    """factor, shift, zero, stored: float32 [grid rows, grid cols].  multiply: whether x is multiplied by factor.
    scale: what the reference's parameters call so.

    Of whole numbers low, high and step; of others `thresholds` (float32, rising), and of each stretch between them,
    the lowest first, `values` (float32) and `codes` (int64).
    height, width: of a group.
    """

    height: int
    width: int
    factor: np.ndarray
    shift: np.ndarray
    zero: np.ndarray
    stored: np.ndarray
    scale: np.ndarray
    multiply: bool
    limit: np.float32
    low: float
    high: float
    step: np.float32
    thresholds: np.ndarray
    values: np.ndarray
    codes: np.ndarray

    @property
    def signed_zero(self) -> bool:
        """Whether -0 has a code of its own, which a t of -0 takes."""
        return bool(((self.values == 0) & np.signbit(self.values)).any())

    def group_of(self, columns: np.ndarray) -> np.ndarray:
        """Which group along a row holds each column."""
        return columns // self.width


def steps_of(q: Quantized, exact: np.ndarray | None = None) -> Steps:
    """From what rounding to nearest gave a tensor [rows, cols]: its scales, zero points or minima.

    exact: scales before they were quantized themselves, with double=1; codes stand on these.
    """
    scheme = q.scheme
    height, width = scheme.granularity.within(*q.shape)
    scale = np.asarray(q.scales, f4)
    shift, zero, stored, limit, multiply = np.zeros_like(scale), np.zeros_like(scale), scale, f4(np.inf), False
    with np.errstate(divide="ignore", over="ignore"):
        factor = np.where(scale > 0, scale, f4(np.inf))
        match scheme.how.scaling:
            case "zero point":
                zero = np.asarray(q.zero_points, f4)
                factor, multiply = np.where(scale > 0, f4(1) / scale, f4(0)), True
                if np.isinf(factor).any():  # of the smallest scales there is no reciprocal in float32
                    factor, multiply = np.where(scale > 0, scale, f4(np.inf)), False
            case "minimum":
                shift = np.asarray(q.minima, f4)
            case "edge":
                shift, factor = np.asarray(q.minima, f4), np.where(scale != 0, scale, f4(np.inf))
            case "unit":
                scale = scale if exact is None else np.asarray(exact, f4)
                factor, multiply, limit = f4(1) / np.maximum(scale, _SMALLEST_ABSMAX), True, f4(1)
            case "power of two":
                scale = factor = np.maximum(scale, _MIN_NORMAL)
            case "two levels":
                tensor = f4(q.tensor_scale)
                stored, multiply, limit = tensor * scale, True, f4(6)
                inverse = (f4(1) / tensor) / np.where(scale > 0, scale, f4(1))
                scale = factor = np.where(scale > 0, np.minimum(inverse, np.finfo(f4).max), f4(0))
    thresholds, values, codes = _table(scheme)
    low, high = scheme.code_range
    return Steps(
        height, width, factor.astype(f4), shift, zero, stored.astype(f4), scale.astype(f4), multiply, limit,
        float(low), float(high), f4(scheme.how.step), thresholds, values, codes,
    )  # fmt: skip


def _table(scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(thresholds, values, codes): a number t lies in the stretch after all thresholds that are below it."""
    f = element_of(scheme.fmt)
    match scheme.how.element:
        case "integers":
            return np.zeros(0, f4), np.zeros(0, f4), np.zeros(0, np.int64)
        case "signs":  # 0 counts as positive
            return np.array([_below(0.0)]), np.array([-1, 1], f4), np.array([-1, 1])
        case "levels":
            order = f.order.astype(np.int64)
            return f.thresholds.astype(f4), f.values[order].astype(f4), order
    return _float_table(f)


def _below(x: float) -> np.float32:
    return np.nextafter(f4(x), f4(-np.inf))


def _float_table(f: FloatFormat | CodebookFormat) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a float format: halfway between two values, which the one with the even code takes."""
    positive = np.arange(f.max_code + 1)
    values = f.values[positive].astype(f4)
    halves = (values[1:].astype(np.float64) + values[:-1]) / 2  # exact in float32: one bit more than a value has
    up = np.where(positive[1:] % 2 == 0, [_below(h) for h in halves], halves.astype(f4)).astype(f4)
    down = np.where(positive[1:] % 2 == 0, -halves.astype(f4), [_below(-h) for h in halves]).astype(f4)
    sign = 1 << (f.bits - 1)
    zeros = [sign] if f.has_negative_zero else []  # -0 and what rounds to it; else both are one stretch
    thresholds = np.concatenate([down[::-1], [_below(0.0)] if zeros else [], up]).astype(f4)
    codes = np.concatenate([positive[:0:-1] + sign, zeros, positive])
    return thresholds, np.concatenate([-values[:0:-1], -np.zeros(len(zeros), f4), values]).astype(f4), codes
