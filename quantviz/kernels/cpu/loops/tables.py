"""What every pass over a tensor needs: tables to count in, a thread's own, and how far all threads are."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from ...bins import Bins
from ...results import Progress
from .counts import COPIES, cells_of, places_of, split, unpaired


class Tables(NamedTuple):
    """One thread's own tables, in which it counts undisturbed, and the bins of values and errors, as `edges_of`."""

    values: np.ndarray
    cells: np.ndarray
    codes: np.ndarray
    value_bins: np.ndarray
    error_bins: np.ndarray

    @classmethod
    def of(cls, bins: tuple[Bins, Bins] | None, codes: int) -> Tables:
        """Empty ones, with a place for whatever falls below or above the bins; with no places at all without bins.

        codes: how many there are to count.
        """
        lengths = (0, 0, 0) if bins is None else (bins[0].count + 2, cells_of(bins[1]), places_of(codes))
        return cls(*(np.zeros((COPIES, n), np.int64) for n in lengths), *edges_of(bins))

    @staticmethod
    def added(tables: list[Tables], bins: tuple[Bins, Bins], codes: int) -> tuple[np.ndarray, ...]:
        """All threads' counts of values, errors, their magnitudes, and codes, int64."""
        values, cells, by_code = (
            sum(getattr(t, name).sum(axis=0) for t in tables) for name in ("values", "cells", "codes")
        )
        return values, *split(cells, bins[1]), unpaired(by_code, codes)


def edges_of(bins: tuple[Bins, Bins] | None) -> list[np.ndarray]:
    """Of values and of errors, as the kernels take them."""
    if bins is None:
        return [np.zeros(3, np.float32)] * 2
    return [np.array([b.lo, b.inverse_width, b.count], np.float32) for b in bins]


class Ticker:
    """Adds up what all threads have done and passes it on."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done, self._lock = progress, total, 0, threading.Lock()

    def tick(self, weights: int) -> None:
        if self._progress is None:
            return
        with self._lock:
            self._done += weights
            self._progress(min(self._done, self._total), self._total)
