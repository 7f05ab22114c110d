"""What a packed tensor holds, in one pass beside its original: codes, scales, zero points, and how near they come."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..checkpoints.decoded import Decoded
from ..checkpoints.layer import Unpacked
from ..kernels.results import Progress
from ..tensors import StoredTensor
from .scale_rules import Extremes, ScaleRule

_PIECE = 1 << 17  # weights taken apart at a time, about: so many that what is made of them stays in cache


@dataclass
class Survey:
    """Of one tensor. count: weights.  squared_error: Σ(stored − original)², float64.

    nearest: how many codes stand for the level nearest to the original, given the tensor's own scales.
    zeros: (smallest, largest) zero point, None for formats without; whole_zeros: whether all are whole numbers.
    least, most: the smallest and largest code less its zero point, of formats whose codes are whole numbers.
    used: bool, which of the layer's levels some weight has.  powers: whether all scales are powers of two.
    exponents: (smallest, largest) of these, where all are.  groups: scales above 0; by_rule: how many of
    them each rule gives.  second: whether scales are made of others.  minima: whether groups have one.
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
    from ..kernels.cpu.loops.tables import Ticker
    from ..kernels.cpu.workers import work

    found = Survey(used=np.zeros(len(y.layer.levels), bool), by_rule={rule.name: 0 for rule in rules})
    levels = _levels(y.layer.levels)
    whole = tile >= x.rows  # one tile from the first row to the last, which is not held at once
    height = max(1, _PIECE // x.cols // (1 if whole else tile)) * (1 if whole else tile)
    pieces = [(row, min(row + height, x.rows)) for row in range(0, x.rows, height)]
    squares = np.zeros(len(pieces))  # added in the order of the pieces, whichever is done first
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    ticker, lock = Ticker(progress, x.size), threading.Lock()

    def run(tasks: Iterator[tuple[int, tuple[int, int]]]) -> None:
        for number, (row, stop) in tasks:
            u = y.unpacked(row, stop)
            w = x.read(row * x.cols, stop * x.cols).reshape(-1, x.cols)
            seen = _seen(w, u, levels, y.layer.first_code, len(found.used))
            each = min(tile, stop - row)
            low, high = _of_tiles(seen.low, each, np.minimum), _of_tiles(seen.high, each, np.maximum)
            with lock:
                squares[number] = _add(found, seen, u, w.size)
                if whole:
                    ends.append((low, high))
                if not whole or len(ends) == len(pieces):
                    low, high = _joined(ends) if whole else (low, high)
                    _rules(found, low, high, u.scales[:: len(u.scales) if whole else each], rules)
            ticker.tick(w.size)

    work(pieces, run)
    found.squared_error = float(squares.sum())
    return found


def _joined(ends: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Of all pieces, the smallest and the largest weight of each group."""
    lows, highs = zip(*ends, strict=True)
    return np.stack(lows).min(axis=0), np.stack(highs).max(axis=0)


def _levels(told: np.ndarray) -> Any:
    """What codes stand for, as the kernel takes it."""
    from ..kernels.cpu.loops.beside import Levels

    rising = np.unique(told[np.isfinite(told)]).astype(np.float64)
    whole = np.array_equal(rising, rising[0] + np.arange(len(rising)))
    ranks = np.searchsorted(rising, np.where(np.isfinite(told), told, 0)).clip(max=len(rising) - 1)
    return Levels(rising, (rising[1:] + rising[:-1]) / 2, ranks.astype(np.int32), bool(whole))


def _seen(w: np.ndarray, u: Unpacked, levels: Any, first_code: int, many: int) -> Any:
    """What the kernel finds in some rows. many: how many codes there are."""
    from ..kernels.cpu.loops.beside import Found, Packed, nothing
    from ..kernels.cpu.loops.beside import survey as run

    n, groups = u.scales.shape
    numbers = u.codes if u.numbers is None else u.numbers
    shared = [np.zeros_like(u.scales) if part is None else part for part in (u.scales, u.zeros, u.minima)]
    packed = Packed(
        _plain(u.codes, np.int32) - np.int32(first_code), _plain(numbers, np.float32),
        _plain(_group_of_columns(u, w.shape[1]), np.int32), *(_plain(part, np.float32) for part in shared),
    )  # fmt: skip
    low, high = np.full((n, groups), np.inf, np.float32), np.full((n, groups), -np.inf, np.float32)
    found = Found(low, high, np.zeros(many, bool), nothing())
    run(_plain(w, np.float32), packed, levels, found)
    return found


def _plain(array: np.ndarray, dtype: type) -> np.ndarray:
    """As kernels take arrays: one layout, that they need not be compiled for others."""
    return np.require(array, dtype, "CW")


def _group_of_columns(u: Unpacked, cols: int) -> np.ndarray:
    if u.columns is not None:
        return u.columns
    groups = u.scales.shape[1]
    return np.minimum(np.arange(cols) // u.width, groups - 1) if groups > 1 else np.zeros(cols, np.int32)


def _add(found: Survey, seen: Any, u: Unpacked, size: int) -> float:
    """Adds what was seen in some rows; gives their Σ e²."""
    from ..kernels.cpu.loops.beside import LEAST, MOST, NEAREST, SQUARED

    found.nearest += int(seen.sums[NEAREST])
    found.count += size
    found.used |= seen.used
    found.least, found.most = min(found.least, float(seen.sums[LEAST])), max(found.most, float(seen.sums[MOST]))
    found.minima |= u.minima is not None
    found.second |= bool(u.stored)
    if u.zeros is not None:
        low, high = found.zeros or (math.inf, -math.inf)
        found.zeros = min(low, float(u.zeros.min())), max(high, float(u.zeros.max()))
        found.whole_zeros &= bool((u.zeros == np.rint(u.zeros)).all())
    if found.powers:
        mantissa, exponent = np.frexp(u.scales[u.scales != 0])
        found.powers = bool((mantissa == 0.5).all())  # of one below 0 it is negative
        if exponent.size:
            low, high = found.exponents
            found.exponents = min(low, int(exponent.min()) - 1), max(high, int(exponent.max()) - 1)
    return float(seen.sums[SQUARED])


def _rules(found: Survey, low: np.ndarray, high: np.ndarray, scales: np.ndarray, rules: tuple[ScaleRule, ...]) -> None:
    """low, high: of the weights that share each of the scales."""
    scales = np.abs(scales).astype(np.float64)
    told = (scales > 0) & (np.maximum(-low, high) > 0)
    ends = Extremes(low[told].astype(np.float64), high[told].astype(np.float64))
    found.groups += int(told.sum())
    for rule in rules:
        found.by_rule[rule.name] += int(rule.holds(scales[told], ends).sum())


def _of_tiles(values: np.ndarray, tile: int, how: np.ufunc) -> np.ndarray:
    """Of the rows that share a scale, one number."""
    return values if tile == 1 else how.reduceat(values, np.arange(0, len(values), tile), axis=0)
