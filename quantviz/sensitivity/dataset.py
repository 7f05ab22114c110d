"""A sensitivity in a folder: what it was made from, and a Parquet file a unit, complete or absent.

`_sensitivity.json` is written first: {"quantviz": "sensitivity", "spec": …, "units": names in the model's order}.
`part-00003.parquet` has the rows of unit 3, all schemes. Each file is written under another name, brought to the disk
and then renamed, so whoever is killed leaves nothing that is half there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import QuantvizError
from ..machine import disk
from ..sources.files import home_path
from ..text.printable import printable
from .reading import NAME, read_part, read_spec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Spec:
    """What a sensitivity was made from, all that its figures depend on.

    revision: SHA-256 of the model's weights.  schemes: canonical keys.  text: which one, by its length and digest.
    tokens: at most so many, 0 for all.  importance: SHA-256, or "".  dtype, device: computed in and on.
    """

    ref: str
    revision: str
    schemes: tuple[str, ...]
    by: str
    targets: tuple[str, ...]
    text: str
    tokens: int
    context: int
    importance: str
    dtype: str
    device: str
    version: str

    def differences(self, other: Spec) -> list[str]:
        """What the other has otherwise, in words."""
        named = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return [f"{name} {_told(theirs)} instead of {_told(own)}" for name, own, theirs in named if own != theirs]


def _told(value: Any) -> str:
    return printable(", ".join(value) if isinstance(value, tuple) else str(value) or "none")


class Dataset:
    """The folder of one sensitivity, being written. done: numbers of the units that are there."""

    def __init__(self, path: Path, spec: Spec, units: Sequence[str]) -> None:
        self.path, self.spec, self.units = path, spec, tuple(units)
        self.done = {number for number in range(len(units)) if os.path.lexists(path / part_name(number))}

    @classmethod
    def open(cls, path: str | os.PathLike[str], spec: Spec, units: Sequence[str], resume: bool) -> Dataset:
        """A folder for the figures of `spec`, made anew, or with resume=True gone on with where there is one.

        Raises QuantvizError where something is there already, and where what is there was made from something else.
        """
        path = home_path(path)
        if os.path.lexists(path / NAME):
            if not resume:
                raise QuantvizError(f"{_name(path)} holds a sensitivity already; resume it, or give another name.")
            found, names = read_spec(path, Spec)
            if differing := spec.differences(found):
                raise QuantvizError(
                    f"{_name(path)} was made from something else: {'; '.join(differing)}; give another name."
                )
            if names != tuple(units):
                raise QuantvizError(f"{_name(path)} lists other units than this model has; give another name.")
            return cls(path, spec, units)
        with _writing(path):
            path.mkdir(exist_ok=True)
            if any(path.iterdir()):
                raise QuantvizError(f"{_name(path)} is a folder of something else; give another name.")
        said = {"quantviz": "sensitivity", "spec": asdict(spec), "units": list(units)}
        _write(path, NAME, json.dumps(said, indent=1).encode())
        return cls(path, spec, units)

    def append(self, number: int, frame: pd.DataFrame) -> None:
        """The rows of a unit. Raises QuantvizError where they cannot be written; nothing of them is left then."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        # Without compression a reader knows from the size of a file what it may unfold to.
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink, compression="none")
        _write(self.path, part_name(number), sink.getvalue().to_pybytes())
        self.done.add(number)

    def rows(self, number: int) -> pd.DataFrame:
        """The rows of a unit that is there, checked."""
        return read_part(self.path, part_name(number), self.units[number], self.spec)


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """units: all that were to be measured, in the model's order.  frame: the rows there are, as COLUMNS has them."""

    spec: Spec
    units: tuple[str, ...]
    frame: pd.DataFrame

    @property
    def complete(self) -> bool:
        return len(self.frame) == len(self.units) * len(self.spec.schemes)


def load_sensitivity(path: str | os.PathLike[str]) -> Sensitivity:
    """What `sensitivity(out=path)` wrote, complete or not, checked as a stranger's.

    Raises QuantvizError, with one sentence, for a folder that is none, and for a part that does not belong there.
    """
    import pandas as pd

    from .frame import frame_of

    path = home_path(path)
    if not path.is_dir() or not os.path.lexists(path / NAME):
        raise QuantvizError(f"{_name(path)} is no sensitivity: a folder with {NAME}, which `sensitivity --out` writes.")
    dataset = Dataset(path, *read_spec(path, Spec))
    found = [dataset.rows(number) for number in sorted(dataset.done)]
    frame = pd.concat(found, ignore_index=True) if found else frame_of([])
    return Sensitivity(dataset.spec, dataset.units, frame)


def part_name(number: int) -> str:
    return f"part-{number:05}.parquet"


def _name(path: Path) -> str:
    return printable(str(path))


@contextlib.contextmanager
def _writing(path: Path) -> Any:
    try:
        yield
    except (OSError, ValueError) as problem:
        reason = (getattr(problem, "strerror", None) or str(problem)).lower()
        raise QuantvizError(f"{_name(path)} cannot be written: {reason}; give a folder that can.") from None


def _write(folder: Path, name: str, content: bytes) -> None:
    """A file, complete or absent, also after the power fails."""
    with _writing(folder):
        disk.replace(folder / name, content, ".")
        disk.sync_folder(folder)
