"""Facts of a tensor before any scheme: moments, extremes, its histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

LARGEST = 20  # how many of the largest weights are kept


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts in equal bins over [lo, hi), with what fell outside counted beside them."""

    lo: float
    hi: float
    counts: np.ndarray  # int64 [bins]
    below: int = 0
    above: int = 0

    @property
    def edges(self) -> np.ndarray:
        """float64 [bins + 1]"""
        return np.linspace(self.lo, self.hi, len(self.counts) + 1)

    @property
    def total(self) -> int:
        return int(self.counts.sum()) + self.below + self.above


@dataclass(frozen=True, eq=False)
class TensorStatistics:
    """Moments, extremes and histogram of a tensor; everything in float64 sums.

    largest_index, largest_value: the weights of largest magnitude, largest first; flat row-major positions.
    """

    shape: tuple[int, ...]
    count: int
    zeros: int
    min: float
    max: float
    mean: float
    std: float
    mean_abs: float
    sum_squares: float
    excess_kurtosis: float
    histogram: Histogram
    largest_index: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    largest_value: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    input_axes: int = 0  # as `tensors.rows_and_cols` takes it

    @property
    def max_abs(self) -> float:
        return max(abs(self.min), abs(self.max))

    @property
    def crest_factor(self) -> float:
        """max |x| / σ: how far out the largest weight lies. NaN for a constant tensor."""
        return self.max_abs / self.std if self.std else math.nan

    @property
    def farthest(self) -> float:
        """How many σ the farthest weight lies from the mean. NaN for a constant tensor."""
        return max(self.max - self.mean, self.mean - self.min) / self.std if self.std else math.nan

    @property
    def incoherence(self) -> float:
        """max |x| · √(mn) / ‖W‖: 1 when all magnitudes are equal, √(mn) when one weight holds everything (QuIP)."""
        norm = math.sqrt(self.sum_squares)
        return self.max_abs * math.sqrt(self.count) / norm if norm else math.nan
