"""One measurement at a time on a device: among the threads of this process and among processes.

Each run draws a ticket, a locked file named by the time; a ticket without a lock belonged to a process that has ended,
and is removed. The earliest ticket takes the device's own lock, which is what keeps two from measuring at
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

from ..errors import QuantvizError
from ..machine import disk
from .results import Waiting

POLL = 0.2  # seconds between two looks at the queue
MAX_LABEL = 120  # characters

_draw = threading.Lock()
_last_drawn = 0


def folder() -> Path:
    """Where tickets lie: in the cache folder, or the system's temporary one where that cannot be written to."""
    for root, name in ((disk.cache_root, "turns"), (tempfile.gettempdir, "quantviz-turns")):
        with contextlib.suppress(OSError, QuantvizError):
            place = Path(root()) / name
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place, os.W_OK):
                return place
    raise QuantvizError(
        "Measurements take turns by files in a folder, and none can be written to; set QUANTVIZ_CACHE to one that can."
    )


class Ticket:
    """A place in the queue for a device. `wait` until it is one's turn, `leave` in any case.

    label: what is measured, shown to those who wait.
    """

    def __init__(self, device: str, label: str) -> None:
        self._folder, self._device = folder(), re.sub(r"\W", "_", device)
        self._lock: disk.Lock | None = None
        self._ticket = self._folder / f"{self._device}-{_number():020d}-{os.getpid()}.ticket"
        with disk.told(self._folder):
            while (hold := disk.Lock.take(self._ticket)) is None:  # someone is looking whether its owner lives
                time.sleep(POLL / 100)
        self._hold: disk.Lock | None = hold
        with contextlib.suppress(OSError):  # a full disk: others see no label
            hold.file.write(label[:MAX_LABEL].encode("utf-8", errors="replace"))

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
        for held in (self._lock, self._hold):
            if held is not None:
                held.release()
        self._lock = self._hold = None

    def _take(self) -> bool:
        with disk.told(self._folder):
            self._lock = disk.Lock.take(self._folder / f"{self._device}.lock")
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


def _label_of_living(path: Path) -> str | None:
    """What a ticket says, if its owner still waits or measures; one whose owner is gone is removed."""
    with contextlib.suppress(OSError):  # its owner left just now, or it is no ticket
        with disk.open_regular(path, os.O_RDWR) as file:
            if not disk.lock(file):
                return file.read(4 * MAX_LABEL).decode("utf-8", errors="replace")[:MAX_LABEL]
            path.unlink()  # while it is held, so that an owner who was about to lock it makes it anew
    return None
