"""A cache bounded in bytes, shared by all sessions: the least recently used values go first.

When nobody has a window open any more, what can be had again in seconds goes too (work/absence.py).
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")
_had_again: weakref.WeakSet[BoundedCache] = weakref.WeakSet()


class BoundedCache(Generic[Value]):
    """Values by key, together at most `limit` bytes; the newest stays even if it is larger than that.

    had_again: whether values can be had again in seconds, so that none is kept while nobody is there.
    """

    def __init__(self, limit: int, nbytes: Callable[[Value], int], had_again: bool = False) -> None:
        self._limit = limit
        self._nbytes = nbytes
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        if had_again:
            _had_again.add(self)

    def peek(self, key: Hashable) -> Value | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made if it is not there; made once even if several threads ask at a time."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                value = self.peek(key)
                if value is None:
                    value = make()
                    self.put(key, value)
        finally:
            with self._lock:
                self._making.pop(key, None)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        """In place of what was there."""
        with self._lock:
            self._values[key] = value, self._nbytes(value)
            held = sum(nbytes for _, nbytes in self._values.values())
            while held > self._limit and len(self._values) > 1:
                held -= self._values.popitem(last=False)[1][1]

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


def let_go() -> None:
    """Empties every cache whose values can be had again in seconds."""
    for cache in list(_had_again):
        cache.clear()
