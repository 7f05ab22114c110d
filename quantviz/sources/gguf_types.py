"""What the type numbers of a GGUF file mean: ggml's enum, with the bytes a block of each type takes.

Source: `enum ggml_type` in https://github.com/ggml-org/ggml/blob/master/include/ggml.h. The numbers never change;
types that ggml gave up keep theirs and are never used again.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..block_types import BLOCK_TYPES


@dataclass(frozen=True)
class GGMLType:
    """dtype: as quantviz names it.  block: weights a block.  nbytes: bytes a block."""

    dtype: str
    block: int = 1
    nbytes: int = 1

    @property
    def packed(self) -> bool:
        return self.block > 1


_PLAIN = {
    0: GGMLType("float32", 1, 4), 1: GGMLType("float16", 1, 2), 30: GGMLType("bfloat16", 1, 2),
    28: GGMLType("float64", 1, 8), 24: GGMLType("int8", 1, 1),
    25: GGMLType("I16", 1, 2), 26: GGMLType("I32", 1, 4), 27: GGMLType("I64", 1, 8),
}  # fmt: skip
_PACKED = {
    **{kind.number: GGMLType(kind.name, kind.block, kind.nbytes) for kind in BLOCK_TYPES.values()},
    # What ggml multiplies by. No file holds weights in them; the gguf package has 40 bytes for q8_1, ggml's C has 36.
    9: GGMLType("q8_1", 32, 36), 15: GGMLType("q8_k", 256, 292),
}  # fmt: skip
TYPES: dict[int, GGMLType] = _PLAIN | _PACKED

# Types that ggml knew once: number -> what it called them.
GIVEN_UP: dict[int, str] = {
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8",
    36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
}  # fmt: skip


def unknown_type(number: int) -> str:
    """What a type that cannot be read is called in a table of contents.

    >>> unknown_type(156), unknown_type(4)
    ('ggml type 156', 'ggml type 4 (Q4_2, given up)')
    """
    return f"ggml type {number}" + (f" ({GIVEN_UP[number]}, given up)" if number in GIVEN_UP else "")


NUMBERS: dict[str, int] = {kind.dtype: number for number, kind in TYPES.items()}
