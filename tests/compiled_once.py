"""Kernels are compiled by one process at a time: test runs side by side share a cache that is empty at first.

Two processes that need the same kernel would both find none on disk and both compile it, for seconds each: of the
whole suite, minutes. Here the second waits for the first and loads what it made. Importing this module switches it on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantviz.kernels.cpu import kept
from quantviz.machine import disk

# isort: split
from numba.core.compiler_lock import global_compiler_lock  # after quantviz, which says where numba keeps what it made
from numba.core.dispatcher import Dispatcher

LOOK = 0.02  # seconds between looks at a lock that somebody holds
PATIENCE = 120.0  # seconds after which a kernel is compiled all the same

_compile, _save = Dispatcher.compile, kept._Files.save


@contextlib.contextmanager
def alone(folder: str, what: Any) -> Iterator[None]:
    """Within, no other process does the same thing in this folder; without waiting where no lock can be made."""
    name, lock = hashlib.blake2b(repr(what).encode()).hexdigest()[:16], None
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        end = time.monotonic() + PATIENCE
        while (lock := disk.Lock.take(Path(folder) / f"{name}.lock")) is None and time.monotonic() < end:
            time.sleep(LOOK)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def compile_once(self: Dispatcher, sig: Any) -> Any:
    cache = self._cache
    if not isinstance(cache, kept.KernelCache):
        return _compile(self, sig)
    # numba's own lock first, as for what is compiled within: two threads must not wait for each other.
    with global_compiler_lock:
        key = cache._impl.filename_base, cache._index_key(sig, self.targetctx.codegen())
        with alone(cache.cache_path, key):
            return _compile(self, sig)


def save_alone(self: Any, key: Any, data: Any) -> None:
    """An index is read, added to and written: a process that does so meanwhile would lose this one's entry."""
    with alone(self._cache_path, self._index_name):
        _save(self, key, data)


Dispatcher.compile, kept._Files.save = compile_once, save_alone
