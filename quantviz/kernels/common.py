"""What every engine takes and gives: quantized tensors, bins to count in, and the result of one pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..metrics import Sums
from ..schemes import Scheme
from ..tensors import Shaped

Progress = Callable[[int, int], None]  # (weights done, weights in all); raising stops the work

VALUE_BINS = 2048  # of the original and dequantized histograms
ERROR_BINS = 512  # of the error histogram
ERROR_SPAN = 4.0  # it spans ± this many RMS errors of a sample; what lies beyond is counted at its ends
_LARGEST = float(np.finfo(np.float32).max)

# Percentiles of |e| are read from logarithmic bins: the upper bits of its float32 pattern.
# Dropping 17 of 23 mantissa bits leaves 64 bins an octave, each at most 1/64 of its value wide.
LOG_BIN_SHIFT = 17
LOG_BINS = 1 << (31 - LOG_BIN_SHIFT)
PERCENTILE_RESOLUTION = 2.0**-6

# clip=mse tries these widths of a range, as factors of the absmax range: quarter octaves down to 1/13, then sixteenths
# about the best of those, sixty-fourths about the best so far, and parts of 256, among which the best of 8 bits lies.
# A factor of 1 is always among them, so that the result is never worse than absmax; it is the best of those tried, not
# of all there are.
COARSE_SHRINKS = tuple(np.float32(2.0 ** (-k / 4)) for k in range(1, 16))
NEARER_SHRINKS = tuple(tuple(np.float32(2.0 ** (k / parts)) for k in (-2, -1, 1, 2)) for parts in (16, 64, 256))
# A group tries no narrower coarse range once one has had more than HOPELESS times its least error: what is cut off only
# grows.
HOPELESS = 4.0

# The default settings of the hqq package: ℓp norm with p = 0.7, β = 10, 20 iterations.
HQQ_EXPONENT, HQQ_BETA, HQQ_ITERATIONS = 0.7, 10.0, 20


def percentile_rank(percentile: Fraction, sizes: np.ndarray) -> np.ndarray:
    """Nearest rank, from 1, of a percentile among `sizes` weights: ⌈P·n / 100⌉ in whole numbers."""
    share = percentile / 100
    return -(-sizes * share.numerator // share.denominator)


@dataclass(frozen=True)
class Extremes:
    """What a scale of the whole tensor is made from, where an engine sees only a part of it."""

    min: float
    max: float
    mean_abs: float

    @property
    def max_abs(self) -> float:
        return max(abs(self.min), abs(self.max))


@dataclass(frozen=True)
class Bins:
    """`count` equal bins over [lo, hi). The bin of v is floor((v - lo) · inverse_width), all in float32."""

    lo: np.float32
    hi: np.float32
    count: int

    @property
    def inverse_width(self) -> np.float32:
        return np.float32(self.count / (float(self.hi) - float(self.lo)))

    def places(self, values: np.ndarray) -> np.ndarray:
        """Where float32 values are counted: 0 below (and NaN), 1 ... count inside, count + 1 above; int32."""
        with np.errstate(over="ignore"):  # far beyond the last bin
            place = np.floor((values - self.lo) * self.inverse_width)
        return np.nan_to_num(np.clip(place, -1, self.count), nan=-1).astype(np.int32) + 1


def value_bins(low: float, high: float) -> Bins:
    """Bins for original and dequantized weights: the originals' range, and a little more for rounding beyond it."""
    largest = max(abs(low), abs(high))
    margin = max(0.02 * (high - low), 2.0**-22 * largest) if high > low else 0.02 * largest
    return _bins(low - margin, high + margin, VALUE_BINS)


def error_bins(mean_square: float, largest: float) -> Bins:
    """Bins for errors of this mean square, in weights of this largest magnitude."""
    span = max(ERROR_SPAN * math.sqrt(mean_square), largest * 2.0**-24)
    return _bins(-span, span, ERROR_BINS)


def _bins(low: float, high: float, count: int) -> Bins:
    """Bins over [low, high), wide enough that float32 holds 1 / width, and no wider than its largest number."""
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    middle, half = (low + high) / 2, min(max((high - low) / 2, count / _LARGEST), _LARGEST / 2)
    return Bins(np.float32(middle - half), np.float32(middle + half), count)


