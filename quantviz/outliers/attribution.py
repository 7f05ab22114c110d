"""Which weights carry the error of a scheme: by magnitude, by channel, by blocks with and without an outlier.

>>> w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
>>> a = attribute(w, "int4-sym-b64")
>>> round(float(a.squared_error_share.sum()), 12)
1.0
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..evaluation import describe
from ..evaluation.experts import apart
from ..kernels.results import Progress
from ..schemes import TENSOR, Scheme
from ..statistics import TensorStatistics
from ..tensors import as_stored, check_importance
from ..text.wording import number

BAND_EDGES = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)  # in σ; a band is [lower, upper)
OUTLIER_SIGMAS = 6.0  # a normal layer of 10⁹ weights reaches 6.1σ


@dataclass(frozen=True, eq=False)
class Channels:
    """Sums over each channel: squared_error Σe² and squared Σx², float64 [channels]; weights in each."""

    squared_error: np.ndarray
    squared: np.ndarray
    weights: int

    @property
    def rmse(self) -> np.ndarray:
        """Root mean squared error of each channel, in the weights' own unit."""
        return np.sqrt(self.squared_error / self.weights)

    @property
    def relative(self) -> np.ndarray:
        """‖e‖ / ‖x‖ of each channel; NaN where a channel is all zeros."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(np.where(self.squared > 0, self.squared_error / self.squared, np.nan))


@dataclass(frozen=True)
class Side:
    """The blocks with an outlier, or those without. Shares are of all blocks, weights, Σe² and Σ|e|."""

    blocks: int
    block_share: float
    weight_share: float
    squared_error_share: float
    abs_error_share: float
    rmse: float  # over all weights of these blocks; NaN where there are none


@dataclass(frozen=True, eq=False)
class Attribution:
    """Who carries the error of one tensor under one scheme.

    bands: float64 [bands, 3], a row a band of |x|: weights, Σe², Σ|e|. band_edges in σ, without 0 and ∞.
    rows, cols: per output channel and per input channel.
    block_squared_error, block_abs_error (float64) and block_largest (float32, max |x|), [grid rows, grid cols];
    None for a plain cast, which has no blocks, and where rows are rotated first: blocks lie on the rotated ones.
    largest_index, largest_value, largest_error: of the weights of largest magnitude.
    mean: of the weights. Magnitudes are counted from 0 whatever the mean is, since a symmetric scale covers them.
    """

    scheme: str
    shape: tuple[int, ...]
    sigma: float
    band_edges: tuple[float, ...]
    bands: np.ndarray
    rows: Channels
    cols: Channels
    block_squared_error: np.ndarray | None
    block_abs_error: np.ndarray | None
    block_largest: np.ndarray | None
    largest_index: np.ndarray
    largest_value: np.ndarray
    largest_error: np.ndarray
    mean: float = 0.0

    @property
    def off_centre(self) -> bool:
        """Whether the weights lie around a number other than 0, so that a large magnitude is nothing unusual."""
        return abs(self.mean) > self.sigma

    @property
    def weight_share(self) -> np.ndarray:
        """Share of the weights in each band."""
        return self.bands[:, 0] / self.bands[:, 0].sum()

    @property
    def squared_error_share(self) -> np.ndarray:
        """Share of Σe² in each band; zeros where there is no error."""
        return _shares(self.bands[:, 1])

    @property
    def abs_error_share(self) -> np.ndarray:
        """Share of Σ|e| in each band; zeros where there is no error."""
        return _shares(self.bands[:, 2])

    @property
    def band_labels(self) -> tuple[str, ...]:
        """ "0–0.5σ" and so on, the last open."""
        edges = ("0", *(number(edge) for edge in self.band_edges))
        return (*(f"{a}–{b}σ" for a, b in zip(edges, edges[1:], strict=False)), f"≥ {edges[-1]}σ")

    @property
    def block_rmse(self) -> np.ndarray | None:
        """Root mean squared error of each block, float64 [grid rows, grid cols]."""
        if self.block_squared_error is None:
            return None
        return np.sqrt(self.block_squared_error / self._sizes())

    def blocks_beyond(self, sigmas: float = OUTLIER_SIGMAS) -> tuple[Side, Side] | None:
        """(blocks that hold a weight beyond `sigmas`, all others); None where weights have no blocks."""
        if self.block_largest is None:
            return None
        with np.errstate(over="ignore"):  # as of bands
            having = self.block_largest > np.float32(sigmas * self.sigma)
        sizes = np.broadcast_to(self._sizes(), having.shape)
        return self._side(having, sizes), self._side(~having, sizes)

    def _side(self, chosen: np.ndarray, sizes: np.ndarray) -> Side:
        weights = float(sizes.sum(where=chosen, dtype=np.float64))
        squared, absolute = (float(a.sum(where=chosen)) for a in (self.block_squared_error, self.block_abs_error))
        blocks = int(chosen.sum())
        return Side(
            blocks, blocks / chosen.size, weights / float(sizes.sum(dtype=np.float64)),
            squared / (float(self.block_squared_error.sum()) or 1), absolute / (float(self.block_abs_error.sum()) or 1),
            math.sqrt(squared / weights) if weights else math.nan,
        )  # fmt: skip

    def _sizes(self) -> np.ndarray:
        granularity = Scheme.parse(self.scheme).granularity or TENSOR
        return granularity.sizes(self.rows.squared.size, self.cols.squared.size)

    def block_of(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Grid rows and columns of the blocks that hold the weights at flat positions `index`."""
        height, width = _group(Scheme.parse(self.scheme), self.rows.squared.size, self.cols.squared.size)
        return index // self.cols.squared.size // height, index % self.cols.squared.size // width


