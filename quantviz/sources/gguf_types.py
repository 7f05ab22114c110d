"""What the type numbers of a GGUF file mean: ggml's enum, with the bytes a block of each type takes.

Source: `enum ggml_type` in https://github.com/ggml-org/ggml/blob/master/include/ggml.h. The numbers never change;
types that ggml gave up keep theirs and are never used again.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    2: GGMLType("q4_0", 32, 18), 3: GGMLType("q4_1", 32, 20), 6: GGMLType("q5_0", 32, 22),
    7: GGMLType("q5_1", 32, 24), 8: GGMLType("q8_0", 32, 34), 9: GGMLType("q8_1", 32, 36),
    10: GGMLType("q2_k", 256, 84), 11: GGMLType("q3_k", 256, 110), 12: GGMLType("q4_k", 256, 144),
    13: GGMLType("q5_k", 256, 176), 14: GGMLType("q6_k", 256, 210), 15: GGMLType("q8_k", 256, 292),
    16: GGMLType("iq2_xxs", 256, 66), 17: GGMLType("iq2_xs", 256, 74), 18: GGMLType("iq3_xxs", 256, 98),
    19: GGMLType("iq1_s", 256, 50), 20: GGMLType("iq4_nl", 32, 18), 21: GGMLType("iq3_s", 256, 110),
    22: GGMLType("iq2_s", 256, 82), 23: GGMLType("iq4_xs", 256, 136), 29: GGMLType("iq1_m", 256, 56),
    34: GGMLType("tq1_0", 256, 54), 35: GGMLType("tq2_0", 256, 66),
    39: GGMLType("gguf_mxfp4", 32, 17), 40: GGMLType("gguf_nvfp4", 64, 36),
    41: GGMLType("q1_0", 128, 18), 42: GGMLType("q2_0", 64, 18),
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
