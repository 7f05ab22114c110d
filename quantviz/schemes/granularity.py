"""Which weights share a scale."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from ..errors import QuantvizError


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

    def sizes(self, rows: int, cols: int) -> np.ndarray:
        """How many weights each group holds, float64 [grid rows, grid cols], or with 1 where that axis is cut evenly.

        >>> Granularity.parse("b64").sizes(4, 150)
        array([[64., 64., 22.]])
        """
        height, width = self.within(rows, cols)
        return np.outer(lengths(rows, height), lengths(cols, width)).astype(np.float64)


def lengths(whole: int, step: int) -> np.ndarray:
    """Lengths of the pieces of `whole`, cut every `step`; the last may be shorter. One number if all are equal."""
    return np.array([step]) if whole % step == 0 else np.diff(np.append(np.arange(0, whole, step), whole))


def some_sizes(sizes: np.ndarray, grid: tuple[int, int], groups: slice) -> np.ndarray:
    """The sizes of some groups, numbered row after row, out of what `Granularity.sizes` gives for a grid."""
    if sizes.size == 1:
        return sizes[0]
    first, last = groups.start // grid[1], -(-groups.stop // grid[1])
    rows = np.broadcast_to(sizes, grid)[first:last].reshape(-1)
    return rows[groups.start - first * grid[1] : groups.stop - first * grid[1]]


TENSOR = Granularity(0, 0)
CHANNEL = Granularity(1, 0)

# The granularities offered, coarse to fine.
GRANULARITIES = ("tensor", "channel", "b256", "b128", "b64", "b32", "b16")
TILES = ("b128x128",)
