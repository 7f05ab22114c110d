"""numba's cache on disk, made safe: a file that is cut short, damaged or not numba's is compiled anew, never run.

numba unpickles whatever it finds and calls the machine code in it, so a damaged file ends in a traceback or worse. And
it numbers its files, so that two processes that compile two kernels at once may write them under one name. Here each
file ends in its own checksum and is named after what is in it, and a disk that cannot be written to stops nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from ...machine import disk

_CHECKSUM_BYTES = 16
_LONGEST = 1 << 28  # bytes; a kernel takes some hundred thousand


class _Files(IndexDataCacheFile):
    """The index of one function and its compiled forms."""

    def save(self, key: Any, data: Any) -> None:
        """The code first and the index last: what the index names is there."""
        name = self._data_name_pattern.replace("{number:d}", hashlib.blake2b(repr(key).encode()).hexdigest()[:16])
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})

    def _load_index(self) -> dict:
        try:
            return super()._load_index() if _is_whole(self._index_path) else {}
        except Exception:  # whole, and yet nothing this numba reads: unpickling may raise anything
            return {}

    def _load_data(self, name: str) -> Any:
        if not _is_whole(self._data_path(name)):
            raise OSError(f"{name} is damaged")  # which counts as not there
        return super()._load_data(name)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        written = io.BytesIO()
        yield written
        disk.replace(Path(filepath), written.getvalue() + _checksum(written.getvalue()))  # unpickling stops before it


class KernelCache(FunctionCache):
    """The cache of one function."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        names = self._impl.filename_base, self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, *names)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # likewise
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        # The disk is full, or the folder gone, or numba has lost what it compiled while another thread was at work
        # ("no compiled object yet"): the function is there all the same, and compiled anew the next time.
        with contextlib.suppress(OSError, RuntimeError):
            super().save_overload(sig, data)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES).digest()


def _is_whole(path: str | os.PathLike[str]) -> bool:
    data = disk.read_regular(Path(path), _LONGEST)
    return data is not None and data.endswith(_checksum(data[:-_CHECKSUM_BYTES]))
