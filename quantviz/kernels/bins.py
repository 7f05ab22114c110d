"""The bins in which every engine counts weights and errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

VALUE_BINS = 2048  # of the original and dequantized histograms
ERROR_BINS = 512  # of the error histogram
ERROR_SPAN = 4.0  # it spans ± this many RMS errors of a sample; what lies beyond is counted at its ends
_LARGEST = float(np.finfo(np.float32).max)

# Percentiles of |e| are read from logarithmic bins: the upper bits of its float32 pattern.
# Dropping 17 of 23 mantissa bits leaves 64 bins an octave, each at most 1/64 of its value wide.
LOG_BIN_SHIFT = 17
LOG_BINS = 1 << (31 - LOG_BIN_SHIFT)
PERCENTILE_RESOLUTION = 2.0**-6


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
