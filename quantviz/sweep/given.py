"""The importance of each tensor of a model, or a calibration of each layer, from one file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..calibration.files import Calibrations, load_calibration
from ..calibration.importance import UnseenError, entry_of, importance_names, load_importance
from ..calibration.layer import Calibration
from ..errors import QuantvizError
from ..sources.opened import open_regular
from .targets import Target

_AT_ONCE = 1 << 24  # bytes


class Importance:
    """An imatrix, activations, or one array for all tensors of its length.

    digest: SHA-256 of the file. Raises QuantvizError for a file that holds no importance.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.digest = _digest(self._path)
        self._names = frozenset(importance_names(self._path))
        if not self._names:
            load_importance(self._path)  # one array, or what is refused here and now
        self._last: tuple[str, np.ndarray | str] = ("", "")

    def of(self, target: Target) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """float32 [cols] for a target, or None and a notice that says why."""
        if self._last[0] != target.tensor:  # experts of one tensor come one after the other
            self._last = target.tensor, self._load(target)
        found = self._last[1]
        if isinstance(found, str):
            return None, (f"Measured without importance: {found}",)
        if found.ndim == 1:
            return found, ()
        if target.rows is None or target.expert is None or target.expert >= len(found):
            return None, ("Measured without importance: the file has one for each of several experts.",)
        return found[target.expert], ()

    def _load(self, target: Target) -> np.ndarray | str:
        if self._names and entry_of(target.tensor, self._names) is None:
            return "the file has none for this tensor."
        try:
            return load_importance(self._path, target.tensor, target.shape[1])
        except UnseenError:
            return "no token passed through this tensor."
        except QuantvizError as problem:
            return str(problem)


@dataclass(frozen=True)
class Fed:
    """The calibration of one layer in a file, which whoever measures it reads."""

    path: str
    tensor: str

    def load(self, cols: int) -> Calibration:
        """Raises QuantvizError where it is damaged, or of another width."""
        return load_calibration(self.path, self.tensor, cols)


class Inputs:
    """A file of calibrations, as `quantviz.calibrate` saves them, that workers open themselves.

    digest: SHA-256 of the file. Raises QuantvizError for a file that holds none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.path.abspath(path)
        self.digest = f"calibration {_digest(Path(path))}"
        self._layers = Calibrations.load(self._path)
        if not len(self._layers):
            raise QuantvizError(f"{os.fspath(path)[:200]!r} has no layers by name; write it with `calibrate`.")

    def of(self, target: Target) -> tuple[Fed | None, tuple[str, ...]]:
        """For a target, or None and a notice that says why."""
        if target.expert is not None or target.tensor not in self._layers:
            return None, ("Measured without a calibration: the file has none for this tensor.",)
        return Fed(self._path, target.tensor), ()


def _digest(path: Path) -> str:
    file, digest = open_regular(path), hashlib.sha256()
    for start in range(0, file.size, _AT_ONCE):
        digest.update(file.read(start, start + _AT_ONCE))
    return digest.hexdigest()
