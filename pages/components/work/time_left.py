"""How long the rest of some work will take: over all of it, smoothed, and counted down while nothing arrives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SMOOTH = 4.0  # seconds over which a new pace is smoothed, at least; later a quarter of the time passed
SURE = 1.0  # seconds before anything is said


class TimeLeft:
    """Estimates the seconds left from reports of how much is done; the time before the first report does not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, float] | None = None  # when the first report came, and what was done by then
        self._left, self._said = math.nan, 0.0  # seconds left, as of when
        self._done = -1.0

    def report(self, done: float, total: float) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now, done
        if done == self._done:
            return
        self._done = done
        passed, moved = now - self._began[0], done - self._began[1]
        if moved <= 0 or passed <= 0:
            return
        fresh = (total - done) * passed / moved
        expected = self._left - (now - self._said)
        if math.isnan(self._left):
            self._left = fresh
        else:
            believed = 1 - math.exp(-(now - self._said) / max(SMOOTH, passed / 4))
            self._left = max(expected, 0.0) + believed * (fresh - max(expected, 0.0))
        self._said = now

    def seconds(self) -> float | None:
        """None where nothing can be said: too early, or already longer than was thought."""
        if self._began is None or math.isnan(self._left) or self._clock() - self._began[0] < SURE:
            return None
        left = self._left - (self._clock() - self._said)
        return left if left > 0 else None