def _shares(sums: np.ndarray) -> np.ndarray:
    return sums / (sums.sum() or 1)


def _group(scheme: Scheme, rows: int, cols: int) -> tuple[int, int]:
    """Height and width of a group in weights; a plain cast counts as one."""
    g = scheme.granularity
    return g.within(rows, cols) if g else (rows, cols)


def attribute(
    w: Any,
    key: str | Scheme,
    statistics: TensorStatistics | None = None,
    progress: Progress | None = None,
    band_edges: tuple[float, ...] = BAND_EDGES,
    importance: Any = None,
) -> Attribution:
    """Who carries the error of `w` under a scheme, in one pass; nothing but the result grows with the tensor.

    w: NumPy array, torch tensor or StoredTensor.  statistics: of `w`, if known.  band_edges: ascending, in σ.
    importance: one non-negative number an input channel, which weighs the search of clip=mse.
    Raises QuantvizError as `evaluate` does.
    """
    scheme, stored = Scheme.parse(key), as_stored(w)
    scheme.check_shape(stored.rows, stored.cols)
    scheme.check_importance_given(importance is not None)
    if not band_edges or any(b <= a for a, b in zip((0.0, *band_edges), band_edges, strict=False)):
        raise QuantvizError("Magnitude bands need edges above 0 in ascending order, for example 1, 2, 4.")
    from ..kernels import cpu

    statistics = statistics or describe(stored)
    tables = _Tables(stored, scheme, statistics, band_edges, progress)
    for start, part, h in apart(stored, scheme, check_importance(importance, stored.cols, stored.rows)):
        cpu.reconstruct(part, scheme, statistics, lambda row, x, y, s=start: tables.add(s + row, x, y), h)
    return tables.result()


class _Tables:
    """The sums of a pass, piece by piece; pieces arrive from several threads, in any order."""

    def __init__(self, stored, scheme, statistics, band_edges, progress) -> None:
        rows, cols = stored.rows, stored.cols
        self.stored, self.scheme, self.statistics, self.band_edges = stored, scheme, statistics, band_edges
        self.progress, self.done, self.lock = progress, 0, threading.Lock()
        with np.errstate(over="ignore"):  # an edge beyond float32 is infinite: no weight reaches it
            self.edges = np.array([edge * statistics.std for edge in band_edges], np.float32)
        self.bands = np.zeros((len(band_edges) + 1, 3))
        self.rows, self.cols = np.zeros((2, rows)), np.zeros((2, cols))
        self.height, self.width = _group(scheme, rows, cols)
        grid = -(-rows // self.height), -(-cols // self.width)
        self.squared, self.absolute, self.largest = np.zeros(grid), np.zeros(grid), np.zeros(grid, np.float32)
        self.errors = np.zeros(len(statistics.largest_index), np.float32)

    def add(self, first: int, x: np.ndarray, y: np.ndarray) -> None:
        """x, y: float32 [rows, cols], original and dequantized, from row `first` on."""
        from ..kernels.cpu.loops.attribution import Shares
        from ..kernels.cpu.loops.attribution import attribute as run

        n, cols = x.shape
        top = first // self.height
        down = (first + n - 1) // self.height + 1 - top
        mine = Shares.of(len(self.bands), n, cols, (down, self.squared.shape[1]))
        run(x, y, self.edges, self.height, self.width, first - top * self.height, mine)
        here = slice(top, top + down)
        at = self.statistics.largest_index - first * cols
        inside = (at >= 0) & (at < n * cols)
        with self.lock:
            self.bands += mine.bands
            self.rows[:, first : first + n] += mine.rows
            self.cols += mine.cols
            self.squared[here] += mine.squared
            self.absolute[here] += mine.magnitude
            np.maximum(self.largest[here], mine.largest, out=self.largest[here])
            self.errors[inside] = y.reshape(-1)[at[inside]] - x.reshape(-1)[at[inside]]
            self.done += n * cols
            if self.progress:
                self.progress(self.done, self.stored.size)

    def result(self) -> Attribution:
        s, stored = self.statistics, self.stored
        apart = self.scheme.granularity is None or self.scheme.rotate != "none"
        blocks = (None,) * 3 if apart else (self.squared, self.absolute, self.largest)
        return Attribution(
            self.scheme.key, stored.shape, s.std, self.band_edges, self.bands,
            Channels(*self.rows, stored.cols), Channels(*self.cols, stored.rows), *blocks,
            s.largest_index, s.largest_value, self.errors, s.mean,
        )  # fmt: skip


def largest_table(a: Attribution) -> dict[str, Any]:
    """Columns of the table of largest weights: place, size, and the error of each and of its block."""
    cols = a.cols.squared.size
    table: dict[str, Any] = {
        "row": a.largest_index // cols,
        "column": a.largest_index % cols,
        "weight": a.largest_value,
        "in σ": a.largest_value / (a.sigma or math.nan),
        "its error": a.largest_error,
    }
    rmse = a.block_rmse
    if rmse is not None:
        at = a.block_of(a.largest_index)
        table["block"] = [f"{r}, {c}" for r, c in zip(*at, strict=True)]
        table["block's RMSE"] = rmse[at]
        table["× median block"] = rmse[at] / (float(np.median(rmse)) or math.nan)
    return table
