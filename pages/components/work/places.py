"""A number of places for background work, shared fairly among visitors, and freed as soon as work is stopped.

A pool of threads does not do that: the first visitor could take all threads, one stuck in a call that cannot be
interrupted would be lost, and a server would not end before its work has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LINGER = 30.0  # seconds that stopped work in memory keeps its place, unless it ends before


@dataclass(eq=False)
class Work:
    """run: called on a thread of its own.  owner: whose work fills no more than a share of the places."""

    run: Callable[[], Any]
    owner: str = ""
    stopped_at: float | None = field(default=None, init=False)


class Places:
    """`count` places, of which one owner fills at most `share`; more work waits, and the owner with least goes first.

    frees_memory: stopped work keeps its place until it has ended, or for LINGER seconds: two of its kind side by side
    would need the memory twice.
    """

    def __init__(self, count: int, share: int, name: str, frees_memory: bool = False) -> None:
        self._count, self._share, self._name, self._frees_memory = count, share, name, frees_memory
        self._waiting: list[Work] = []
        self._filled: list[Work] = []
        self._lock = threading.Lock()

    def add(self, work: Work) -> None:
        with self._lock:
            self._waiting.append(work)
        self._fill()

    def stop(self, work: Work) -> None:
        """Takes waiting work off the queue, or frees the place of running work, which has to end by itself."""
        with self._lock:
            work.stopped_at = time.monotonic()
            if work in self._waiting:
                self._waiting.remove(work)
            elif work in self._filled and not self._frees_memory:
                self._filled.remove(work)
        self._fill()

    def look(self) -> None:
        """Called now and then: frees the places of stopped work that does not end."""
        with self._lock:
            now = time.monotonic()
            self._filled = [w for w in self._filled if w.stopped_at is None or now - w.stopped_at < LINGER]
        self._fill()

    def _fill(self) -> None:
        with self._lock:
            while len(self._filled) < self._count and (work := self._next()):
                self._waiting.remove(work)
                self._filled.append(work)
                threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True).start()

    def _next(self) -> Work | None:
        """The work that waits longest, of the owner with the fewest places."""
        held = {w.owner: 0 for w in self._waiting}
        for w in self._filled:
            held[w.owner] = held.get(w.owner, 0) + 1
        allowed = [w for w in self._waiting if held[w.owner] < self._share]
        return min(allowed, key=lambda w: held[w.owner], default=None)

    def _run(self, work: Work) -> None:
        try:
            work.run()
        finally:
            with self._lock:
                if work in self._filled:
                    self._filled.remove(work)
            self._fill()
