"""What every reader of a packed format was compared with, and how each format lies: written by the tests.

`python -m tests.checkpoints.conformance` makes the file anew; a test compares again and fails where it says otherwise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from .layer import PackedField

FILE = "conformance.json"


@dataclass(frozen=True)
class PackedLayout:
    """One kind of layer that was read. stored_as: in words.  bits_per_weight: of the layer that was read, everything
    counted.  rule: the arithmetic in words.  fields: the stored tensors.
    """

    stored_as: str
    bits_per_weight: float
    rule: str
    fields: tuple[PackedField, ...]


@dataclass(frozen=True)
class Conformance:
    """A format's layers as its own library packed and read them.

    library: each with its version.  cases: how many layers, of several widths, groups and shapes.
    equal: how many quantviz reads alike, bit for bit, or to the last rounding of the type in which the library gives
    them.  layouts: one for each way in which they lie.
    """

    format: str
    library: str
    cases: int
    equal: int
    layouts: tuple[PackedLayout, ...]

    @property
    def holds(self) -> bool:
        return self.equal == self.cases


@cache
def conformance() -> tuple[Conformance, ...]:
    """Every format, in alphabetical order."""
    found = json.loads(files(__package__).joinpath(FILE).read_text("utf-8"))
    return tuple(Conformance(**(row | {"layouts": tuple(map(_layout, row["layouts"]))})) for row in found)


def _layout(row: dict[str, Any]) -> PackedLayout:
    fields = tuple(PackedField(**(f | {"order": tuple(f["order"])})) for f in row["fields"])
    return PackedLayout(**(row | {"fields": fields}))


def conformance_rows() -> list[dict[str, Any]]:
    """The table for reading: a row a format."""
    return [
        {"format": c.format, "library": c.library, "layers checked": c.cases, "layers equal": c.equal,
         "verdict": "equal" if c.holds else "not equal"}
        for c in conformance()
    ]  # fmt: skip
