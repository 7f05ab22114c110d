"""A while after the last window was closed, what can be had again in seconds goes, and its memory with it."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from contextlib import suppress

from streamlit import runtime

from .bounded import let_go
from .visitors import forget_closed, is_connected, session

LOOK = 10.0  # seconds between looks
AWAY = 120.0 + LOOK  # seconds since somebody was seen: Streamlit keeps the state of a closed window for 120
_M_ARENA_MAX = -8  # of glibc's malloc.h

_windows: set[str] = set()
_lock = threading.Lock()
_looking = False


def note_visit() -> None:
    """Called once a run of a page: its window is open."""
    global _looking
    if not runtime.exists():
        return
    with _lock:
        _windows.add(session())
        if not _looking:
            _looking = True
            threading.Thread(target=_look, name="absence", daemon=True).start()


def _look() -> None:
    """Until nobody has been there for AWAY seconds; whoever comes next begins it anew."""
    global _looking
    last = time.monotonic()  # when somebody was seen
    while True:
        time.sleep(LOOK)
        with _lock:
            _windows.intersection_update([window for window in _windows if is_connected(window)])
            if _windows:
                last = time.monotonic()
            elif time.monotonic() - last >= AWAY:
                _looking = False
                break
    let_go()
    forget_closed()
    give_back()


def give_back() -> None:
    """Gives the system back what Python has freed: glibc keeps it otherwise.

    What stood beside imports may have ended since, and is looked at too (`imports.import_each`).
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # another C library has no such function
        ctypes.CDLL(None).malloc_trim(0)


def share_arena() -> None:
    """Lets all threads that begin from here on allocate from one arena, and Arrow from the same.

    glibc gives each an arena of its own, up to eight a core, and what lies scattered over these is not given back.
    Arrow's own allocator keeps what threads had that have ended.
    """
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
