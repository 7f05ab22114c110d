"""Files opened for reading: regular ones alone, and no harm where one changes meanwhile.

Nothing is mapped into memory: a map of a file that another program cuts short ends the whole process (SIGBUS). Bytes
are read where they lie, piece by piece, and a file that is not what it was when it was opened is refused in a sentence.
A pipe or a device in the place of a file would keep its reader waiting for ever; so the only call that opens a file
stands here, and looks at what it got before it reads.
"""

from __future__ import annotations

import hashlib
import os
import stat
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import QuantvizError

Stamp = tuple[int, int, int, int]  # which file, how long it is, when it was last written to

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_SMALL = 64 << 20  # bytes of a model that is known by all of them
_MOST_AT_ONCE = 1 << 30  # bytes of one call; systems stop short of 2^31
_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip


class OpenFile:
    """A regular file, open for as long as somebody holds it; several threads may read from it.

    fd: of a file open for reading, which this takes over.  name: for sentences.
    steady: whether nobody may write to it meanwhile; False for the cache's own files, which are filled in parts.
    """

    def __init__(self, fd: int, name: str, steady: bool = True) -> None:
        self._fd, self.name, self._steady = fd, name, steady
        # No __del__: while that runs, another thread still gets the object from a weak reference, and reads from
        # what is closed. This closes when nobody can any more.
        weakref.finalize(self, os.close, fd).atexit = False
        self.stamp = _stamp(os.fstat(fd))

    @property
    def size(self) -> int:
        """Its length when it was opened, in bytes."""
        return self.stamp[2]

    def read(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop), of which those past its end are left out."""
        buffer = bytearray(max(0, min(stop, self.size) - start))
        self.read_into(memoryview(buffer), start)
        return bytes(buffer)

    def read_into(self, buffer: memoryview, start: int) -> None:
        """Fills `buffer` with the bytes from `start` on. Raises QuantvizError if they are not there any more."""
        have = 0
        try:
            while have < len(buffer):
                got = os.preadv(self._fd, [buffer[have : have + _MOST_AT_ONCE]], start + have)
                if not got:
                    raise self.changed()
                have += got
            if self._steady and _stamp(os.fstat(self._fd)) != self.stamp:
                raise self.changed()
        except OSError as problem:
            raise unreadable(self.name, problem) from None

    def changed(self) -> QuantvizError:
        return QuantvizError(f"{self.name} changed on disk while it was open; open it again.")


class SeenFile:
    """A file whose header was read, to be opened again when its weights are wanted: once, however many tensors it has.

    path: links followed, and allowed to be read.  file: as it was opened to read the header.
    """

    def __init__(self, path: Path, file: OpenFile) -> None:
        self._path, self._name, self._stamp = path, file.name, file.stamp
        self._open = weakref.ref(file)

    def open(self) -> OpenFile:
        """Raises QuantvizError where it is gone, or no longer the same."""
        if (file := self._open()) is None:
            file = open_regular(self._path, self._name)
            if file.stamp != self._stamp:
                raise file.changed()
            self._open = weakref.ref(file)
        return file

    @property
    def facts(self) -> tuple[str, int, int]:
        """(name, bytes, when it was last written to) of the file that was seen."""
        return self._name, self._stamp[2], self._stamp[3]


def revision_of(files: Iterable[SeenFile]) -> str:
    """What tells these files from others: their content where they are small, else lengths and times of last writing.

    So a copy of a small model is the same model, and a large one need not be read to be known.
    Raises QuantvizError for a small file that is gone or changed since it was seen.
    """
    each = sorted(dict.fromkeys(files), key=lambda file: file.facts)
    digest = hashlib.sha256()
    small = sum(file.facts[1] for file in each) <= _SMALL
    for file in each:
        digest.update(repr(file.facts[:2] if small else file.facts).encode("utf-8", "surrogatepass"))
        if small:
            opened = file.open()
            digest.update(opened.read(0, opened.size))
    return digest.hexdigest()[:40]


def open_regular(path: Path, name: str | None = None) -> OpenFile:
    """The file at `path`, called `name` in sentences. Raises QuantvizError where there is none that can be read."""
    name = path.name if name is None else name
    try:
        fd = os.open(path, _FLAGS)
    except (OSError, ValueError) as problem:  # a socket, a loop of links, a name too long, a null byte
        raise unreadable(name, problem) from None
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise QuantvizError(f"{name} is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, no file; give a file.")
    return OpenFile(fd, name)


def read_file(path: Path, limit: int, name: str | None = None) -> bytes:
    """All bytes of a file that needs no more than `limit`."""
    file = open_regular(path, name)
    if file.size > limit:
        raise QuantvizError(f"{file.name} is larger than {limit:,} bytes, which none needs to be.")
    return file.read(0, file.size)


def unreadable(name: str, problem: Exception) -> QuantvizError:
    reason = (getattr(problem, "strerror", None) or str(problem)).lower()
    return QuantvizError(f"{name} cannot be read: {reason}.")


def _stamp(facts: os.stat_result) -> Stamp:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


class FileArray:
    """Elements that lie in a file one after the other: stands where an array of one axis does, and holds no weights.

    Slices are of the same kind; `numpy.asarray` reads, which gives an array of its own in the machine's byte order.
    Raises QuantvizError, when it reads, for a file that changed.
    """

    def __init__(self, file: OpenFile, dtype: np.dtype, offset: int, count: int) -> None:
        self.file, self.dtype, self.offset, self.size = file, np.dtype(dtype), offset, count

    def __len__(self) -> int:
        return self.size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __getitem__(self, part: slice) -> FileArray:
        start, stop, _ = slice(part.start, part.stop).indices(self.size)
        return FileArray(self.file, self.dtype, self.offset + start * self.dtype.itemsize, max(0, stop - start))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        elements = np.empty(self.size, self.dtype)
        if self.size:
            self.file.read_into(elements.view(np.uint8).data, self.offset)
        native = elements if self.dtype.isnative else elements.byteswap(inplace=True).view(self.dtype.newbyteorder("="))
        return native if dtype is None else native.astype(dtype, copy=False)
