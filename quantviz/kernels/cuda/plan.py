"""What the kernels are told: a scheme as constants, and a tensor cut into tiles. No Triton here, and no device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...formats import CodebookFormat, FloatFormat
from ...schemes import TENSOR, Scheme
from ...schemes.rules import element_of, power_choice

TILE = 4096  # weights a program takes, where a group is no larger
LARGEST_TILE = 16384  # a group of at most this many weights stays in registers, so that it is read once
LARGEST_MEASURED = 8192  # the same where it is measured, which takes more registers a weight
INT32 = 2**31


@dataclass(frozen=True)
class Rule:
    """A scheme's arithmetic. A constant of each kernel, so that its branches vanish.

    element, scaling: as `schemes.rules` has them, but the elements "identity" and "bf16" for those casts, and "stepped"
    for the multiples of 1/64 of MXINT8.  store: type of the scales.  first, top: smallest and largest code, or the
    largest value of a float format.  emin: exponent of the smallest normal, with float32's bias.  tiny: smallest
    subnormal.  infinities: whether max_code + 1 is one.  negative_zero: whether there is one.
    largest: what the largest magnitude of a group is divided by.  addend, power_emax: as `schemes.rules.PowerChoice`.
    sixes: 4 where an NVFP4 block may bring its largest weight to 4 in place of 6.
    """

    element: str
    scaling: str
    store: str
    first: int
    bits: int
    top: float
    mantissa: int = 0
    emin: int = 0
    emax: int = 0
    max_code: int = 0
    tiny: float = 0.0
    infinities: bool = False
    negative_zero: bool = True
    largest: float = 1.0
    addend: int = 0
    power_emax: int = 0
    sixes: int = 6

    @classmethod
    def of(cls, scheme: Scheme) -> Rule:
        how, e = scheme.how, element_of(scheme.fmt)
        element = "stepped" if how.step != 1 else how.element
        if scheme.rule == "cast":
            element = {"fp32": "identity", "bf16": "bf16"}.get(scheme.format, element)
        choice = {"sixes": scheme.sixes}
        if how.scaling == "largest":
            choice["largest"] = scheme.largest_step
        elif how.scaling == "power of two":
            choice |= zip(("largest", "addend", "power_emax"), power_choice(scheme), strict=True)
        common = (element, how.scaling, scheme.stored_scale, scheme.code_range[0], e.bits)
        if isinstance(e, FloatFormat):
            return cls(
                *common, e.max, e.mantissa_bits, e.emin + 127, e.emax, e.max_code, e.min_subnormal,
                e.specials == "ieee", e.has_negative_zero, **choice,
            )  # fmt: skip
        return cls(*common, float(scheme.code_range[1]) if how.element == "integers" else 1.0, **choice)

    @property
    def has_scale(self) -> bool:
        return self.scaling != "none"


def table_of(scheme: Scheme) -> np.ndarray:
    """float32 [48]: 15 thresholds and an infinity, the level of each code, the codes in rising order of level.

    Zeros for what is no code book.
    """
    table = np.zeros(48, np.float32)
    f = scheme.fmt
    if isinstance(f, CodebookFormat):
        table[:16], table[16:32], table[32:] = np.append(f.thresholds, np.inf), f.values, f.order
    return table


@dataclass(frozen=True)
class Tile:
    """What a program takes: `count` tiles of rows × cols, powers of two. A constant of each kernel.

    flat: whether tiles lie end to end in memory and fill it.  one_group: whether a tile is a whole group.
    full: whether every program has all its tiles.
    """

    rows: int
    cols: int
    count: int
    flat: bool
    one_group: bool
    full: bool

    @property
    def weights(self) -> int:
        return self.rows * self.cols

    def warps(self, weights: int) -> int:
        """So that a thread has that many weights."""
        return min(max(self.weights * self.count // (32 * weights), 1), 16)


class Grid(NamedTuple):
    """Where tiles lie: a tensor [rows, cols] of groups [height, width], each cut into down × across tiles."""

    rows: int
    cols: int
    height: int
    width: int
    group_cols: int  # groups along a row
    down: int
    across: int
    tiles: int

    @property
    def parts(self) -> int:
        return self.down * self.across

    @property
    def groups(self) -> int:
        return self.tiles // self.parts

    @property
    def group_rows(self) -> int:
        return self.groups // self.group_cols


class Parameters(NamedTuple):
    """What every kernel takes for the groups, tensors on the device.

    factor, stored, extra: float32 a group.  tensor_scale: float32 [3], for nvfp4: that scale, and under sixes=4
    6 · 256 over the tensor's largest magnitude, and that magnitude.  table: `table_of`.
    notes: int32 [programs, 2], scales that vanished and that were cut.
    """

    factor: Any
    stored: Any
    extra: Any
    tensor_scale: Any
    table: Any
    notes: Any


class Plan(NamedTuple):
    tile: Tile
    grid: Grid

    @property
    def programs(self) -> int:
        return -(-self.grid.tiles // self.tile.count)


def plan(
    scheme: Scheme, rows: int, cols: int, tile: int = TILE, largest: int = LARGEST_TILE, by_row: bool = False
) -> Plan:
    """Cuts [rows, cols] for a scheme.

    tile: weights a program should take; an interpreter wants many.  largest: group that is taken whole.
    by_row: whether columns have to be known, so that rows may not be forgotten where one group serves all.
    """
    g = scheme.granularity
    if g in (None, TENSOR):
        if rows * cols < INT32 and not by_row:
            rows, cols = 1, rows * cols
        height, width = rows, cols
    else:
        height, width = g.within(rows, cols)
    whole_cols, whole_rows = _power(width), _power(height)
    one_group = g not in (None, TENSOR) and whole_rows * whole_cols <= largest
    if one_group:
        tile_rows, tile_cols = whole_rows, whole_cols
    else:
        tile_cols = min(whole_cols, tile)
        tile_rows = min(whole_rows, max(1, tile // tile_cols))
    down, across = -(-height // tile_rows), -(-width // tile_cols)
    group_rows, group_cols = -(-rows // height), -(-cols // width)
    count = min(max(1, tile // (tile_rows * tile_cols)), _power(group_rows * group_cols)) if one_group else 1
    tiles = group_rows * group_cols * down * across
    grid = Grid(rows, cols, height, width, group_cols, down, across, tiles)
    fills = width % tile_cols == 0 and cols % width == 0 and tile_rows == 1
    flat = fills and (width == tile_cols or rows == height == 1)
    return Plan(Tile(tile_rows, tile_cols, count, flat, one_group, tiles % count == 0), grid)


def _power(n: int) -> int:
    """The smallest power of two that is not below n."""
    return 1 << (n - 1).bit_length()
