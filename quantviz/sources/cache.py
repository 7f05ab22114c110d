"""Bytes from the Hub kept on disk, so that nothing travels twice.

A tensor has a data file of its full length, sparse until filled, and a journal: one line
`start stop inode` for each range that is safely in the data file. What was interrupted goes on
where the journal ends; a finished one is read when its weights are wanted. The least recently used go first
when the folder outgrows its limit (QUANTVIZ_CACHE_GB, 20 unless set).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import QuantvizError
from .opened import FileArray, OpenFile

_LIMIT_GB = 20.0
_DATA, _JOURNAL, _HEADER, _PARTIAL = ".data", ".ranges", ".header", ".part"

Range = tuple[int, int]


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


def key_of(*parts: object) -> str:
    """A file name for what `parts` identify. A token is never one of them."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:40]


class Span:
    """The bytes of one tensor as far as they have arrived. Writing is safe from several threads."""

    def __init__(self, data: BinaryIO, journal: Path, nbytes: int) -> None:
        self._data = data
        self._journal = journal
        self._nbytes = nbytes
        self._file = os.fstat(data.fileno()).st_ino  # a line about another file of this name says nothing of this one
        self._lock = threading.Lock()

    def missing(self, start: int, stop: int) -> list[Range]:
        """Ranges of [start, stop) still to be fetched."""
        try:
            lines = self._journal.read_text("ascii", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        words = [line.split() for line in lines]
        present = [
            (int(first), int(last))
            for first, last, file in (w for w in words if len(w) == 3 and all(map(str.isdigit, w)))
            if int(file) == self._file and int(last) <= self._nbytes
        ]
        return subtract(start, stop, present)

    def write(self, position: int, chunk: bytes) -> None:
        with self._lock, _disk_errors(self._journal.parent):
            self._data.seek(position)
            self._data.write(chunk)

    def record(self, start: int, stop: int) -> None:
        """Note [start, stop) as arrived, once the disk has it: a crash must not leave zeros that count as weights."""
        with _disk_errors(self._journal.parent):
            with self._lock:
                self._data.flush()
            os.fsync(self._data.fileno())
            with self._journal.open("a", encoding="ascii") as journal:
                journal.write(f"{start} {stop} {self._file}\n")

    def map(self, dtype: np.dtype, start: int, count: int) -> FileArray:
        """`count` elements from byte `start` on, read when they are asked for; they outlive the file's removal."""
        return FileArray(OpenFile(os.dup(self._data.fileno()), "The cache", steady=False), dtype, start, count)


@dataclass(frozen=True)
class Cache:
    """A folder with a limit in bytes."""

    folder: Path
    limit: int

    @classmethod
    def default(cls, folder: Path | None = None) -> Cache:
        """The folder `hub` in `folder`, or in QUANTVIZ_CACHE, or in quantviz's part of the user's cache folder."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "quantviz"
        chosen = (folder or Path(os.environ.get("QUANTVIZ_CACHE") or home).expanduser()) / "hub"
        text = os.environ.get("QUANTVIZ_CACHE_GB") or str(_LIMIT_GB)
        try:
            limit = int(float(text) * 1e9)
        except (ValueError, OverflowError):
            limit = 0
        if limit <= 0:
            raise QuantvizError(f"QUANTVIZ_CACHE_GB={text} is no size; give gigabytes above 0, such as 20.")
        with _disk_errors(chosen):
            chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(chosen, limit)

    def header(self, key: str) -> bytes | None:
        """A file's header kept earlier."""
        path = self.folder / (key + _HEADER)
        try:
            os.utime(path)
            return path.read_bytes()
        except OSError:
            return None

    def keep_header(self, key: str, header: bytes) -> None:
        self._make_room(len(header), key)
        path = self.folder / (key + _HEADER)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}{_PARTIAL}")
        with _disk_errors(self.folder):
            with partial.open("wb") as file:
                file.write(header)
                os.fsync(file.fileno())
            partial.replace(path)

    @contextlib.contextmanager
    def span(self, key: str, nbytes: int, start: int, stop: int) -> Iterator[Span]:
        """The place for a tensor of `nbytes`, of which [start, stop) are about to be used.

        One caller a tensor at a time; a second waits and then finds the bytes there.
        """
        if stop - start > self.limit:
            raise QuantvizError(
                f"{(stop - start) / 1e9:.3g} GB do not fit the cache of {self.limit / 1e9:g} GB; "
                "choose fewer rows, or set QUANTVIZ_CACHE_GB higher."
            )
        with _lock_of(self.folder / key):
            data, journal = self.folder / (key + _DATA), self.folder / (key + _JOURNAL)
            with _disk_errors(self.folder):
                if not data.is_file() or data.stat().st_size != nbytes:
                    journal.unlink(missing_ok=True)
                    with data.open("wb") as file:
                        file.truncate(nbytes)
                os.utime(data)
                file = data.open("r+b")
            with file:
                span = Span(file, journal, nbytes)
                self._make_room(sum(b - a for a, b in span.missing(start, stop)), key)
                yield span

    def _make_room(self, nbytes: int, keep: str) -> None:
        """Remove the least recently used until `nbytes` more fit; what belongs to `keep` stays."""
        entries: dict[str, list[tuple[Path, os.stat_result]]] = {}
        ours = (path for path in self.folder.iterdir() if path.suffix in (_DATA, _JOURNAL, _HEADER, _PARTIAL))
        for path in ours:
            with contextlib.suppress(OSError):
                entries.setdefault(path.name.partition(".")[0], []).append((path, path.stat()))
        used = sum(_disk_usage(stat) for files in entries.values() for _, stat in files)
        oldest_first = sorted(entries, key=lambda key: max(stat.st_mtime for _, stat in entries[key]))
        for key in oldest_first:
            if used + nbytes <= self.limit:
                return
            if key != keep:
                for path, stat in entries[key]:
                    with contextlib.suppress(OSError):
                        path.unlink()
                        used -= _disk_usage(stat)


def _disk_usage(stat: os.stat_result) -> int:
    """Bytes a file takes, which for a sparse one are fewer than its length."""
    return min(stat.st_size, stat.st_blocks * 512) if hasattr(stat, "st_blocks") else stat.st_size


_locks: dict[Path, threading.Lock] = {}
_locks_guard = threading.Lock()


def _lock_of(path: Path) -> threading.Lock:
    with _locks_guard:
        return _locks.setdefault(path, threading.Lock())


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "is full" if full else f"cannot be used ({(problem.strerror or 'input/output error').lower()})"
        raise QuantvizError(
            f"The cache folder {folder} {what}; free some space there or set QUANTVIZ_CACHE to another folder."
        ) from None
