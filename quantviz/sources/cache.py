"""Bytes from the Hub kept on disk, so that nothing travels twice.

A tensor has a data file and a journal (see span.py), a file's header a file of its own that ends in its checksum.
What was interrupted goes on where the journal ends; a finished one is read when its weights are wanted. Whatever is
found damaged is fetched anew. One caller at a time has a tensor, among threads and processes. The least recently used
go first when the folder outgrows its limit (QUANTVIZ_CACHE_GB, 20 unless set) or the disk is full.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import QuantvizError
from ..machine import disk
from .span import Span

_LIMIT_GB = 20.0
_DATA, _JOURNAL, _HEADER, _PARTIAL, _LOCK = ".data", ".ranges", ".header", ".part", ".lock"
_LONGEST_HEADER = 1 << 30  # bytes; whoever parses it has a limit of their own
_CHECKSUM_BYTES = 16
_POLL = 0.05  # seconds between two looks whether another process is done with a tensor


def key_of(*parts: object) -> str:
    """A file name for what `parts` identify. A token is never one of them."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:40]


@dataclass(frozen=True)
class Cache:
    """A folder with a limit in bytes."""

    folder: Path
    limit: int

    @classmethod
    def default(cls, folder: Path | None = None) -> Cache:
        """The folder `hub` in `folder`, or in QUANTVIZ_CACHE, or in quantviz's part of the user's cache folder."""
        chosen = (folder or disk.cache_root()) / "hub"
        text = os.environ.get("QUANTVIZ_CACHE_GB") or str(_LIMIT_GB)
        try:
            limit = int(float(text) * 1e9)
        except (ValueError, OverflowError):
            limit = 0
        if limit <= 0:
            raise QuantvizError(f"QUANTVIZ_CACHE_GB={text[:40]} is no size; give gigabytes above 0, such as 20.")
        cache = cls(chosen, limit)
        cache._make_folder()
        return cache

    def header(self, key: str) -> bytes | None:
        """A file's header kept earlier, if it is what was kept."""
        path = self.folder / (key + _HEADER)
        kept = disk.read_regular(path, _LONGEST_HEADER)
        if kept is None or not kept.endswith(_checksum(kept[:-_CHECKSUM_BYTES])):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return kept[:-_CHECKSUM_BYTES]

    def keep_header(self, key: str, header: bytes) -> None:
        """Kept if there is room and nobody else is at it; who has read it needs it no more."""
        with contextlib.suppress(QuantvizError, OSError):
            self._make_folder()
            with self._held(key) as held:
                if held:
                    self._make_room(len(header), key)
                    disk.replace(self.folder / (key + _HEADER), header + _checksum(header))

    @contextlib.contextmanager
    def span(
        self, key: str, nbytes: int, start: int, stop: int, waiting: Callable[[], object] = lambda: None
    ) -> Iterator[Span]:
        """The place for a tensor of `nbytes`, of which [start, stop) are about to be used.

        One caller a tensor at a time; a second waits and then finds the bytes there. waiting: called now and then
        meanwhile, and may raise to give up.
        """
        if stop - start > self.limit:
            raise QuantvizError(
                f"{(stop - start) / 1e9:.3g} GB do not fit the cache of {self.limit / 1e9:g} GB; "
                "choose fewer rows, or set QUANTVIZ_CACHE_GB higher."
            )
        self._make_folder()
        with self._held(key, waiting):
            with disk.told(self.folder):
                data, journal = self.folder / (key + _DATA), self.folder / (key + _JOURNAL)
                file = _existing(data, nbytes) or _new(data, journal, nbytes)
            with file:
                span = Span(file, journal, nbytes)
                self._make_room(sum(b - a for a, b in span.missing(start, stop)), key)
                yield span

    def _make_folder(self) -> None:
        with disk.told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextlib.contextmanager
    def _held(self, key: str, waiting: Callable[[], object] | None = None) -> Iterator[bool]:
        """Alone with the files of `key`; False inside where someone else is, unless told what to do `waiting`."""
        with disk.told(self.folder):
            lock = disk.Lock.take(self.folder / (key + _LOCK))
        while lock is None and waiting is not None:
            waiting()
            time.sleep(_POLL)
            with disk.told(self.folder):
                lock = disk.Lock.take(self.folder / (key + _LOCK))
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def _make_room(self, nbytes: int, keep: str) -> None:
        """Remove the least recently used until `nbytes` more fit; what belongs to `keep` or is in use stays."""
        with disk.told(self.folder):
            entries = self._entries()
            used = sum(entry.nbytes for entry in entries.values())
            limit = min(self.limit, used + shutil.disk_usage(self.folder).free)
            if nbytes > limit:  # removing all of it would not help
                raise OSError(errno.ENOSPC, "no space left on device")
        for key, entry in sorted(entries.items(), key=lambda item: item[1].last_used):
            if used + nbytes <= limit:
                return
            if key != keep:
                used -= self._remove(key, entry)

    def _entries(self) -> dict[str, _Entry]:
        """What is in the folder, by key. Others may write, rename and remove meanwhile."""
        entries: dict[str, _Entry] = {}
        for path in self.folder.iterdir():
            if path.suffix in (_DATA, _JOURNAL, _HEADER, _PARTIAL, _LOCK):
                with contextlib.suppress(OSError):
                    facts = path.lstat()
                    entries.setdefault(path.name.partition(".")[0], _Entry([])).files.append((path, facts))
        return entries

    def _remove(self, key: str, entry: _Entry) -> int:
        """Bytes that are free now."""
        with contextlib.suppress(QuantvizError), self._held(key) as held:
            if held:
                for path, _ in entry.files:
                    if path.suffix != _LOCK:
                        with contextlib.suppress(OSError):
                            disk.discard(path)
                return entry.nbytes
        return 0


@dataclass(frozen=True)
class _Entry:
    """The files of one key, never none."""

    files: list[tuple[Path, os.stat_result]]

    @property
    def nbytes(self) -> int:
        return sum(_disk_usage(facts) for _, facts in self.files)

    @property
    def last_used(self) -> float:
        return max(facts.st_mtime for _, facts in self.files)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES).digest()


def _existing(data: Path, nbytes: int) -> BinaryIO | None:
    """The data file as it was left, if it is one of this length."""
    try:
        file = disk.open_regular(data, os.O_RDWR)
    except OSError:
        return None
    if os.fstat(file.fileno()).st_size != nbytes:
        file.close()
        return None
    with contextlib.suppress(OSError):
        os.utime(data)
    return file


def _new(data: Path, journal: Path, nbytes: int) -> BinaryIO:
    """An empty one. Never the old one cut: someone may be reading it."""
    disk.discard(journal)
    disk.discard(data)
    file = disk.open_regular(data, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        file.truncate(nbytes)
    except BaseException:
        file.close()
        raise
    return file


def _disk_usage(facts: os.stat_result) -> int:
    """Bytes a file takes, which for a sparse one are fewer than its length."""
    return min(facts.st_size, facts.st_blocks * 512) if hasattr(facts, "st_blocks") else facts.st_size
