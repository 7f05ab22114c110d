"""Whether two texts have a passage in common, told by their tokens."""

from __future__ import annotations

import numpy as np

RUN = 32  # tokens in a row; in the demo's test book no run of more than 20 stands in both halves
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # of a polynomial modulo 2^64, odd


def shared_until(tokens: np.ndarray, other: np.ndarray, run: int = RUN) -> int:
    """Where in `tokens` the last run ends that stands in `other` too; 0 where they share none.

    tokens, other: whole numbers, on one axis.  run: how many in a row; fewer where one of the texts is shorter.

    >>> shared_until(np.arange(100), np.arange(40, 80))
    80
    >>> shared_until(np.arange(100), np.arange(90, 200))
    0
    """
    run = min(run, len(tokens), len(other))
    if not run:
        return 0
    found = np.flatnonzero(np.isin(_runs(tokens, run), _runs(other, run)))
    return int(found[-1]) + run if len(found) else 0


def _runs(tokens: np.ndarray, run: int) -> np.ndarray:
    """A number for each run, uint64: equal for equal runs, and of others with a chance of 2^-64."""
    values = np.asarray(tokens).astype(np.uint64) + np.uint64(1)
    out = np.zeros(len(values) - run + 1, np.uint64)
    for at in range(run):
        out *= _FACTOR
        out += values[at : at + len(out)]
    return out
