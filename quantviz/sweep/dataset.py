"""A sweep on disk: a folder FILE.parquet of parts, each complete or absent, and what it was asked for.

`_sweep.json` is written first: the spec, and the names of all that is to be measured. A part holds whole tensors, all
their schemes; it is written under another name and renamed once it is on the disk. Names that begin with _ are left
out by whatever else reads the folder as a Parquet dataset. One writer at a time has it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import QuantvizError
from ..machine import disk
from .frame import as_table
from .reading import DESCRIPTION, PART, described, kept_table
from .spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

_LOCK, _PARTIAL = "_sweep.lock", "_writing-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Dataset:
    """The folder at `path`, which this process alone writes to until `close`."""

    def __init__(self, path: Path, lock: disk.Lock) -> None:
        self._path, self._lock = path, lock
        self._next = 1

    @classmethod
    def create(cls, path: Path, spec: Spec, names: Sequence[str]) -> Dataset:
        """A new one. Raises QuantvizError where something is at `path`, or nothing can be written there."""
        with _told(path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                raise QuantvizError(
                    f"{path} exists already; go on with it (resume), or choose another name or remove it."
                ) from None
        return cls._begun(path, spec, names)

    @classmethod
    def resume(cls, path: Path, spec: Spec, names: Sequence[str]) -> Dataset:
        """The one at `path`, or a new one where there is none.

        Raises QuantvizError for one that was asked for otherwise, for what is no sweep, and while another writes to it.
        """
        if not os.path.lexists(path):
            return cls.create(path, spec, names)
        if path.is_dir() and all(name.startswith("_") and name != DESCRIPTION for name in os.listdir(path)):
            return cls._begun(path, spec, names)  # what made it ended before anything was written
        found, expected = described(path)
        if difference := spec.difference(found):
            raise QuantvizError(f"{path} was made from another sweep, with the {difference}; choose another file.")
        if list(expected) != list(names):
            raise QuantvizError(f"{path} was made from other tensors than these; choose another file.")
        dataset = cls(path, _locked(path))
        try:
            dataset._tidy()
        except BaseException:
            dataset.close()
            raise
        return dataset

    @classmethod
    def _begun(cls, path: Path, spec: Spec, names: Sequence[str]) -> Dataset:
        dataset = cls(path, _locked(path))
        try:
            document = {"quantviz": "sweep", "spec": spec.as_dict(), "targets": list(names)}
            dataset._write(DESCRIPTION, json.dumps(document, indent=1).encode("ascii"))
        except BaseException:
            dataset.close()
            raise
        return dataset

    def _tidy(self) -> None:
        """Without what was being written when a process ended."""
        with _told(self._path):
            for name in os.listdir(self._path):
                if name.startswith(_PARTIAL):
                    disk.discard(self._path / name)
                elif found := re.fullmatch(PART, name):
                    self._next = max(self._next, int(found[1]) + 1)

    def rows(self) -> pa.Table:
        """All that is complete, as `frame.schema` has it."""
        return kept_table(self._path)

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Rows of whole tensors, on the disk when this returns. Raises QuantvizError where it is full, say."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = pa.BufferOutputStream()
        pq.write_table(as_table(rows), content)
        self._write(f"part-{self._next:06d}.parquet", content.getvalue().to_pybytes())
        self._next += 1

    def _write(self, name: str, content: bytes) -> None:
        with _told(self._path):
            disk.replace(self._path / name, content, _PARTIAL)
            disk.sync_folder(self._path)

    def close(self) -> None:
        self._lock.release()


def _locked(path: Path) -> disk.Lock:
    with _told(path):
        lock = disk.Lock.take(path / _LOCK)
    if lock is None:
        raise QuantvizError(f"{path} is being written to by another sweep; wait for its end, or choose another file.")
    return lock


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns errors of the system into a sentence."""
    try:
        yield
    except (OSError, ValueError) as problem:
        if getattr(problem, "errno", None) in _FULL:
            said = "the disk is full; free some space, and go on with resume."
        else:
            reason = (getattr(problem, "strerror", None) or str(problem)).lower()
            said = f"{reason}; choose a folder that can be written to."
        raise QuantvizError(f"{path} cannot be written: {said}") from None
