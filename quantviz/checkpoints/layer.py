"""One weight of a quantized checkpoint: the stored tensors it lies in, and how rows of them are taken apart.

Every packed format that quantviz reads gives a weight as

    (what its code stands for − zero point) × scale + minimum

where scale, zero point and minimum are shared by a group of neighbours in its row. `Unpacked` holds these parts for any
format, so that one reader, one count of codes and one inspector serve them all. A format whose weights are made in
another way, as those of a trellis are, gives the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..sources import TensorInfo


class Unreadable(QuantvizError):
    """Why a format that is known cannot be read here: what follows "and" in the sentence that refuses the tensor."""


@dataclass(frozen=True)
class Found:
    """The stored tensors of one weight, as a format's reader is asked about them. Nothing but small ones is read.

    codes: the tensor with its codes.  beside: what belongs to it, by the suffix the table of formats has it under.
    format: its name in that table.  settings: what config.json says of the quantization; {} where it says nothing.
    small: reads one of `beside`, of at most some kilobytes, by its suffix; raises QuantvizError.
    metadata: what the file says of itself, texts by name.
    """

    codes: TensorInfo
    beside: Mapping[str, TensorInfo]
    format: str
    settings: Mapping[str, Any]
    small: Callable[[str], np.ndarray]
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A stored tensor that a weight is made of.

    every: how many rows of the weight one stored row serves: 1 for codes that lie row by row, 128 for the scales of
    tiles that high; 0 where rows cannot be told apart, so that the whole of it is read.
    rows: how many stored rows there are; 0 for the length of its first axis.
    """

    info: TensorInfo
    every: int = 0
    rows: int = 0

    @property
    def stored_rows(self) -> int:
        return self.rows or (self.info.shape[0] if self.info.shape else 1)


# By the names a format gives its parts. A part that is read whole has its stored shape; of one that is read by rows
# there is [stored rows, elements of one]. Numbers of 16 bits and more are float32, float8 is uint8 as it lies, integers
# are of their own type; two codes to a byte are bytes.
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Unpacked:
    """Rows of a weight taken apart; n rows of `cols` weights, in groups along the row.

    codes: integers [n, cols], as stored; None for formats whose weights have none of their own.
    scales: float32 [n, groups].  zeros, minima: likewise, or None.
    columns: int [cols], the group of each weight of a row; None where groups follow each other evenly, the last perhaps
    shorter.  width: weights a group then.
    numbers: float32 [n, cols], what the codes stand for; None where that is the codes themselves.
    stored: second-level numbers that scales and zero points were made of, by name: [n, groups] or [n, 1].
    given: float32 [n, cols], the weights themselves, where they are not made by the rule above.
    """

    codes: np.ndarray | None
    scales: np.ndarray
    zeros: np.ndarray | None = None
    minima: np.ndarray | None = None
    width: int = 0
    columns: np.ndarray | None = None
    numbers: np.ndarray | None = None
    stored: Mapping[str, np.ndarray] = field(default_factory=dict)
    given: np.ndarray | None = None

    def spread(self, shared: np.ndarray, cols: int) -> np.ndarray:
        """What groups share, [n, groups], beside each weight: [n, cols], or [n, 1] where a row is one group."""
        if self.columns is not None:
            return np.take(shared, self.columns, axis=1)
        return shared if shared.shape[1] == 1 else np.repeat(shared, self.width, axis=1)[:, :cols]

    def group_columns(self, group: int, cols: int) -> np.ndarray:
        """int: the columns of one group of a row of `cols` weights, rising."""
        if self.columns is not None:
            return np.flatnonzero(self.columns == group)
        width = self.width or cols
        return np.arange(group * width, min((group + 1) * width, cols))

    def rows(self, first: int, last: int) -> Unpacked:
        """Rows [first, last) of these."""
        part = slice(first, last)
        taken = {
            name: None if (x := getattr(self, name)) is None else x[part]
            for name in ("codes", "scales", "zeros", "minima", "numbers", "given")
        }
        return replace(self, **taken, stored={name: x[part] for name, x in self.stored.items()})

    def values(self) -> np.ndarray:
        """float32 [n, cols]: the weights, each step of the rule rounded to float32; infinite where it leaves that."""
        if self.given is not None:
            return self.given
        values = self.codes.astype(np.float32) if self.numbers is None else self.numbers.astype(np.float32)
        cols = values.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # whoever reads weights refuses those that are not finite
            if self.zeros is not None:
                values -= self.spread(self.zeros, cols)
            values *= self.spread(self.scales, cols)
            if self.minima is not None:
                values += self.spread(self.minima, cols)
        return values


@dataclass(frozen=True)
class PackedField:
    """One stored tensor of a format's layout, for a reader.

    part: as its name ends.  dtype, axes: in words, such as "int32" and "[in · bits / 32, out]".  meaning: a sentence.
    order: of an element that holds several codes, which of them lies where, from the lowest bits up; () otherwise.
    """

    part: str
    dtype: str
    axes: str
    meaning: str
    order: tuple[int, ...] = ()


@dataclass(frozen=True)
class Layer:
    """How to read one weight.

    shape: [out, in], or [experts, out, in].  stored_as: in words, such as "GPTQ int4 g128".
    parts: what it is made of, by the names that `unpack` knows them by; what lies beside and is not needed is left out.
    unpack: (arrays, first, last) -> rows [first, last) of the weight, counted through all experts.
    levels: float32, what each code stands for, from first_code on, NaN where for nothing; None for formats without.
    height: rows that are taken apart together; unpack is given whole multiples of it, but for the last.
    fields: its layout.  rule: the arithmetic in words.  home: the library that reads it likewise.
    notices: what whoever opens it should know.  largest_scale: what a scale can be at most where that is little enough
    to be reached; None otherwise.
    """

    shape: tuple[int, ...]
    stored_as: str
    parts: Mapping[str, Part]
    unpack: Callable[[Arrays, int, int], Unpacked]
    levels: np.ndarray | None = None
    first_code: int = 0
    height: int = 1
    fields: tuple[PackedField, ...] = ()
    rule: str = ""
    home: str = ""
    notices: tuple[str, ...] = ()
    largest_scale: float | None = None


# A format's reader: looks at names, dtypes and shapes, and says how a weight is read. Raises Unreadable.
Reads = Callable[[Found], Layer]
