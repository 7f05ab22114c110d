"""The tables of GGUF's iq types: levels that are not evenly spaced, and grids, the combinations of levels that a group
of four or eight neighbours may take.

They are read from the gguf package; nothing here is typed in. A point of a grid is also known by its word: the level
of its first coordinate in the lowest bits, that of the next above it, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from .base import Parameters

DELTA = np.float32(0.125)  # what iq1_s and iq1_m add to, or take from, a whole group


@dataclass(frozen=True)
class Grid:
    """The points in the order of their index, which is what a block stores."""

    values: np.ndarray  # float32 [points, group]: what a coordinate stands for
    levels: np.ndarray  # int32 [points, group]: which of the grid's three or eight levels it is, from 0

    @property
    def group(self) -> int:
        """Neighbouring weights a point covers: 8, or 4 on the grids of eight levels."""
        return self.levels.shape[1]

    @property
    def width(self) -> int:
        """Bits of a level in a word."""
        return 2 if self.group == 8 else 3

    @property
    def words(self) -> np.ndarray:
        """int32 [points]: every point's levels in one number."""
        return (self.levels << (self.width * np.arange(self.group))).sum(axis=1, dtype=np.int32)


@cache
def grid(name: str) -> Grid:
    """The grid of a block type; iq1_m has iq1_s's."""
    from gguf import quants

    source = getattr(quants, name.upper())
    source.init_grid()
    values = np.ascontiguousarray(source.grid.reshape(source.grid_shape), np.float32)
    return Grid(values, np.searchsorted(np.array(source.grid_map, np.float32), values).astype(np.int32))


@cache
def even_signs() -> np.ndarray:
    """uint8 [128]: eight signs, a bit each, from the seven stored; the eighth makes the number of minuses even."""
    from gguf import quants

    return np.frombuffer(quants.IQ2_XXS.ksigns, np.uint8)


@cache
def uneven_levels() -> tuple[int, ...]:
    """The sixteen levels of iq4_nl and iq4_xs, rising."""
    from gguf import quants

    return tuple(int(level) for level in quants.IQ4_NL.kvalues)


@dataclass(frozen=True)
class Gridded:
    """Blocks of 256 weights on a grid, taken apart: what their readers agree on, whatever the layout."""

    grid: str  # the type whose grid it is
    index: np.ndarray  # int32 [blocks, 256 / group]: points of the grid
    scales: np.ndarray  # float32 [blocks, parts]: what a part of the block is multiplied with
    minus: np.ndarray  # uint8 [blocks, 32]: a sign bit a weight; for iq1, a byte a group: whether DELTA is taken away
    stored: dict[str, np.ndarray]  # second-level numbers, as Unpacked has them

    def codes(self) -> np.ndarray:
        """int32 [blocks, 256]: a weight's level, and above its bits the sign, or for iq1 the group's."""
        g = grid(self.grid)
        levels = g.levels[self.index].reshape(len(self.index), 256)
        if self.grid == "iq1_s":
            minus = np.repeat(self.minus, 8, axis=1)
        else:
            minus = np.unpackbits(self.minus, axis=1, bitorder="little")
        return levels | minus.astype(np.int32) << g.width

    def parameters(self) -> Parameters:
        return Parameters(self.scales, stored={**self.stored, "index": self.index})


def readers(read: Callable[[np.ndarray], Gridded]) -> tuple[Callable, Callable]:
    """A type's readers of codes and of parameters, as BlockType wants them."""
    return lambda data: read(data).codes(), lambda data: read(data).parameters()


def code_book(name: str) -> Callable[[], np.ndarray]:
    """What the codes of a grid's weights stand for; there may be fewer levels than their bits could tell apart."""

    def make() -> np.ndarray:
        g = grid(name)
        levels = np.full(1 << g.width, np.nan, np.float32)
        levels[g.levels.reshape(-1)] = g.values.reshape(-1)
        if name == "iq1_s":
            return np.concatenate([levels + DELTA, levels - DELTA])
        return np.concatenate([levels, -levels])

    return make


def field(data: np.ndarray, at: int, count: int, dtype: str) -> np.ndarray:
    """int64 [blocks, count]: little-endian integers from byte `at` of every block."""
    size = np.dtype(dtype).itemsize
    return np.ascontiguousarray(data[:, at : at + count * size]).view(dtype).astype(np.int64)
