"""What a packed tensor holds, in one pass beside its original: codes, scales, zero points, and how near they come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..checkpoints.decoded import Decoded
from ..checkpoints.layer import Unpacked
from ..kernels.results import Progress
from ..tensors import StoredTensor
from .scale_rules import Extremes, ScaleRule

_PIECE = 1 << 15  # weights taken apart at a time, about: so many that what is made of them stays in cache
_TIE = 1e-6  # how much farther than the nearest a level may be, relative, to count as nearest too


@dataclass
class Survey:
    """Of one tensor. count: weights.  squared_error: Σ(stored − original)², float64.

    nearest: how many codes stand for the level nearest to the original, given the tensor's own scales.
    zeros: (smallest, largest) zero point, None for formats without; whole_zeros: whether all are whole numbers.
    least, most: the smallest and largest code less its zero point, of formats whose codes are whole numbers.
    used: bool, which of the layer's levels some weight has.  powers: whether all scales are powers of two.
    exponents: (smallest, largest) of these.  groups: scales above 0; by_rule: how many of them each rule gives.
    second: whether scales are made of others.  minima: whether groups have one.
    """

    count: int = 0
    squared_error: float = 0.0
    nearest: int = 0
    zeros: tuple[float, float] | None = None
    whole_zeros: bool = True
    least: float = math.inf
    most: float = -math.inf
    used: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    powers: bool = True
    exponents: tuple[int, int] = (1000, -1000)
    groups: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)
    minima: bool = False
    second: bool = False


def survey(
    x: StoredTensor, y: Decoded, tile: int, rules: tuple[ScaleRule, ...], progress: Progress | None = None
) -> Survey:
    """x: the original as its quantizer saw it.  tile: rows that share a scale.  rules: that are tried."""
    found = Survey(used=np.zeros(len(y.layer.levels), bool), by_rule={rule.name: 0 for rule in rules})
    levels = _Levels(y.layer.levels)
    whole = tile >= x.rows  # one tile from the first row to the last, which is not held at once
    height = max(1, _PIECE // x.cols // (1 if whole else tile)) * (1 if whole else tile)
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    for row in range(0, x.rows, height):
        stop = min(row + height, x.rows)
        u = y.unpacked(row, stop)
        w = x.read(row * x.cols, stop * x.cols).reshape(-1, x.cols)
        _piece(found, w, u, levels, y.layer.first_code)
        each = min(tile, stop - row)
        low, high = (_of_tiles(p, each, how) for p, how in zip(_of_groups(w, u), (np.minimum, np.maximum), strict=True))
        ends.append((low, high))
        if not whole:
            _rules(found, *ends.pop(), u.scales[::each], rules)
        if progress:
            progress(stop * x.cols, x.size)
    if whole:
        lows, highs = zip(*ends, strict=True)
        _rules(found, np.stack(lows).min(axis=0), np.stack(highs).max(axis=0), u.scales[:1], rules)
    return found


class _Levels:
    """What codes stand for, in rising order, to find the nearest."""

    def __init__(self, levels: np.ndarray) -> None:
        self.rising = np.unique(levels[np.isfinite(levels)]).astype(np.float64)
        self._between = (self.rising[1:] + self.rising[:-1]) / 2
        self._whole = np.array_equal(self.rising, self.rising[0] + np.arange(len(self.rising)))

    def nearest(self, t: np.ndarray) -> np.ndarray:
        if self._whole:
            return np.clip(np.rint(t), self.rising[0], self.rising[-1])
        return self.rising[np.searchsorted(self._between, t)]


def _piece(found: Survey, w: np.ndarray, u: Unpacked, levels: _Levels, first_code: int) -> None:
    cols = w.shape[1]
    w = w.astype(np.float64)
    scales = u.spread(u.scales, cols).astype(np.float64)
    zeros = 0.0 if u.zeros is None else u.spread(u.zeros, cols).astype(np.float64)
    minima = 0.0 if u.minima is None else u.spread(u.minima, cols).astype(np.float64)
    numbers = (u.codes if u.numbers is None else u.numbers).astype(np.float64)
    off = np.abs((numbers - zeros) * scales + minima - w)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(scales != 0, (w - minima) / scales + zeros, numbers)
    least = np.abs((levels.nearest(t) - zeros) * scales + minima - w)
    found.nearest += int((off <= least + _TIE * (np.abs(w) + np.abs(scales))).sum())
    found.count += w.size
    found.squared_error += float(np.square(off).sum())
    counted = np.bincount((u.codes.astype(np.int64) - first_code).reshape(-1), minlength=len(found.used))
    found.used |= counted[: len(found.used)] > 0
    less = numbers - zeros
    found.least, found.most = min(found.least, float(less.min())), max(found.most, float(less.max()))
    found.minima |= u.minima is not None
    found.second |= bool(u.stored)
    if u.zeros is not None:
        low, high = found.zeros or (math.inf, -math.inf)
        found.zeros = min(low, float(u.zeros.min())), max(high, float(u.zeros.max()))
        found.whole_zeros &= bool((u.zeros == np.rint(u.zeros)).all())
    sizes = np.abs(u.scales[u.scales != 0])
    mantissa, exponent = np.frexp(sizes)
    found.powers &= bool((mantissa == 0.5).all()) and bool((u.scales >= 0).all())
    if sizes.size:
        low, high = found.exponents
        found.exponents = min(low, int(exponent.min()) - 1), max(high, int(exponent.max()) - 1)


def _rules(found: Survey, low: np.ndarray, high: np.ndarray, scales: np.ndarray, rules: tuple[ScaleRule, ...]) -> None:
    """low, high: of the weights that share each of the scales."""
    scales = np.abs(scales).astype(np.float64)
    told = (scales > 0) & (np.maximum(-low, high) > 0)
    ends = Extremes(low[told].astype(np.float64), high[told].astype(np.float64))
    found.groups += int(told.sum())
    for rule in rules:
        found.by_rule[rule.name] += int(rule.holds(scales[told], ends).sum())


def _of_groups(w: np.ndarray, u: Unpacked) -> tuple[np.ndarray, np.ndarray]:
    """float32 [n, groups]: the smallest and the largest weight of each group."""
    groups = u.scales.shape[1]
    if u.columns is not None:
        order = np.argsort(u.columns, kind="stable")
        there, starts = np.unique(u.columns[order], return_index=True)
        low, high = (np.zeros((len(w), groups), np.float32) for _ in range(2))
        turned = w[:, order]
        low[:, there] = np.minimum.reduceat(turned, starts, axis=1)
        high[:, there] = np.maximum.reduceat(turned, starts, axis=1)
        return low, high
    starts = np.arange(groups) * u.width if groups > 1 else np.zeros(1, int)
    return np.minimum.reduceat(w, starts, axis=1), np.maximum.reduceat(w, starts, axis=1)


def _of_tiles(values: np.ndarray, tile: int, how: np.ufunc) -> np.ndarray:
    """Of the rows that share a scale, one number."""
    return values if tile == 1 else how.reduceat(values, np.arange(0, len(values), tile), axis=0)
