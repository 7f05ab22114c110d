"""Pairs of packed codes to float32, in Triton: the instructions of an NVIDIA GPU, and the same in plain integers.

`pair` gives for one step the lower and the upper weight of every column before its scale: q - z for integers, the
table's entry for a code book, the value times a power of two for floats (`UNITS` says which). PTX chooses how:

* Integers. OR-ing 0x6400 over a field of a half makes the float16 number 1024 + 2^f·u, f the field's lowest bit, for
  the field lies within float16's 10 bits of mantissa. One fused multiply-add by 2^-f, with -(1024·2^-f + z), gives
  u - z: both constants are float16 numbers, the result is a whole number of at most 8 bits and a sign, and the one
  rounding of the fused operation finds nothing to round. The plain path subtracts integers and converts: the same
  number.
* Floats. Magnitude and sign move to where float16 has them; float16's exponent is biased by 15, e2m1's by 1 and e4m3's
  by 7, so the number reads 2^-14 or 2^-8 of its value, subnormals included. Both paths do this.
* Code books. PRMT picks bytes from a table of 8 by the lower 3 bits of a code; two tables and the upper bit make 16,
  and lower and upper bytes of float16 levels are picked apart. The plain path loads the same level from memory.

So both give the same numbers; tests go through every code of either.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .layouts import E2M1_SHIFTS

# What a pair's numbers are multiplied by to be values.
UNITS = {"int": 1.0, "codebook": 1.0, "e4m3": 2.0**8, "e2m1": 2.0**14}

_MAGNITUDE_SHIFTS = tl.constexpr(tuple(magnitude for magnitude, _ in E2M1_SHIFTS))
_SIGN_SHIFTS = tl.constexpr(tuple(sign for _, sign in E2M1_SHIFTS))

# $2 words, $3 mask of the field, $4 2^-f, $5 -(1024·2^-f + z), the last three twice in a word.
_INT_PAIR = tl.constexpr("""{
    .reg .b32 t; .reg .b16 lower, upper;
    lop3.b32 t, $2, $3, 0x64006400, 0xea;
    fma.rn.f16x2 t, t, $4, $5;
    mov.b32 {lower, upper}, t;
    cvt.f32.f16 $0, lower;
    cvt.f32.f16 $1, upper;
}""")


_HALVES = tl.constexpr("""{
    .reg .b16 lower, upper;
    mov.b32 {lower, upper}, $2;
    cvt.f32.f16 $0, lower;
    cvt.f32.f16 $1, upper;
}""")
# $4 words, $5 … $12 the tables. Selector nibbles have 3 bits; 0xba98 spreads the top bit of each byte over it.
_CODEBOOK = """{{
    .reg .b32 s, m, a, b, c, d; .reg .b16 w, x, y, z;
    and.b32 s, $4, 0x77777777; {take}
    {top}
    prmt.b32 a, $5, $6, s; prmt.b32 b, $7, $8, s; lop3.b32 a, m, b, a, 0xca;
    prmt.b32 c, $9, $10, s; prmt.b32 d, $11, $12, s; lop3.b32 c, m, d, c, 0xca;
    prmt.b32 b, a, c, 0x5140; prmt.b32 d, a, c, 0x7362;
    mov.b32 {{w, x}}, b; mov.b32 {{y, z}}, d;
    cvt.f32.f16 $0, w; cvt.f32.f16 $1, x; cvt.f32.f16 $2, y; cvt.f32.f16 $3, z;
}}"""
_FIRST_FOUR = tl.constexpr(_CODEBOOK.format(take="", top="prmt.b32 m, $4, 0, 0xba98;"))
_SECOND_FOUR = tl.constexpr(
    _CODEBOOK.format(take="shr.u32 s, s, 16;", top="shl.b32 m, $4, 4; prmt.b32 m, m, 0, 0xba98;")
)
_CODEBOOK_REGISTERS = tl.constexpr("=f,=f,=f,=f," + ",".join("r" * 9))


@triton.jit
def pair(w0, w1, w2, zero, book, P: tl.constexpr, KIND: tl.constexpr, BITS: tl.constexpr, PTX: tl.constexpr):
    """float32 (lower, upper) of step P of words w0, w1, w2 (a plane each), in the words' shape.

    zero: int32 zero points, a number or of the words' shape.  book: of a code book, what `load_tables` gives, or
    without PTX a pointer to its levels, float32 [16]; else anything.
    """
    if KIND == "int":
        lower, upper = _int_pair(w0, w1, w2, zero, P, BITS, PTX)
    elif KIND == "codebook":
        if PTX:
            lower, upper = _codebook_pair(w0, book, P)
        else:
            lower, upper = _codebook_plain(w0, book, P)
    else:
        lower, upper = _float_pair(w0, w1, P, KIND, PTX)
    return lower, upper


@triton.jit
def _int_pair(w0, w1, w2, zero, P: tl.constexpr, BITS: tl.constexpr, PTX: tl.constexpr):
    FIELDS: tl.constexpr = 16 // BITS  # of a half
    PLANE: tl.constexpr = P // FIELDS
    # A field has to end within 10 bits; what lies higher is first shifted down by whole fields.
    FIRST: tl.constexpr = 10 // BITS
    SHIFT: tl.constexpr = BITS * FIRST if BITS == 3 else 8
    LOW: tl.constexpr = BITS * (P % FIELDS)
    DOWN: tl.constexpr = SHIFT if LOW + BITS > (9 if BITS == 3 else 8) else 0
    F: tl.constexpr = LOW - DOWN
    MASK: tl.constexpr = (2**BITS - 1) * 0x10001
    if BITS == 3 and P == 15:  # one bit of each plane
        u = ((w0 >> 15) & 0x10001) | ((w1 >> 14) & 0x20002) | ((w2 >> 13) & 0x40004)
        lower, upper = _int_values(u, zero, 0, 0x70007, PTX)
    else:
        w = w0 if PLANE == 0 else (w1 if PLANE == 1 else w2)
        lower, upper = _int_values(w >> DOWN, zero, F, MASK, PTX)
    return lower, upper


@triton.jit
def _int_values(u, zero, F: tl.constexpr, MASK: tl.constexpr, PTX: tl.constexpr):
    if PTX:
        SCALE: tl.constexpr = ((15 - F) << 10) * 0x10001  # 2^-F as float16, twice
        # 1024·2^-F + z as float16: the exponent F lower, and z in units of the last place, which is 2^-F.
        minus = ((0xE400 - (F << 10)) + (zero << F)) * 0x10001
        lower, upper = tl.inline_asm_elementwise(
            _INT_PAIR, "=f,=f,r,r,r,r", [u, MASK << F, SCALE, minus],
            dtype=(tl.float32, tl.float32), is_pure=True, pack=1,
        )  # fmt: skip
    else:
        HALF: tl.constexpr = MASK & 0xFFFF
        lower = (((u >> F) & HALF) - zero).to(tl.float32)
        upper = (((u >> (F + 16)) & HALF) - zero).to(tl.float32)
    return lower, upper


@triton.jit
def _float_pair(w0, w1, P: tl.constexpr, KIND: tl.constexpr, PTX: tl.constexpr):
    if KIND == "e4m3":
        w = w0 if P < 2 else w1
        if P % 2 == 0:
            bits = w & -0x407F4080  # 0xbf80bf80
        else:
            bits = ((w << 7) & 0x3F803F80) | ((w << 1) & -0x7FFF8000)
    elif P < 2:
        bits = (w0 << _MAGNITUDE_SHIFTS[P]) & -0x71FF7200  # 0x8e008e00
    else:
        bits = ((w0 << _MAGNITUDE_SHIFTS[P]) & 0x0E000E00) | ((w0 << _SIGN_SHIFTS[P]) & -0x7FFF8000)
    if PTX:
        lower, upper = tl.inline_asm_elementwise(
            _HALVES, "=f,=f,r", [bits], dtype=(tl.float32, tl.float32), is_pure=True, pack=1
        )
    else:
        lower, upper = half_value(bits), half_value(bits >> 16)
    return lower, upper


@triton.jit
def half_value(bits):
    """float32 of the float16 number in the lower half of a word."""
    return (bits & 0xFFFF).to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def _codebook_pair(w, tables, P: tl.constexpr):
    # Both steps of a group of four make the same call, of which the compiler keeps one.
    TEXT: tl.constexpr = _FIRST_FOUR if P < 2 else _SECOND_FOUR
    t0, t1, t2, t3, t4, t5, t6, t7 = tables
    a, b, c, d = tl.inline_asm_elementwise(
        TEXT, _CODEBOOK_REGISTERS, [w, t0, t1, t2, t3, t4, t5, t6, t7],
        dtype=(tl.float32, tl.float32, tl.float32, tl.float32), is_pure=True, pack=1,
    )  # fmt: skip
    if P % 2 == 0:
        return a, b
    return c, d


@triton.jit
def load_tables(tables, C: tl.constexpr):
    """The tables of a code book as `pair` needs them for PTX: [1, C] each.

    In memory a table stands 32 times, and every lane reads its own copy. Were it one number for all, the compiler
    would keep it in a uniform register, from which PRMT cannot read, and move it for every use.
    """
    lane = tables + tl.arange(0, C // 4) % 32
    return (
        _a_column(lane, 0, C), _a_column(lane, 1, C), _a_column(lane, 2, C), _a_column(lane, 3, C),
        _a_column(lane, 4, C), _a_column(lane, 5, C), _a_column(lane, 6, C), _a_column(lane, 7, C),
    )  # fmt: skip


@triton.jit
def _a_column(lane, TABLE: tl.constexpr, C: tl.constexpr):
    return spread(tl.load(lane + TABLE * 32)[None, :], 1, C)


@triton.jit
def spread(v, R: tl.constexpr, C: tl.constexpr):
    """A number a run for each of its 4 columns: [R, C / 4] -> [R, C]."""
    return tl.reshape(tl.broadcast_to(v[:, :, None], (R, C // 4, 4)), (R, C))


@triton.jit
def _codebook_plain(w, levels, P: tl.constexpr):
    FOUR: tl.constexpr = P // 2
    N: tl.constexpr = 2 * (P % 2)
    TOP: tl.constexpr = 3 if FOUR else 7
    lower = ((w >> (16 * FOUR + 4 * N)) & 7) | (((w >> (8 * N + TOP)) & 1) << 3)
    upper = ((w >> (16 * FOUR + 4 * N + 4)) & 7) | (((w >> (8 * N + 8 + TOP)) & 1) << 3)
    return tl.load(levels + lower), tl.load(levels + upper)
