"""What is made once and kept, however many threads ask for it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

T = TypeVar("T")

_LOCK = threading.RLock()  # one for all, since what is made may ask for something else


def once(make: Callable[..., T]) -> Callable[..., T]:
    """Like functools.cache for positional arguments, which of two threads lets both make a thing and drops one.

    Of compiled functions that is not only waste: numba takes the dropped one out of the running program while another
    is being compiled, and the compiler of that one may then lose its result ("no compiled object yet").

    >>> made = []
    >>> @once
    ... def number(n):
    ...     made.append(n)
    ...     return 10 * n
    >>> number(1), number(1), number(2), made
    (10, 10, 20, [1, 2])
    """
    kept: dict[tuple, T] = {}

    @wraps(make)
    def get(*arguments) -> T:
        try:
            return kept[arguments]
        except KeyError:
            pass
        with _LOCK:
            if arguments not in kept:
                kept[arguments] = make(*arguments)
            return kept[arguments]

    return get
