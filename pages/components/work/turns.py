"""Pages are drawn a few at a time, in the order in which they were asked for.

Python draws one page at a time anyway: a hundred side by side only wait longer, each for all others, and hold a hundred
half-drawn pages in memory.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2  # more than one, since a page may also wait for a disk or a kernel
LONGEST = 30.0  # seconds that a page waits for its turn: one that never ends holds nobody up for ever


class Turns:
    """`count` turns, which threads take in the order in which they came."""

    def __init__(self, count: int, longest: float = LONGEST) -> None:
        self._free, self._longest = count, longest  # below 0 while more go on than there are turns
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()
        self._mine = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Within, this thread has a turn; waits for one first."""
        self._take()
        self._mine.has_one = True
        try:
            yield
        finally:
            self._mine.has_one = False
            self._give()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Within, another may take this thread's turn, if it has one: it waits. Afterwards it goes on at once."""
        has_one = getattr(self._mine, "has_one", False)
        if has_one:
            self._give()
        try:
            yield
        finally:
            if has_one:
                with self._lock:
                    self._free -= 1

    def _take(self) -> None:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(self._longest):
            return
        with self._lock:
            if called in self._waiting:  # nobody called it in this very moment either
                self._waiting.remove(called)
                self._free -= 1

    def _give(self) -> None:
        with self._lock:
            self._free += 1
            while self._free > 0 and self._waiting:
                self._free -= 1
                self._waiting.popleft().set()


TURNS = Turns(AT_ONCE)
