"""How the kernels are compiled: serial, without the GIL, cached on disk, with just the liberties that cost no bits."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

from ...errors import QuantvizError
from ...machine import disk


def _cache_folder() -> Path | None:
    """A writable folder named after the kernels' own source, so that a changed kernel is never served stale."""
    here = Path(__file__).parent
    sources = [*sorted(here.rglob("*.py")), here.parent / "bins.py", here.parent / "searching.py"]
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()[:12]
    try:
        folder = disk.cache_root() / "kernels" / digest
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}-{os.urandom(4).hex()}"  # several processes may ask at once
        probe.touch()
        probe.unlink()
    except (OSError, QuantvizError):
        return None
    return folder


_FOLDER = _cache_folder()
if _FOLDER is not None:
    os.environ.setdefault("NUMBA_CACHE_DIR", str(_FOLDER))  # read when numba is imported

import numba  # noqa: E402  (the cache folder must be set first)
from numba.core.registry import CPUDispatcher  # noqa: E402

from .kept import KernelCache  # noqa: E402

# Sums may be reordered and fused: they end in float64 and no code depends on them.
# Everything that makes a code or a value is compiled without any such licence.
REORDER = {"reassoc", "nsz", "contract"}


class _Within(CPUDispatcher):
    """A function that compiled code calls. Python, which asks some of them about a rule, runs it as it is written."""

    def __call__(self, *args: Any) -> Any:
        return self.py_func(*args)


def _within(**options: Any) -> Any:
    """The ways into a function for Python and for C take a third of the time that compiling it takes: none is made."""
    options |= dict(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
    compiled = numba.njit(**options)

    def mark(function: Any) -> Any:
        found = compiled(function)
        found.__class__ = _Within
        return found

    return mark


def inlined(fastmath: Any = False) -> Any:
    """A function that always becomes part of its caller, keeping its own licence to reorder."""
    return _within(fastmath=fastmath, forceinline=True)


def apart(fastmath: Any = False) -> Any:
    """A function of its own: what is seldom called need not be compiled into every caller."""
    return _within(fastmath=fastmath)


def kernel(function: Any) -> Any:
    """A compiled entry point, cached on disk where a folder for it can be written."""
    options = dict(nogil=True, error_model="numpy", boundscheck=False, no_cfunc_wrapper=True)
    compiled = numba.njit(**options)(function)
    if _FOLDER is not None:
        with contextlib.suppress(RuntimeError):  # the folder is gone by now
            compiled._cache = KernelCache(function)  # in the place where cache=True puts numba's own
    return compiled
