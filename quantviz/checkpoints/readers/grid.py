"""Which scale a weight has: of one for the tensor, an expert, a row, a group of neighbours in a row, or a tile."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...sources import TensorInfo
from ..layer import Part, Unreadable
from .numbers import keeps_scales, scale_values


@dataclass(frozen=True)
class Grid:
    """The numbers that `height` rows by `width` weights share.

    info: the stored tensor, [..., ⌈out / height⌉, ⌈in / width⌉], or a single number.  rows: of the weight, all experts.
    out: rows of one expert.  values: what its bytes stand for, or None.  kind: "tensor", "expert", "channel", "group"
    or "tile".
    """

    info: TensorInfo
    rows: int
    out: int
    height: int
    width: int
    kind: str
    values: np.ndarray | None = None

    @property
    def _bands(self) -> int:
        """Stored rows of an expert."""
        return -(-self.out // self.height)

    @property
    def part(self) -> Part:
        """By rows, where these begin with each expert anew."""
        if self.kind == "tensor":
            return Part(self.info)
        if self.out % self.height and self.rows > self.out:
            return Part(self.info)
        every = self.rows if self.out == self.rows and self._bands == 1 else self.height
        return Part(self.info, every=every, rows=self.rows // self.out * self._bands)

    @property
    def words(self) -> str:
        """For what there is one: "each 128 × 128 weights"."""
        alone = {"tensor": "the whole tensor", "expert": "each expert", "channel": "each row"}
        return alone.get(self.kind) or f"each {self.height} × {self.width} weights"

    def read(self, stored: np.ndarray, first: int, last: int) -> np.ndarray:
        """float32 [last - first, groups] of rows [first, last). stored: the part's array for these rows."""
        numbers = stored if self.values is None else np.take(self.values, stored)
        numbers = numbers.astype(np.float32, copy=False)
        if self.kind == "tensor":
            return np.broadcast_to(numbers.reshape(1, 1), (last - first, 1))
        part = self.part
        if not part.every:
            row = np.arange(first, last)
            return numbers.reshape(self.rows // self.out * self._bands, -1)[
                row // self.out * self._bands + row % self.out // self.height
            ]
        if part.every == 1:
            return numbers
        return np.repeat(numbers, part.every, axis=0)[first % part.every :][: last - first]


def grid(
    info: TensorInfo, shape: tuple[int, ...], sides: Iterable[tuple[int, int]] = (), integers: bool = False
) -> Grid:
    """How the numbers of `info` lie beside weights of that shape, [out, in] or [experts, out, in].

    sides: tiles to try first, (height, width), the last of which may be cut off by an edge.
    integers: whether they are zero points.  Raises Unreadable where the shapes do not fit.
    """
    *lead, out, cols = shape
    rows = math.prod(lead) * out
    if not integers and not keeps_scales(info.dtype):
        raise Unreadable(f"its scales are {info.dtype}, which is no type of scales")
    values = None if integers else scale_values(info.dtype)
    found, lead = info.shape, tuple(lead)

    def made(height: int, width: int, kind: str) -> Grid:
        return Grid(info, rows, out, height, width, kind, values)

    if info.size == 1:
        return made(rows, cols, "tensor")
    if lead and found in (lead, (*lead, 1), (*lead, 1, 1)):
        return made(out, cols, "expert")
    if found in ((*lead, out), (*lead, out, 1)):
        return made(1, cols, "channel")
    if len(found) == len(shape) and found[:-2] == lead and found[-2] and found[-1]:
        even = [(out // found[-2], cols // found[-1])] if out % found[-2] == 0 == cols % found[-1] else []
        for height, width in (*sides, *even):
            if found[-2:] == (-(-out // height), -(-cols // width)):
                return made(height, width, "group" if height == 1 else "tile")
    what = "zero points" if integers else "scales"
    raise Unreadable(f"its {what} {list(found)} of {info.dtype} do not fit its shape {list(shape)}")
