"""What a block type is: a runtime's packed layout, described field by field, and read back into numbers.

Every block type of GGUF gives a weight as

    scale · number + minimum

where the number is what its code stands for (a small integer, a level of a table, an entry of a grid) and scale and
minimum are shared by a group of neighbours. `Unpacked` holds these parts for any type, so one inspector shows them all.
Readers are written in the words of `arrays`: arrays are NumPy's where the blocks are, and torch's, on their device,
where those are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .arrays import Array, floats, look_up

SOURCE = "ggml, src/ggml-quants.c at commit d99724f2b141"


CODES, SCALES, MINIMA = "codes", "scales", "minima"
CODES_AND_SCALES, SCALES_AND_MINIMA = "codes and scales", "scales and minima"
ROLES = (CODES, CODES_AND_SCALES, SCALES, SCALES_AND_MINIMA, MINIMA)
ONE, FOUR, EIGHT = b"\x00\x3c", b"\x00\x44", b"\x00\x48"  # as fp16; grids of magnitudes halve or quarter d · (s + ½)
# What a field holds, by its name; codes, with their signs, where it is not here.
_ROLE = {
    "d": SCALES,
    "e": SCALES,
    "scales": SCALES,
    "scales_h": SCALES,
    "scales_l": SCALES,
    "m": MINIMA,
    "dmin": MINIMA,
}


@dataclass(frozen=True)
class BlockField:
    """A stretch of bytes in a block."""

    name: str  # as ggml's source calls it
    offset: int  # first byte, from the block's start
    size: int  # bytes
    meaning: str
    role: str  # one of ROLES


@dataclass(frozen=True)
class Parameters:
    """What the groups of each block share. stored: the second-level numbers it was made of, by name: [blocks, any]."""

    scales: Array  # float32 [blocks, groups]
    minima: Array | None = None  # float32 [blocks, groups], what is added; None for types without one
    stored: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Unpacked:
    """Blocks taken apart. Groups divide a block evenly: weight j of a block is in group j · groups // block.

    Multiplied and added in float32 in this order, scales and numbers give ggml's values bit for bit.
    """

    codes: Array  # int32 [blocks, block], as stored: never negative, except where a field holds signed integers
    numbers: Array  # float32 [blocks, block], what the codes stand for before scaling
    scales: Array  # float32 [blocks, groups]
    minima: Array | None = None  # float32 [blocks, groups], what is added; None for types without one
    stored: dict[str, Array] = field(default_factory=dict)  # as Parameters has them

    @property
    def values(self) -> Array:
        """float32 [blocks, block]: the dequantized weights. The readable reference of every compiled dequantizer."""
        blocks, groups = self.scales.shape
        length = self.numbers.shape[1] // groups
        with np.errstate(all="ignore"):  # a scale beyond fp16 is stored as infinity
            values = self.scales[:, :, None] * self.numbers.reshape(blocks, groups, length)
            if self.minima is not None:
                values += self.minima[:, :, None]
        return values.reshape(blocks, groups * length)


Blocks = Array  # uint8 [blocks, nbytes]


@dataclass(frozen=True)
class BlockType:
    """One packed layout and its rule.

    number: ggml's own, by which a GGUF file names the type.
    block: weights a block; nbytes: bytes a block; fields: its layout, in order, without gaps.
    group: weights that share a scale; bits: of a code.
    codes: blocks -> int32 [blocks, block].  parameters: blocks -> what their groups share.
    code_book: () -> float32, what each code stands for, from first_code on; NaN where one stands for nothing.
    together: how many neighbours choose their codes in common, from a grid of combinations; 1 where each has its own.
    margin: how far beyond the outermost number a weight still rounds to it, in scales: half a step, and nothing in a
    table of uneven levels. What lies farther out was cut off.
    unit: a block whose scales are 1, minima 0 and codes all zero bits; zeros follow where it ends early.
    since: how ggml's own bytes have changed since SOURCE, a sentence; "" where they have not.
    """

    name: str
    number: int
    block: int
    nbytes: int
    fields: tuple[BlockField, ...]
    rule: str  # a sentence
    group: int
    bits: int
    codes: Callable[[Blocks], Array]
    parameters: Callable[[Blocks], Parameters]
    code_book: Callable[[], np.ndarray]
    first_code: int = 0
    together: int = 1
    margin: float = 0.5
    unit: bytes = ONE
    since: str = ""
    needs_importance: bool = False  # cannot be quantized without
    uses_importance: bool = True  # gives other bytes with than without

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / self.block

    @property
    def groups(self) -> int:
        """Groups a block, each with a scale of its own."""
        return self.block // self.group

    @property
    def source(self) -> str:
        return f"{SOURCE}. {self.since}" if self.since else SOURCE

    @cached_property
    def numbers(self) -> np.ndarray:
        """float32: what each code stands for before scaling, from first_code on; NaN where one stands for nothing."""
        numbers = np.array(self.code_book(), np.float32)
        numbers.setflags(write=False)
        return numbers

    @cached_property
    def unscaling(self) -> tuple[np.ndarray, np.ndarray]:
        """(the bits that codes are made of, what takes the place of all others), uint8 [nbytes] each.

        A block & the first | the second has the same codes under scales of 1 and minima of 0: its weights are numbers.
        A bit belongs to codes where a block that holds it alone has other codes than one of zeros; in a field of codes
        all do, as the lowest of a byte in base 3 may change nothing alone.
        """
        alone = np.packbits(np.eye(8 * self.nbytes, dtype=np.uint8), axis=1, bitorder="little")
        changed = (self.codes(alone) != self.codes(np.zeros_like(alone[:1]))).any(axis=1)
        keep = np.packbits(changed, bitorder="little")
        for f in self.fields:
            if f.role == CODES:
                keep[f.offset : f.offset + f.size] = 0xFF
        return keep, np.frombuffer(self.unit.ljust(self.nbytes, b"\0"), np.uint8)

    @property
    def is_even(self) -> bool:
        """Whether codes stand for whole numbers one apart, so that a group's values are evenly spaced by its scale."""
        return len(self.numbers) > 2 and bool((np.diff(self.numbers) == 1).all())

    @cached_property
    def ends(self) -> tuple[float, float] | None:
        """The smallest and largest number; None of signs, which have no end, and of combinations of neighbours."""
        lowest, highest = float(np.nanmin(self.numbers)), float(np.nanmax(self.numbers))
        return None if self.together > 1 or len(self.numbers) <= 2 else (lowest, highest)

    def unpack(self, data: Blocks) -> Unpacked:
        codes, shared = self.codes(data), self.parameters(data)
        if self.is_even:  # as the table has it, without a look at the table
            numbers = floats(codes + (int(self.numbers[0]) - self.first_code))
        else:
            numbers = look_up(self.numbers, codes - self.first_code)
        return Unpacked(codes, numbers, shared.scales, shared.minima, shared.stored)

    def row_bytes(self, cols: int) -> int:
        """Bytes of a row of `cols` weights, which must be a multiple of the block."""
        return cols // self.block * self.nbytes

    def padded(self, cols: int) -> int:
        """The row length that `cols` weights have once zeros fill the last block."""
        return -(-cols // self.block) * self.block


def from_zero(width: int, zero: int = 0) -> Callable[[], np.ndarray]:
    """The code book of `width` bits in which code `zero` stands for 0."""
    return lambda: np.arange(1 << width) - zero


def fields(*parts: tuple[str, int, str] | tuple[str, int, str, str]) -> tuple[BlockField, ...]:
    """(name, bytes, meaning, and a role where the name does not tell it) one after the other -> laid out."""
    offset, laid = 0, []
    for name, size, meaning, *role in parts:
        laid.append(BlockField(name, offset, size, meaning, role[0] if role else _ROLE.get(name, CODES)))
        offset += size
    return tuple(laid)


def scaled(d: Array, sizes: Array) -> Array:
    """float32: d, the scale of scales, times small integers; an infinite one times 0 makes NaN, as it does in ggml."""
    with np.errstate(invalid="ignore"):
        return d * floats(sizes)
