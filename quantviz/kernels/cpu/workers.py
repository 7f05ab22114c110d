"""Threads that draw numbered tasks from one sequence."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .once import once

THREADS = os.cpu_count() or 1


@once
def pool() -> ThreadPoolExecutor:
    """The module's one pool; kernels release the GIL, so its threads really run beside each other."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="quantviz")


class _Shared:
    """An iterator that several threads may draw from, and that can be told to end."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._iterator: Iterator[tuple[int, Any]] = enumerate(items)
        self._lock = threading.Lock()

    def __iter__(self) -> _Shared:
        return self

    def __next__(self) -> tuple[int, Any]:
        with self._lock:
            return next(self._iterator)

    def stop(self) -> None:
        with self._lock:
            self._iterator = iter(())


def work(items: Sequence[Any], run: Callable[[Iterator[tuple[int, Any]]], None]) -> None:
    """Calls run(numbered items) in every thread, all drawing from one sequence; raises what any of them raised.

    The first error ends the sequence, so the others stop after the item at hand.
    """
    shared = _Shared(items)
    threads = min(THREADS, len(items))
    if threads == 1:
        return run(shared)

    def guarded() -> None:
        try:
            run(shared)
        except BaseException:
            shared.stop()
            raise

    futures = [pool().submit(guarded) for _ in range(threads)]
    errors = [error for future in futures if (error := future.exception())]
    if errors:
        raise errors[0]
    return None
