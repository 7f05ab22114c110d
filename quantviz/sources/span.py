"""The bytes of one tensor in the cache: a data file of its full length, sparse until filled, and a journal.

The journal has a line `start stop checksum` for each range that the data file holds. It may claim too much: the
machine stopped before the data were on disk, a sector went bad, someone wrote to the file. So a range counts as present
only when its bytes have the checksum, and what does not is fetched anew.
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..machine import disk
from .opened import FileArray, OpenFile

_LINE = re.compile(r"([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{8})")
_LONGEST_JOURNAL = 4 << 20  # bytes; a hundred thousand ranges
_READ = 1 << 20  # bytes at a time
_FEW = 16 << 20  # bytes

Range = tuple[int, int]


class Record(NamedTuple):
    """Bytes [start, stop), and the CRC-32 they arrived with."""

    start: int
    stop: int
    checksum: int


def merge(ranges: list[Range]) -> list[Range]:
    """The same bytes as sorted ranges that neither touch nor overlap."""
    merged: list[Range] = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        elif start < stop:
            merged.append((start, stop))
    return merged


def subtract(start: int, stop: int, present: list[Range]) -> list[Range]:
    """What of [start, stop) is not in `present`."""
    missing = []
    for first, last in merge(present):
        if first > start:
            missing.append((start, min(first, stop)))
        start = max(start, last)
        if start >= stop:
            break
    return [*missing, (start, stop)] if start < stop else [r for r in missing if r[0] < r[1]]


class Span:
    """One tensor of `nbytes` as far as it has arrived, held by one caller. Writing is safe from several threads.

    data: opened for reading and writing, unbuffered; whoever opened it closes it.
    """

    def __init__(self, data: BinaryIO, journal: Path, nbytes: int) -> None:
        self._data, self._journal, self._nbytes = data, journal, nbytes
        self._lock = threading.Lock()
        self._claimed = _read_journal(journal, nbytes)
        self._sound: set[Record] = set()

    def missing(self, start: int, stop: int) -> list[Range]:
        """Ranges of [start, stop) still to be fetched. Reads what is there, once, to see that it is what arrived."""
        touching = [r for r in self._claimed if r.start < stop and r.stop > start]
        damaged = {r for r in touching if r not in self._sound and not self._holds(r)}
        self._sound.update(r for r in touching if r not in damaged)
        if damaged:
            self._claimed = [r for r in self._claimed if r not in damaged]
            with disk.told(self._journal.parent):
                disk.replace(self._journal, "".join(map(_line, self._claimed)).encode())
        return subtract(start, stop, [(r.start, r.stop) for r in touching if r not in damaged])

    def write(self, position: int, chunk: bytes) -> None:
        left = memoryview(chunk)
        with self._lock, disk.told(self._journal.parent):
            self._data.seek(position)
            while left:
                left = left[self._data.write(left) :]

    def record(self, start: int, stop: int, checksum: int) -> None:
        """Note [start, stop) as arrived, once the disk has it."""
        record = Record(start, stop, checksum)
        with disk.told(self._journal.parent):
            os.fsync(self._data.fileno())
            with self._lock:
                with disk.open_regular(self._journal, os.O_RDWR | os.O_CREAT | os.O_APPEND) as journal:
                    journal.write(_line(record).encode())
                self._claimed.append(record)
                self._sound.add(record)

    def map(self, dtype: np.dtype, start: int, count: int) -> FileArray | np.ndarray:
        """`count` elements from byte `start` on, which outlive the file's removal.

        Few are read at once: an app holds hundreds of tensors open, and a process has a thousand file descriptors.
        """
        file = OpenFile(os.dup(self._data.fileno()), "The cache", steady=False)
        elements = FileArray(file, dtype, start, count)
        return np.asarray(elements) if elements.nbytes <= _FEW else elements

    def _holds(self, record: Record) -> bool:
        """Whether the file has these bytes."""
        found, position = 0, record.start
        with self._lock:
            try:
                self._data.seek(position)
                while position < record.stop:
                    piece = self._data.read(min(_READ, record.stop - position))
                    if not piece:
                        return False
                    found, position = zlib.crc32(piece, found), position + len(piece)
            except OSError:  # a bad sector
                return False
        return found == record.checksum


def _line(record: Record) -> str:
    """With a line break before it too: a line that a full disk cut short takes no other with it."""
    return f"\n{record.start} {record.stop} {record.checksum:08x}\n"


def _read_journal(path: Path, nbytes: int) -> list[Record]:
    """The ranges a journal claims; none where it cannot be read, and what is no line of one is passed over."""
    text = disk.read_regular(path, _LONGEST_JOURNAL)
    if text is None:
        with disk.told(path.parent):
            disk.discard(path)
        return []
    lines = filter(None, map(_LINE.fullmatch, text.decode("ascii", errors="replace").splitlines()))
    claimed = (Record(int(line[1]), int(line[2]), int(line[3], 16)) for line in lines)
    return list(dict.fromkeys(r for r in claimed if r.start < r.stop <= nbytes))
