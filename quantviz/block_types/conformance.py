"""What every block type was compared with, and how many rows were equal: written by the tests, shown on the page.

`python -m tests.block_types.conformance` makes the file anew; a test compares again and fails where it says otherwise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

FILE = "conformance.json"


@dataclass(frozen=True)
class Check:
    """Rows of one block type that were compared with another implementation's, byte for byte or bit for bit.

    what: "bytes" of quantized rows, "bytes with importance", or "weights" read back.  source: whose they are.
    """

    type: str
    what: str
    source: str
    rows: int
    equal: int

    @property
    def holds(self) -> bool:
        return self.equal == self.rows


@cache
def conformance() -> tuple[Check, ...]:
    """Every check, type after type."""
    return tuple(Check(**row) for row in json.loads(files(__package__).joinpath(FILE).read_text("utf-8")))


def conformance_rows() -> list[dict[str, Any]]:
    """The table for reading: a row a check."""
    return [
        {"type": c.type, "what": c.what, "source of truth": c.source, "rows checked": c.rows, "rows equal": c.equal,
         "verdict": "equal" if c.holds else "not equal"}
        for c in conformance()
    ]  # fmt: skip
