"""Which weights share a scale."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .errors import QuantvizError


@dataclass(frozen=True)
class Granularity:
    """Which weights share a scale: a tile of rows × cols weights, 0 meaning "all there are"."""

    rows: int
    cols: int

    def __str__(self) -> str:
        if self == TENSOR:
            return "tensor"
        if self == CHANNEL:
            return "channel"
        return f"b{self.cols}" if self.rows == 1 else f"b{self.rows}x{self.cols}"

    @classmethod
    def parse(cls, text: str) -> Granularity:
        """From "tensor", "channel", "b64" or "b128x128"."""
        named = {"tensor": TENSOR, "channel": CHANNEL}.get(text)
        if named is not None:
            return named
        match = re.fullmatch(r"b([1-9][0-9]{0,8})(?:x([1-9][0-9]{0,8}))?", text)
        if not match:
            raise QuantvizError(
                f"{text!r} is no granularity; "
                "write tensor, channel, bN (for example b64) or bRxC (for example b128x128)."
            )
        first, second = match.groups()
        return cls(int(first), int(second)) if second else cls(1, int(first))

    def within(self, rows: int, cols: int) -> tuple[int, int]:
        """Height and width of a group in a [rows, cols] tensor: one that reaches beyond it ends where it ends.

        >>> Granularity.parse("b64").within(4, 6), TENSOR.within(4, 6)
        ((1, 6), (4, 6))
        """
        return min(self.rows or rows, rows), min(self.cols or cols, cols)

    def grid(self, rows: int, cols: int) -> tuple[int, int]:
        """How many groups a [rows, cols] tensor has along each axis; the last of a row may be shorter."""
        height, width = self.within(rows, cols)
        return math.ceil(rows / height), math.ceil(cols / width)


TENSOR = Granularity(0, 0)
CHANNEL = Granularity(1, 0)

# The granularities offered, coarse to fine.
GRANULARITIES = ("tensor", "channel", "b256", "b128", "b64", "b32", "b16")
TILES = ("b128x128",)
