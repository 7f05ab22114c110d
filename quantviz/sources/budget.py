"""What the headers of a model may cost, looked at before it is paid: a small file can claim anything.

Whoever reads a header holds a `Meter` of its own and takes from it before allocating; all files of one model share one
`Budget`. The limits are some times what the largest published models have, and keep what any file can do to the reader
to about a second and 200 MB.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from ..errors import QuantvizError

MAX_ENTRIES = 300_000  # tensors and named values of a model; a published one has 211,000
MAX_TEXT = 64 << 20  # bytes of their names and texts, and the most that one value may have:
MAX_VALUE = 4 << 20
MAX_ITEMS = 2 << 20  # of arrays in one header, passed over; the largest tokenizers have a million
MAX_SECONDS = 20.0  # of computing for one header, should all other limits fail on a slow machine
_LOOK_EVERY = 4096  # entries between two looks at the clock


class Readable(Protocol):
    """Bytes with a name for sentences: a file that is open, or what was uploaded."""

    name: str

    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> bytes:
        """Bytes [start, stop), of which those past the end are left out."""
        ...


@dataclass(frozen=True)
class Held:
    """Bytes in memory."""

    name: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        return bytes(self.data[start:stop])


class Budget:
    """What is left for the headers of one model."""

    def __init__(self) -> None:
        self.entries, self.text = MAX_ENTRIES, MAX_TEXT

    def meter(self, where: str) -> Meter:
        """For one header; `where` names its file in sentences."""
        return Meter(self, where)


class Meter:
    """Takes what one header costs out of its model's budget. Raises QuantvizError where that does not suffice."""

    def __init__(self, budget: Budget, where: str) -> None:
        self._budget, self._where = budget, where
        self._items, self._began = MAX_ITEMS, time.thread_time()

    def entry(self, text: int) -> None:
        """One tensor or named value, whose name and text take so many bytes."""
        budget = self._budget
        budget.entries -= 1
        budget.text -= text
        if budget.entries < 0:
            raise self._refusal(f"over {MAX_ENTRIES:,} tensors and values")
        if budget.text < 0:
            raise self._refusal(f"over {MAX_TEXT:,} bytes of names and texts")
        if not budget.entries % _LOOK_EVERY and time.thread_time() - self._began > MAX_SECONDS:
            raise self._refusal("more than can be read in reasonable time")

    def entries(self, count: int, most: int) -> None:
        """Whether so many would do, of which a file of this kind has at most `most`; nothing is taken."""
        if count > min(most, self._budget.entries):
            raise self._refusal(f"over {most:,} tensors or values")

    def items(self, count: int) -> None:
        """So many items of an array that are passed over one by one."""
        self._items -= count
        if self._items < 0:
            raise self._refusal(f"arrays of over {MAX_ITEMS:,} items")

    def _refusal(self, what: str) -> QuantvizError:
        return QuantvizError(f"{self._where} claims {what}, which no model has; it is damaged or made to do harm.")
