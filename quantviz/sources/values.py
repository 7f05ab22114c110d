"""One's own numbers: `values:-0.89,0.16,0.08;-0.13,0.16,-0.54`, and files of numbers as text, .csv and .txt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import QuantvizError
from ..tensors import StoredTensor
from ..text.wording import size
from .files import spelled
from .model import Progress, TensorInfo, select
from .opened import open_regular
from .pasted import MOST_PASTED, Pasted, as_float32, read_numbers, read_rows, rounded_note, rows_of_reference, shortest

PREFIX = "values:"
NAME = "values"  # of the tensor
MOST_TEXT = MOST_PASTED * 50  # characters
MAX_FILE = 64 << 20  # bytes of a file of numbers
MOST_IN_FILE = 1_000_000  # numbers, which stay in memory while the file is open


@dataclass(frozen=True, eq=False)
class Values:
    """numbers: float32 [rows, columns].  notes: sentences on how they were read.

    >>> values = Values.parse("values:0.10, 1e-05; 2,3")
    >>> values.numbers.shape, values.ref
    ((2, 2), 'values:0.1,1e-5;2,3')
    """

    numbers: np.ndarray
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, ref: str) -> Values:
        """From a reference, in which commas stand between numbers and semicolons between rows.

        Raises QuantvizError that names the entry which is no number, or says that the text seems cut off.
        """
        if len(ref) > MOST_TEXT:
            raise QuantvizError(f"The reference has over {MOST_TEXT:,} characters; put so many numbers in a .npy file.")
        grid = read_rows(rows_of_reference(ref), MOST_PASTED)
        numbers = as_float32(grid)
        return cls(numbers, rounded_note(grid, numbers))

    @classmethod
    def read(cls, text: str) -> Values:
        """From a text that somebody typed or pasted; see `pasted.read_numbers`."""
        if len(text) > MOST_TEXT:
            raise QuantvizError(f"The text has over {MOST_TEXT:,} characters; put so many numbers in a .npy file.")
        found = read_numbers(text)
        return cls(found.numbers, found.notes)

    @cached_property
    def _written(self) -> list[list[str]]:
        return [[shortest(value) for value in row] for row in self.numbers]

    @property
    def ref(self) -> str:
        """The canonical reference: the fewest digits that are read as the same float32."""
        return PREFIX + ";".join(",".join(row) for row in self._written)

    @property
    def text(self) -> str:
        """For reading and changing by hand: a line a row; `read` gives the same numbers."""
        if len(self._written) > 1 and len(self._written[0]) == 1:  # lines of one number would be one row
            return "[" + ", ".join(f"[{row[0]}]" for row in self._written) + "]"
        return "\n".join(", ".join(row) for row in self._written)


class NumbersReader:
    """One tensor whose numbers are in memory."""

    def __init__(self, name: str, found: Values | Pasted) -> None:
        self._flat = found.numbers.reshape(-1)
        self.tensors = (TensorInfo(name, found.numbers.shape, "float32", found.numbers.nbytes, notices=found.notes),)

    def open(self, info: TensorInfo, rows: tuple[int, int] | None, progress: Progress | None) -> StoredTensor:
        part = select(info, rows)
        return StoredTensor(self._flat[part.start : part.stop], "float32", part.shape, info.name, notices=info.notices)


def open_number_file(path: Path) -> NumbersReader:
    """A .csv or .txt file; its tensor is called after the file. Raises QuantvizError for what holds no numbers."""
    file = open_regular(path)
    if file.size > MAX_FILE:
        raise QuantvizError(
            f"{file.name} takes {size(file.size)}; files of numbers as text may take {size(MAX_FILE)}, and "
            "numpy.save writes more of them as .npy."
        )
    data = file.read(0, file.size)
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    except UnicodeDecodeError:
        raise QuantvizError(f"{file.name} is no text in UTF-8; save numbers as plain text, or as .npy.") from None
    try:
        found = read_numbers(text, MOST_IN_FILE)
    except QuantvizError as problem:
        raise QuantvizError(f"{file.name}: {problem}") from None
    return NumbersReader(spelled(path.stem), replace(found, notes=tuple(f"{file.name}: {n}" for n in found.notes)))
