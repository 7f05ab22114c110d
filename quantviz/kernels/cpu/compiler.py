"""How the kernels are compiled: serial, without the GIL, cached on disk, with just the liberties that cost no bits."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any


def _cache_folder() -> Path | None:
    """A writable folder named after the kernels' own source, so that a changed kernel is never served stale."""
    here = Path(__file__).parent
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(here.glob("*.py")))).hexdigest()[:12]
    root = os.environ.get("QUANTVIZ_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "quantviz")
    folder = Path(root) / "kernels" / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return folder


_FOLDER = _cache_folder()
if _FOLDER is not None:
    os.environ.setdefault("NUMBA_CACHE_DIR", str(_FOLDER))  # read when numba is imported

import numba  # noqa: E402  (the cache folder must be set first)

# Sums may be reordered and fused: they end in float64 and no code depends on them.
# Everything that makes a code or a value is compiled without any such licence.
REORDER = {"reassoc", "nsz", "contract"}


def inlined(fastmath: Any = False) -> Any:
    """A function that always becomes part of its caller, keeping its own licence to reorder."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=fastmath, forceinline=True)


def kernel(function: Any) -> Any:
    """A compiled entry point, cached on disk where a folder for it can be written."""
    options = dict(nogil=True, error_model="numpy", boundscheck=False)
    if _FOLDER is None:
        return numba.njit(**options)(function)
    return numba.njit(**options, cache=True)(function)
