"""What no scheme can beat: the Gaussian rate-distortion line, and the best scalar quantizer of a tensor's histogram."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import QuantvizError
from ..statistics import Histogram

DB_PER_BIT = 20 * math.log10(2)  # 6.02
RATES = tuple(range(1, 9))  # bits
CANDIDATES = 640  # thresholds that the search chooses from
CROWDED = 0.01  # share of the weights in a bin above which they need not lie evenly in it
UNTOLD = 0.01  # share of the error that crowded bins may hide: 0.04 dB
_STEPS = 100  # at most, from the thresholds that were chosen to where the error is least
_SETTLED = 1e-9  # relative gain of a step below which they end


def gaussian_sqnr_db(bits: float, mean: float = 0.0, std: float = 1.0) -> float:
    """The most SQNR that `bits` a weight can give independent normal weights N(mean, std), however they are coded.

    The rate-distortion function D(R) = σ²·2^(-2R) of a Gaussian source (Shannon 1959); a mean costs no bits, and adds
    to the Σx² that SQNR holds against the error: 10·log10((μ² + σ²) / σ²) + 6.02·R. Of all distributions of a given
    variance the normal is the hardest, so weights of another may pass this line; so may normal weights whose variance
    changes from block to block. Infinite where σ = 0.

    >>> round(gaussian_sqnr_db(4), 2), round(gaussian_sqnr_db(4, mean=1, std=0.05), 2)
    (24.08, 50.11)
    """
    return (10 * math.log10(1 + (mean / std) ** 2) if std else math.inf) + DB_PER_BIT * bits


@dataclass(frozen=True, eq=False)
class ScalarQuantizer:
    """The best way to round weights to a few values, one set of values for the whole tensor, codes of equal length.

    levels: float64 [n], rising.  thresholds: float64 [n - 1] between them.
    mse: mean squared error, in the histogram's unit squared.  sqnr_db: 10·log10(mean x² / mse).
    resolved: whether the histogram is fine enough for these figures. Where its bins are wider than the error, or a few
    of them hold a large part of the weights, the error depends on where weights lie inside a bin.
    """

    levels: np.ndarray
    thresholds: np.ndarray
    mse: float
    sqnr_db: float
    resolved: bool

    @property
    def bits(self) -> float:
        """Rate of its fixed-length codes."""
        return math.log2(len(self.levels))


def lloyd_max(histogram: Histogram, levels: int) -> ScalarQuantizer:
    """The scalar quantizer of `levels` values with the least mean squared error on a histogram (Lloyd 1957, Max 1960).

    Weights are taken to lie evenly inside their bin. The best thresholds among CANDIDATES are found by dynamic
    programming, then moved to where the error is least, to within a few hundredths of a dB. Raises QuantvizError for
    fewer than one level, for more than CANDIDATES, and for a histogram that is empty or leaves weights outside.
    """
    return _optima(histogram, [levels])[0]


def optimal_scalar(histogram: Histogram, rates: Iterable[int] = RATES) -> list[ScalarQuantizer]:
    """`lloyd_max` with 2^rate levels for each rate in bits."""
    return _optima(histogram, [2**rate for rate in rates])


# -- the density ---------------------------------------------------------------------------------


class _Density:
    """A histogram as a density that is constant in each bin, with its moments up to any point."""

    def __init__(self, h: Histogram) -> None:
        if h.below or h.above or not h.counts.sum():
            raise QuantvizError("A limit needs the histogram of a whole tensor: with weights in it, and none outside.")
        self.edges = h.edges
        self.mass = h.counts / h.counts.sum()
        low, high = self.edges[:-1], self.edges[1:]
        self.height = self.mass / (high - low)
        moments = self.mass, self.mass * (low + high) / 2, self.mass * (low * low + low * high + high * high) / 3
        self.cumulative = [np.concatenate([[0], np.cumsum(m)]) for m in moments]
        self.second = float(self.cumulative[2][-1])

    def moments_between(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mass, Σx and Σx² of each cell between neighbouring points of `t`."""
        bin_ = np.clip(np.searchsorted(self.edges, t, "right") - 1, 0, len(self.mass) - 1)
        start, height = self.edges[bin_], self.height[bin_]
        inside = [height * (t**n - start**n) / n for n in (1, 2, 3)]
        upto = [c[bin_] + part for c, part in zip(self.cumulative, inside, strict=True)]
        return tuple(np.diff(u) for u in upto)

    def means(self, thresholds: np.ndarray) -> np.ndarray:
        """The mean of each cell; of a cell without weights, its middle."""
        cells = np.concatenate([self.edges[:1], thresholds, self.edges[-1:]])
        mass, first, _ = self.moments_between(cells)
        return np.where(mass > 0, first / np.where(mass > 0, mass, 1), (cells[:-1] + cells[1:]) / 2)

    def look(self, levels: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean squared error with these levels, and where Newton's step and Lloyd's step would move them.

        Thresholds lie halfway, so the error's slope by a level is 2·(level·mass - Σx), and its curvature tridiagonal.
        """
        thresholds = (levels[1:] + levels[:-1]) / 2
        mass, first, second = self.moments_between(np.concatenate([self.edges[:1], thresholds, self.edges[-1:]]))
        mse = float((second - 2 * levels * first + levels**2 * mass).sum())
        pull = self.height_at(thresholds) * np.diff(levels) / 4
        curvature = np.where(mass > 0, mass, 1) - np.append(pull, 0) - np.append(0, pull)
        newton = levels - _solve_tridiagonal(curvature, -pull, levels * mass - first)
        lloyd = np.where(mass > 0, first / np.where(mass > 0, mass, 1), levels)
        return mse, newton, lloyd

    def height_at(self, t: np.ndarray) -> np.ndarray:
        return self.height[np.clip(np.searchsorted(self.edges, t, "right") - 1, 0, len(self.mass) - 1)]

    def candidates(self, count: int) -> np.ndarray:
        """Points to cut at, as dense as the levels of a good quantizer: like the cube root of the density."""
        density = np.cumsum(np.cbrt(self.height))
        share = np.concatenate([[0], density]) / density[-1]
        return np.unique(np.interp(np.linspace(0, 1, count + 1), share, self.edges))


# -- the search ----------------------------------------------------------------------------------


def _optima(histogram: Histogram, counts: list[int]) -> list[ScalarQuantizer]:
    if any(not 1 <= n <= CANDIDATES for n in counts):
        raise QuantvizError(f"A scalar quantizer has 1 to {CANDIDATES} levels here.")
    density = _Density(histogram)
    cuts = density.candidates(CANDIDATES)
    width = (histogram.hi - histogram.lo) / len(histogram.counts)
    found = []
    for thresholds in _best_cuts(density, cuts, counts):
        levels, thresholds, mse = _settle(density, thresholds)
        sqnr = 10 * math.log10(density.second / mse) if mse > 0 else math.inf
        unknown = width * width / 12  # the error inside a bin, were its weights spread evenly
        crowded = float(density.mass[density.mass > CROWDED].sum())
        resolved = unknown <= mse and crowded * unknown <= UNTOLD * mse
        found.append(ScalarQuantizer(levels, thresholds, mse, sqnr, resolved))
    return found


def _best_cuts(density: _Density, cuts: np.ndarray, counts: list[int]) -> list[np.ndarray]:
    """For each number of cells, the choice among `cuts` with the least squared error, by dynamic programming."""
    mass, first, second = (np.concatenate([[0], np.cumsum(m)]) for m in density.moments_between(cuts))
    n = len(cuts) - 1
    cell_mass = mass[None, 1:] - mass[:-1, None]  # of the cell from cut i to cut j + 1
    cell_first = first[None, 1:] - first[:-1, None]
    cost = second[None, 1:] - second[:-1, None] - cell_first**2 / np.where(cell_mass > 0, cell_mass, 1)
    cost = np.where(np.tri(n, k=-1, dtype=bool), np.inf, np.maximum(cost, 0))
    most = min(max(counts), n)
    best, came_from = cost[0], np.zeros((most + 1, n), np.int32)  # best[j]: cells up to cut j + 1
    for cells in range(2, most + 1):
        total = best[:-1, None] + cost[1:]
        came_from[cells] = total.argmin(axis=0) + 1
        best = total.min(axis=0)
    return [_walk_back(cuts, came_from, min(count, most)) for count in counts]


def _walk_back(cuts: np.ndarray, came_from: np.ndarray, cells: int) -> np.ndarray:
    ends, end = [], len(cuts) - 2
    for left in range(cells, 1, -1):
        start = came_from[left, end]
        ends.append(start)
        end = start - 1
    return cuts[ends[::-1]]


def _settle(density: _Density, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """From good thresholds to the nearest optimum: Newton's steps where they help, Lloyd's where they do not."""
    levels = density.means(thresholds)
    mse, newton, lloyd = density.look(levels)
    for _ in range(_STEPS):
        moved = [(*density.look(to), to) for to in (newton, lloyd) if (np.diff(to) > 0).all()]
        if not moved:
            break
        better = min(moved, key=lambda m: m[0])
        if better[0] >= mse * (1 - _SETTLED):
            break
        mse, newton, lloyd, levels = better
    return levels, (levels[1:] + levels[:-1]) / 2, max(mse, 0.0)


def _solve_tridiagonal(diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x with A·x = right, A symmetric with `beside` next to its diagonal; by elimination (Thomas). NaN if singular."""
    d, b, r = diagonal.tolist(), beside.tolist(), right.tolist()
    for i in range(1, len(d)):
        if d[i - 1] == 0:
            return np.full(len(d), np.nan)
        factor = b[i - 1] / d[i - 1]
        d[i] -= factor * b[i - 1]
        r[i] -= factor * r[i - 1]
    for i in range(len(d) - 1, -1, -1):
        if d[i] == 0:
            return np.full(len(d), np.nan)
        r[i] = (r[i] - (b[i] * r[i + 1] if i + 1 < len(d) else 0)) / d[i]
    return np.array(r)
