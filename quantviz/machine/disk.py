"""The files that quantviz keeps on disk: their folder, their locks, and errors of the disk as sentences.

Any process may damage or remove a cache's files, or put a folder in their place, at any moment. So only regular files
are opened here, and anything else in their place is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import QuantvizError

_BUSY = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}
# A link in a file's place is not followed, and a pipe in its place keeps nobody waiting.
_PLAIN = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def cache_root() -> Path:
    """QUANTVIZ_CACHE, or quantviz's part of the user's cache folder. Raises QuantvizError where nobody has a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    usual = os.path.join(base if os.path.isabs(base) else "~/.cache", "quantviz")  # XDG: a relative one is ignored
    named = os.environ.get("QUANTVIZ_CACHE") or usual
    try:
        return Path(named).expanduser().absolute()
    except (RuntimeError, OSError):
        raise QuantvizError(
            f"{named!r} names no home folder; set QUANTVIZ_CACHE to a folder to keep files in."
        ) from None


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """A context that turns errors of the system into one sentence about the cache folder."""
    try:
        yield
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "is full" if full else f"cannot be used ({(problem.strerror or 'input/output error').lower()})"
        raise QuantvizError(
            f"The cache folder {folder} {what}; free some space there or set QUANTVIZ_CACHE to another folder."
        ) from None


def discard(path: Path) -> None:
    """Removes whatever is at `path`; of a link, the link alone. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clear(path: Path) -> None:
    """Removes what is at `path` unless that is a regular file. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            discard(path)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """The regular file at `path`, unbuffered. Raises OSError, also where something else is there."""
    fd = os.open(path, flags | _PLAIN, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return os.fdopen(fd, "r+b" if flags & os.O_RDWR else "rb", buffering=0)
    except BaseException:
        os.close(fd)
        raise


def read_regular(path: Path, limit: int) -> bytes | None:
    """The bytes of the regular file at `path`; None where none can be read, or it has more than `limit`."""
    try:
        with open_regular(path) as file:
            return file.read() if os.fstat(file.fileno()).st_size <= limit else None
    except OSError:  # none, or no permission, a bad sector, a file server that went away
        return None


def replace(path: Path, data: bytes, before: str = "") -> None:
    """Writes `data` to `path`, whole or not at all even if the machine stops meanwhile. Raises OSError.

    before: with what the name begins under which it is written.
    """
    partial = path.with_name(f"{before}{path.name.partition('.')[0]}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        clear(path)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def sync_folder(path: Path) -> None:
    """What was renamed in a folder stays so if the machine stops, where the system can see to that."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Lock:
    """An exclusive lock on the file at `path`, which is made if need be, until `release`.

    Threads and processes exclude each other alike; the system frees what a process held when it ends. Where a file
    system knows no locks, everyone is let in.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self.file = path, file

    @classmethod
    def take(cls, path: Path) -> Lock | None:
        """None where someone else holds it. Raises OSError."""
        while True:
            clear(path)
            file = open_regular(path, os.O_RDWR | os.O_CREAT)
            try:
                if not lock(file):
                    file.close()
                    return None
                if os.path.samestat(os.stat(path), os.fstat(file.fileno())):
                    return cls(path, file)
            except FileNotFoundError:
                pass
            except BaseException:
                file.close()
                raise
            file.close()  # its holder removed the file meanwhile: it has no name, so nobody else finds it

    def release(self) -> None:
        """Gives the lock back, and removes the file."""
        with contextlib.suppress(OSError):
            self._path.unlink()  # while locked: those who have opened it see that it has no name, and make a new one
        self.file.close()


def lock(file: BinaryIO) -> bool:
    """An exclusive lock of the whole file, if it is free; closing the file gives it back."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_on_windows(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno not in _BUSY
    return True


def _lock_on_windows(file: BinaryIO) -> bool:
    import msvcrt

    try:
        file.seek(1 << 20)  # beyond any text in it, which others must be able to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    finally:
        file.seek(0)
    return True
