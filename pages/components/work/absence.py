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
LARGE = 128 << 10  # bytes from which an array is the system's own, and goes back to it once freed
SPARE = 64 << 20  # bytes free at an arena's end that are kept while visitors are here
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h

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


def keep_together() -> None:
    """Lets small things of all threads lie in one place, and large ones in none: then what is freed can be given back.

    glibc gives each thread that begins an arena of its own, up to eight a core; and when the first large array has been
    freed, it puts the next ones into an arena too, up to 32 MB each. A few small things that stay, scattered over all
    that, keep it from the system. Arrow's own allocator keeps what threads had that have ended.
    """
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    with suppress(OSError, AttributeError):
        change = ctypes.CDLL(None).mallopt
        change(_M_ARENA_MAX, 1)
        change(_M_MMAP_THRESHOLD, LARGE)  # as it is at first: said once, it stays
        change(_M_TRIM_THRESHOLD, SPARE)
