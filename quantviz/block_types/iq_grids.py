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

from .arrays import Array, in_order, like, look_up
from .base import Parameters

DELTA = np.float32(0.125)  # what iq1_s and iq1_m add to, or take from, a whole group
_SEVEN_BITS = np.array([0, 7, 14, 21], np.int32)


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
    index: Array  # int32 [blocks, 256 / group]: points of the grid
    scales: Array  # float32 [blocks, parts]: what a part of the block is multiplied with
    minus: Array  # uint8 [blocks, 32]: a bit a weight: its sign, or for iq1 whether DELTA is taken away
    stored: dict[str, Array]  # second-level numbers, as Unpacked has them

    def codes(self) -> Array:
        """int32 [blocks, 256]: a weight's level, and above its bits the bit of `minus`."""
        g = grid(self.grid)
        return look_up(g.levels, self.index).reshape(-1, 256) | in_order(self.minus, 1) << g.width

    def parameters(self) -> Parameters:
        return Parameters(self.scales, stored={**self.stored, "index": self.index})


def readers(read: Callable[[Array], Gridded]) -> tuple[Callable, Callable]:
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


def cut(words: Array, at: np.ndarray, width: int) -> Array:
    """Fields of `width` bits from each of the bits `at`, one word after the other: [blocks, words · len(at)]."""
    return ((words[:, :, None] >> like(at, words)) & ((1 << width) - 1)).reshape(-1, words.shape[1] * len(at))


def signs_and_scales(words: Array) -> tuple[Array, Array]:
    """Words of four times seven signs and a scale of four bits: minus as Gridded has it, and int32 [blocks, words]."""
    return look_up(even_signs(), cut(words, _SEVEN_BITS, 7)), words >> 28 & 15
