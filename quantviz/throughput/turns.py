"""One measurement at a time on a device: among the threads of this process and among processes.

Whoever comes draws a ticket, a locked file named by the time; a ticket whose lock is gone belonged to a process that
ended, and is swept away. The earliest ticket takes the device's own lock, which is what keeps two from measuring at
once. A crash frees both, for the system holds them.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .results import Waiting

POLL = 0.2  # seconds between two looks at the queue
MAX_LABEL = 120  # characters

_draw = threading.Lock()
_last_drawn = 0


def folder() -> Path:
    """Where tickets lie: in the cache folder, or the system's temporary one where that cannot be written to."""
    root = os.environ.get("QUANTVIZ_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "quantviz")
    for place in (Path(root) / "turns", Path(tempfile.gettempdir()) / "quantviz-turns"):
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
    raise OSError("no folder can be written to")


class Turn:
    """A place in the queue for a device. `wait` until it is one's turn, `leave` in any case.

    label: what is measured, for those who wait to read.
    """

    def __init__(self, device: str, label: str) -> None:
        self._folder, self._device = folder(), re.sub(r"\W", "_", device)
        self._lock: IO[str] | None = None
        self._ticket = self._folder / f"{self._device}-{_number():020d}-{os.getpid()}.ticket"
        self._hold = _locked(self._ticket, label[:MAX_LABEL])

    def wait(self, cancel: threading.Event) -> Iterator[Waiting]:
        """Yields who is ahead, whenever that changes, until it is this one's turn; ends early when cancelled."""
        told: tuple[str, ...] | None = None
        while not cancel.is_set():
            ahead = self._ahead()
            if not ahead and self._take():
                return
            if ahead != told:
                told = ahead
                yield waiting(ahead)
            cancel.wait(POLL)

    def leave(self) -> None:
        for file, path in ((self._lock, None), (self._hold, self._ticket)):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink()
            if file is not None:
                file.close()
        self._lock = self._hold = None

    def _take(self) -> bool:
        self._lock = _locked(self._folder / f"{self._device}.lock")
        return self._lock is not None

    def _ahead(self) -> tuple[str, ...]:
        """Labels of those who came before, the first first."""
        earlier = [p for p in sorted(self._folder.glob(f"{self._device}-*.ticket")) if p.name < self._ticket.name]
        return tuple(label for path in earlier if (label := _label_of_living(path)) is not None)


def waiting(ahead: tuple[str, ...]) -> Waiting:
    """
    >>> waiting(("quantize on the CPU", "decode step")).sentence
    'Someone else measures on this device: quantize on the CPU. 2 measurements go first; yours begins by itself.'
    """
    first = f": {ahead[0]}" if ahead and ahead[0] else ""
    many = f"{len(ahead)} measurements go first" if len(ahead) > 1 else "It goes first"
    return Waiting(max(len(ahead), 1), f"Someone else measures on this device{first}. {many}; yours begins by itself.")


def _number() -> int:
    """The time in nanoseconds, never the same twice in a process."""
    global _last_drawn
    with _draw:
        _last_drawn = max(time.time_ns(), _last_drawn + 1)
        return _last_drawn


def _locked(path: Path, text: str | None = None) -> IO[str] | None:
    """The file at `path`, made if need be, locked until it is closed; None where someone else has locked it."""
    file = path.open("a+", encoding="utf-8")
    if not _try_lock(file):
        file.close()
        return None
    if text is not None:
        file.truncate(0)
        file.write(text)
        file.flush()
    return file


def _label_of_living(path: Path) -> str | None:
    """What a ticket says, if its owner still waits or measures; one whose owner is gone is removed."""
    try:
        with path.open("r+", encoding="utf-8") as file:
            if not _try_lock(file):
                return file.read(MAX_LABEL)
        path.unlink()
    except OSError:  # it left in this moment
        return None
    return None


def _try_lock(file: IO[str]) -> bool:
    """An exclusive lock of the whole file, if it is free. Two opened files exclude each other in one process too."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _try_lock_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _try_lock_windows(file: IO[str]) -> bool:
    import msvcrt

    try:
        file.seek(1 << 20)  # beyond the label, which others must be able to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    finally:
        file.seek(0)
    return True
