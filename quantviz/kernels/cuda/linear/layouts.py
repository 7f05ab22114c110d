"""Where the bits of a code lie in the words that Triton's linear kernels read: layouts as data.

A run of weights along a row is cut in columns of 4 neighbouring words, one 128-bit load. `planes` such vectors hold
`steps` pairs of codes for each of the 4 columns, so 8 · steps weights. Pair p of column i are the run's weights

    k = 8·p + 2·i + h        h = 0 the lower, 1 the upper of the pair

so that the 8 activations that one step needs lie side by side: one more 128-bit load. The words of a row are ordered
plane, run, column. Where a code's bits lie in its column is chosen so that few instructions take a pair apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ....formats import BlockFormat, CodebookFormat, FloatFormat, IntFormat, TernaryFormat
from ....schemes import Scheme

COLUMNS = 4  # int32 words of a 128-bit load
PAIRED = 8  # weights of a step: a pair in each column

Place = tuple[int, int]  # plane, bit of its word


@dataclass(frozen=True)
class Layout:
    """One arrangement of codes of `bits` bits in `planes` words a column.

    kind: how a pair is taken apart: "int" (fields under a mask), "e4m3" and "e2m1" (bits moved to where float16 has
    them), "codebook" (places in a table of 16).
    """

    kind: str
    bits: int
    planes: int

    @property
    def steps(self) -> int:
        """Pairs of a column."""
        return 16 * self.planes // self.bits

    @property
    def run(self) -> int:
        """Weights that `planes` vectors of 4 words hold."""
        return PAIRED * self.steps

    @cached_property
    def places(self) -> tuple[tuple[tuple[Place, ...], ...], ...]:
        """[steps][2][bits]: where each bit of a code lies, lowest bit first."""
        return tuple(tuple(tuple(self._bits(p, h)) for h in (0, 1)) for p in range(self.steps))

    def _bits(self, p: int, h: int) -> list[Place]:
        if self.kind == "codebook":
            return _codebook(p, h)
        half = {"int": self._int, "e4m3": _e4m3, "e2m1": _e2m1}[self.kind](p)
        return [(plane, bit + 16 * h) for plane, bit in half]

    def _int(self, p: int) -> list[Place]:
        """Field after field; of 3 bits, five fields fill 15 bits of a half, and the sixteenth takes what is left."""
        a_plane = 16 // self.bits
        if p == a_plane * self.planes:
            return [(j, 15) for j in range(self.bits)]
        first = self.bits * (p % a_plane)
        return [(p // a_plane, first + j) for j in range(self.bits)]


def _e4m3(p: int) -> list[Place]:
    """The first of two codes lies where float16 has sign, 3 exponent bits and 3 more; the other in the bits between."""
    magnitude, sign = ((7, 15), (0, 14))[p % 2]
    return [(p // 2, magnitude + j) for j in range(7)] + [(p // 2, sign)]


# Of e2m1, a step: how far magnitude and sign are shifted up to come to bits 9 … 11 and 15 of their half.
E2M1_SHIFTS = ((0, 0), (3, 3), (6, 1), (9, 2))


def _e2m1(p: int) -> list[Place]:
    magnitude, sign = E2M1_SHIFTS[p]
    return [(0, 9 - magnitude + j) for j in range(3)] + [(0, 15 - sign)]


def _codebook(p: int, h: int) -> list[Place]:
    """Four codes make one selector of PRMT: their lower 3 bits as its nibbles, their upper ones at the top of bytes."""
    four, place = p // 2, 2 * (p % 2) + h
    return [(0, 16 * four + 4 * place + j) for j in range(3)] + [(0, 8 * place + (3 if four else 7))]


_LAYOUTS = {
    "int8": Layout("int", 8, 2),
    "int4": Layout("int", 4, 1),
    "int3": Layout("int", 3, 3),
    "int2": Layout("int", 2, 1),
    "ternary": Layout("int", 2, 1),
    "fp8_e4m3": Layout("e4m3", 8, 2),
    "fp4_e2m1": Layout("e2m1", 4, 1),
    "nf4": Layout("codebook", 4, 1),
    "bnb_fp4": Layout("codebook", 4, 1),
}
LAYOUTS = tuple(dict.fromkeys(_LAYOUTS.values()))


def layout_of(scheme: Scheme) -> Layout | None:
    """The layout of a scheme's codes; None where the kernels have none."""
    element = scheme.fmt.element if isinstance(scheme.fmt, BlockFormat) else scheme.fmt
    known = isinstance(element, IntFormat | FloatFormat | CodebookFormat | TernaryFormat)
    if not known or scheme.format == "mxint8" or scheme.rule not in RULES or "e4m3" == scheme.stored_scale:
        return None
    return _LAYOUTS.get(element.name)


RULES = ("sym", "asym", "ternary", "scaled", "codebook", "mx", "nvfp4")


def flush_steps(layout: Layout, group: int) -> int | None:
    """Steps after which a sum takes its scale, for blocks of `group` weights (0: one scale a row); None if uneven."""
    if group == 0 or group % layout.run == 0:
        return layout.steps
    return group // PAIRED if layout.run % group == 0 and group % PAIRED == 0 else None
