"""The tensor's own statistics, once a tensor and not once a scheme: two passes in pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ....statistics import LARGEST, Histogram, TensorStatistics
from ....tensors import StoredTensor, refuse_non_finite
from ...bins import value_bins
from ...results import Extremes, Progress
from ..compiler import REORDER, inlined, kernel
from ..loops import sums
from ..loops.counts import COPIES, count_values
from ..loops.plan import PIECE, STRETCH
from ..workers import work

f4, f8, u4 = np.float32, np.float64, np.uint32


@dataclass(frozen=True)
class Basics:
    """First pass: extremes, sum, and Σ|x| where asked for."""

    min: float
    max: float
    total: float
    total_abs: float
    count: int

    @property
    def extremes(self) -> Extremes:
        return Extremes(self.min, self.max, float(np.float32(self.total_abs / self.count)))


@inlined(REORDER)
def _sum(x):
    total = f8(0)
    for j in range(x.shape[0]):
        total += f8(x[j])
    return total


@kernel
def _basics(x, with_sums, out):
    low, high = f4(x[0]), f4(x[0])
    for o in range(0, x.shape[0], STRETCH):
        part = x[o : o + STRETCH]
        a, b = sums.extremes(part, part.shape[0])
        low, high = min(low, a), max(high, b)
        if with_sums:
            out[2] += _sum(part)
            out[3] += sums.sum_abs(part, part.shape[0])
    out[0], out[1] = low, high


def basics(stored: StoredTensor, with_mean: bool = True) -> Basics:
    """Extremes of a tensor, and with_mean its sum and Σ|x|. Sums of NaN are NaN: the caller's to refuse."""
    starts = range(0, stored.size, PIECE)
    outs = np.zeros((len(starts), 4))

    def run(numbered) -> None:
        for number, start in numbered:
            _basics(stored.read(start, start + PIECE), with_mean, outs[number])

    work(starts, run)
    return Basics(outs[:, 0].min(), outs[:, 1].max(), outs[:, 2].sum(), outs[:, 3].sum(), stored.size)


@inlined(REORDER)
def _powers(x, mean):
    """Zeros, Σx², Σ(x - mean)², Σ(x - mean)⁴, in float64."""
    zeros, squares, second, fourth = f8(0), f8(0), f8(0), f8(0)
    for j in range(x.shape[0]):
        v = f8(x[j])
        d = (v - mean) * (v - mean)
        zeros += f8(1) if v == f8(0) else f8(0)
        squares += v * v
        second += d
        fourth += d * d
    return zeros, squares, second, fourth


@kernel
def _moments(x, start, mean, bins, table, out, top_index, top_value):
    index = np.empty(STRETCH, u4)
    last = top_value.shape[0] - 1
    for o in range(0, x.shape[0], STRETCH):
        part = x[o : o + STRETCH]
        n = part.shape[0]
        zeros, squares, second, fourth = _powers(part, mean)
        out[0] += zeros
        out[1] += squares
        out[2] += second
        out[3] += fourth
        count_values(part, n, bins, index, table)
        if sums.largest_magnitude(part, n) > abs(top_value[last]) or top_index[last] < 0:
            for j in range(n):
                v = part[j]
                if abs(v) > abs(top_value[last]) or top_index[last] < 0:
                    k = last  # insertion into a short list, largest first
                    while k > 0 and (top_index[k - 1] < 0 or abs(top_value[k - 1]) < abs(v)):
                        top_index[k], top_value[k] = top_index[k - 1], top_value[k - 1]
                        k -= 1
                    top_index[k], top_value[k] = start + o + j, v


def describe(stored: StoredTensor, progress: Progress | None = None) -> TensorStatistics:
    """Moments, extremes, histogram and largest weights of a tensor. Raises QuantvizError for NaN and infinity."""
    first = basics(stored)
    if not math.isfinite(first.total_abs):
        refuse_non_finite(stored)
    mean = first.total / stored.size
    bins = value_bins(first.min, first.max)
    as_array = np.array([bins.lo, bins.inverse_width, bins.count], np.float32)
    starts = range(0, stored.size, PIECE)
    outs = np.zeros((len(starts), 4))
    tables, tops = [], []

    def run(numbered) -> None:
        table = np.zeros((COPIES, bins.count + 2), np.int64)
        index, value = np.full(LARGEST, -1), np.zeros(LARGEST, np.float32)
        tables.append(table)
        tops.append((index, value))
        for number, start in numbered:
            x = stored.read(start, start + PIECE)
            _moments(x, start, mean, as_array, table, outs[number], index, value)
            if progress:
                progress(start + len(x), stored.size)

    work(starts, run)
    zeros, squares, second, fourth = outs.sum(axis=0)
    counts = sum(table.sum(axis=0) for table in tables)
    index, value = np.concatenate([i for i, _ in tops]), np.concatenate([v for _, v in tops])
    order = np.lexsort((index, -np.abs(value)))
    order = order[index[order] >= 0][:LARGEST]
    variance = second / stored.size
    return TensorStatistics(
        shape=stored.shape, input_axes=stored.input_axes, count=stored.size, zeros=int(zeros), min=first.min,
        max=first.max, mean=mean, std=math.sqrt(variance), mean_abs=first.total_abs / stored.size, sum_squares=squares,
        excess_kurtosis=fourth / stored.size / variance**2 - 3 if variance else math.nan,
        histogram=Histogram(float(bins.lo), float(bins.hi), counts[1:-1], int(counts[0]), int(counts[-1])),
        largest_index=index[order], largest_value=value[order],
    )  # fmt: skip