@dataclass
class Counts:
    """What one pass counts weight by weight. Histogram arrays hold [below, bins ..., above]."""

    dequantized: np.ndarray  # int64 [VALUE_BINS + 2]
    error: np.ndarray  # int64 [ERROR_BINS + 2]
    abs_error_log: np.ndarray  # int64 [LOG_BINS]
    codes: np.ndarray | None  # int64 [number of codes], smallest code first; None beyond 16 bits
    block_rmse: np.ndarray  # float32 [grid rows, grid cols], √mean(e²) of each group
    zeroed: int
    clipped: int | None  # None where no weight lies beyond the codes, as they tell no more than signs or are a lattice
    least_error: float  # the least |e|


@dataclass
class Pass:
    """The result of one pass over a tensor under one scheme."""

    sums: Sums
    counts: Counts | None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Quantized(Shaped):
    """Codes, scales and what else a scheme stores.

    codes: shape of the tensor; signed for sym and ternary, unsigned for asym, offset and code books,
    bit patterns for float formats.
    scales: float32 [grid rows, grid cols], the values as stored (rounded to the scale's type); None for a cast.
    zero_points: integers as float32-exact uint8, asym only.  minima: float32, offset only.
    tensor_scale: float32, nvfp4 only; a block's scale is tensor_scale · scales.
    kept_index, kept_values: with keep=, the flat places (int64, rising) and float16 values of the weights kept apart.
    nested: with double=1, what the scales are restored from.
    data: block types only, the runtime's own bytes: uint8 [rows, row bytes]. Their scales and minima are those of each
    group, float32 [rows, groups a row], second-level scales multiplied in; codes are as `block_types` reads them.
    With rotate=hadamard the codes are those of the rotated rows.
    Arrays are NumPy's, or torch's where the tensor quantized was torch's.
    """

    scheme: Scheme
    shape: tuple[int, ...]
    codes: Any
    scales: Any = None
    zero_points: Any = None
    minima: Any = None
    tensor_scale: float | None = None
    notices: tuple[str, ...] = field(default=())
    kept_index: Any = None
    kept_values: Any = None
    nested: Any = None
    data: Any = None
    input_axes: int = field(default=0, kw_only=True)

    def shaped(self, shape: tuple[int, ...], input_axes: int = 0) -> Quantized:
        """The same codes for weights of another shape with the same rows."""
        return replace(self, shape=shape, codes=self.codes.reshape(shape), input_axes=input_axes)

    @property
    def nbytes(self) -> int:
        """Bytes stored, the last one padded."""
        return -(-self.scheme.bits_stored(self.matrix) // 8)

    @property
    def bits_per_weight(self) -> float:
        return self.scheme.bits_per_weight(self.matrix)

    def dequantize(self) -> Any:
        """float32 weights in the shape of the original."""
        from . import dequantize

        return dequantize(self)

    def tobytes(self) -> bytes:
        """The bytes that the runtime of a block type stores, row after row. Other schemes are no runtime's layout."""
        if self.data is None:
            raise QuantvizError(
                f"{self.scheme} is no packed layout of a runtime's; tobytes() is for block types such as q4_0 and q4_k."
            )
        data = self.data if isinstance(self.data, np.ndarray) else self.data.cpu().numpy()
        return data.tobytes()


def scale_notices(scheme: Scheme, vanished: int, saturated: int) -> tuple[str, ...]:
    """Sentences about scales that their stored type could not hold."""
    out = []
    if vanished:
        out.append(
            f"{vanished:,} scale{'s' * (vanished != 1)} became 0 in {scheme.scale}, so their weights are exact zeros; "
            "scale=fp32 keeps them."
        )
    if saturated:
        out.append(
            f"{saturated:,} scale{'s' * (saturated != 1)} exceeded the largest {scheme.scale} value and "
            f"{'were' if saturated != 1 else 'was'} cut to it; scale=fp32 holds them."
        )
    return tuple(out)
