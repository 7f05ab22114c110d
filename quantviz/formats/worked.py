"""A code spelled out: the arithmetic that gives its value, what is special about it, and a format's properties.

>>> from quantviz.formats import get
>>> arithmetic(get("fp8_e4m3"), 0b0_0011_101)
['(-1)^0 × 2^(3 - 7) × (1 + 5/8)', '1 × 2^-4 × 1.625', '0.1015625']
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from .bits import (
    AnyFormat,
    ExponentFormat,
    bit_string,
    code_at,
    decode,
    element,
    encode,
    fields,
    kind,
    pack,
    rank_of,
    ranks,
    scale_format,
    split,
    step,
    value,
)
from .numerals import digits, exact, pattern, short
from .types import BlockFormat, CodebookFormat, FloatFormat, Format, IntFormat, TernaryFormat

# Number of codes up to which a table of values lists every one.
EVERY_CODE = 2**16


# -- one code ------------------------------------------------------------------------------------


def arithmetic(f: AnyFormat, code: int, scale: float = 1.0) -> list[str]:
    """The steps from the fields to the value, each equal to the one before; `≈ ` marks a shortened number."""
    v, e = decode(f, code), element(f)
    if not math.isfinite(v):
        return [_special_pattern(f, code), short(v) if kind(f, code) != "unused" else "no value"]
    match e:
        case FloatFormat():
            lines = _float_steps(e, code)
        case ExponentFormat():
            lines = [f"2^({code} - {e.bias})", f"2^{code - e.bias}"]
        case CodebookFormat():
            lines = [f"level {code} of {2**e.bits}"]
        case _:
            lines = _integer_steps(f, code)
    lines.append(exact(v))
    if scale_format(f) and scale != 1:
        product = value(f, code, scale)
        lines += [f"{short(v)} × scale {short(scale)}", exact(product)]
    return [line for i, line in enumerate(lines) if i == 0 or line != lines[i - 1]]


def _float_steps(f: FloatFormat, code: int) -> list[str]:
    parts = split(f, code)
    sign, exponent, mantissa = parts["sign"], parts["exponent"], parts.get("mantissa", 0)
    leading = 1 if exponent else 0
    field = max(exponent, 1)  # subnormals use the exponent of the smallest normal number
    significand = leading + mantissa / 2**f.mantissa_bits
    return [
        f"(-1)^{sign} × 2^({field} - {f.bias}) × ({leading} + {mantissa}/{2**f.mantissa_bits})",
        f"{'-1' if sign else '1'} × 2^{field - f.bias} × {exact(significand)}",
    ]


def _integer_steps(f: AnyFormat, code: int) -> list[str]:
    e = element(f)
    if e.bits == 1:
        return ["+1 for a set bit, -1 for a clear one"]
    weights = [-(2 ** (e.bits - 1)), *(2**i for i in reversed(range(e.bits - 1)))]
    terms = [str(w) for w, bit in zip(weights, bit_string(f, code), strict=True) if bit == "1"]
    unit = step(f)
    whole = " + ".join(terms) or "0"
    return [whole] if unit == 1 else [f"({whole}) × 2^{int(math.log2(unit))}"]


def _special_pattern(f: AnyFormat, code: int) -> str:
    parts = split(f, code)
    return ", ".join(f"{name} {parts[name]:0{width}b}" for name, width in ((p.name, p.width) for p in fields(f)))


def remark(f: AnyFormat, code: int) -> str | None:
    """A sentence on what is special about a code, or None for an ordinary one."""
    e = element(f)
    match kind(f, code):
        case "zero":
            second = "a second zero, -0, with the sign bit set"
            if not e.has_negative_zero:
                second = "no second zero: the code with the sign bit set is its NaN"
            return f"Zero: every bit of exponent and mantissa is 0. {e.name} has {second}."
        case "negative zero":
            return "Negative zero: it equals 0, but keeps the sign of the small negative number that was rounded to it."
        case "subnormal":
            return (
                f"Subnormal: the exponent bits are all 0, so the leading 1 is dropped and the exponent is {e.emin}. "
                f"Subnormals fill the gap from 0 to {digits(e.min_normal)} in equal steps of {digits(e.min_subnormal)}."
            )
        case "infinity":
            return "Infinity: the exponent bits are all 1 and the mantissa is 0. Casts here saturate and never give it."
        case "NaN" if isinstance(e, ExponentFormat):
            return "NaN: all bits are 1. A block with this scale holds no numbers."
        case "NaN" if e.specials == "fn":
            return "NaN: every bit but the sign is 1. This format has no infinity; its top exponent holds numbers too."
        case "NaN" if e.specials == "fnuz":
            return "NaN: the code that would be -0. This format has no infinity and no -0, so all others hold numbers."
        case "NaN":
            return "NaN, not a number: the exponent bits are all 1 and the mantissa is not 0, whatever else it is."
        case "unused":
            return "This code is unused: three values fit in two bits with one code to spare."
    if isinstance(e, IntFormat) and e.bits == 1:
        return "int1 has no zero: its one bit is the sign, and the scale the mean magnitude of the weights."
    if isinstance(e, IntFormat) and decode(f, code) == -(2 ** (e.bits - 1)) * step(f):
        return (
            f"Symmetric schemes leave this code unused, except under range=full: their codes run from "
            f"-{e.max_symmetric} to {e.max_symmetric}."
        )
    if isinstance(e, CodebookFormat) and code and decode(f, code) == 0 and e.name == "bnb_fp4":
        return "A second code for 0: the sign bit makes no difference here, and the encoder never gives this one."
    rank, every = rank_of(f, code), ranks(f)
    if isinstance(e, FloatFormat) and rank in (every[0], every[-1]):
        return f"The {'lowest' if rank < 0 else 'largest'} finite value: everything beyond is cast to it."
    return None


# -- a format ------------------------------------------------------------------------------------

# Column of the table of properties -> what it means.
PROPERTIES: dict[str, str] = {
    "format": "Its name in a scheme key.",
    "bits a weight": "Bits of one code, plus the share of a scale that the format's specification fixes.",
    "bytes a weight": "Bits a weight divided by 8.",
    "layout": "Bits of sign, exponent and mantissa (s, e, m), or of integer or index (i).",
    "bias": "Subtracted from the exponent bits.",
    "emin": "Exponent of the smallest normal number, and of the subnormals.",
    "emax": "Exponent of the largest finite number.",
    "largest": "Largest finite value, before any scale.",
    "smallest normal": "2^emin.",
    "smallest subnormal": "2^(emin - mantissa bits): the smallest positive value.",
    "epsilon": "Distance from 1 to the next larger value; for integers the step.",
    "finite values": "Distinct finite values; 0 and -0 count once.",
    "specials": "Codes that are no finite number, and the second zero.",
    "scale": "What the format's values are multiplied by, and how that is stored.",
    "source": "The specification or library that defines it.",
}


def bits_a_weight(f: Format) -> float:
    """Bits of a code, and of its share in the scale where the specification fixes the block."""
    return f.bits + 8 / f.block if isinstance(f, BlockFormat) else f.bits


def properties(f: Format) -> dict[str, Any]:
    """One row of the table of formats: PROPERTIES' columns, None where one does not apply."""
    e, is_float = element(f), isinstance(element(f), FloatFormat)
    row = dict.fromkeys(PROPERTIES)
    row |= {
        "format": f.name,
        "bits a weight": bits_a_weight(f),
        "bytes a weight": bits_a_weight(f) / 8,
        "layout": " ".join(f"{part.name[0]}{part.width}" for part in fields(f)),
        "largest": decode(f, code_at(f, ranks(f)[-1])),
        "finite values": len(ranks(f)),
        "specials": _specials(e),
        "scale": _scale_words(f),
        "source": f.source,
    }
    if is_float:
        row |= {
            "bias": e.bias, "emin": e.emin, "emax": e.emax, "smallest normal": e.min_normal,
            "smallest subnormal": e.min_subnormal, "epsilon": e.epsilon,
        }  # fmt: skip
    elif isinstance(e, IntFormat | TernaryFormat):
        row["epsilon"] = step(f) if e.bits > 1 else None
    return row


def _specials(e: AnyFormat) -> str:
    if isinstance(e, FloatFormat):
        return {"ieee": "±∞, NaN, -0", "fn": "NaN, -0", "finite": "-0", "fnuz": "NaN"}[e.specials]
    if isinstance(e, TernaryFormat):
        return "one code unused"
    return "two codes for 0" if e.name == "bnb_fp4" else "none"


MX_RULE = (
    "The scale of an MX block is 2^(⌊log₂ max |x|⌋ − emax), the specification's own rule, called floor: the largest "
    "weights may be cut off. Others are in use and give other errors, such as rounding the exponent up (rceil, of "
    "NVIDIA's recipes and torchao's inference): the option rule= of a scheme chooses one, as in mxfp4:rule=rceil."
)


def _scale_words(f: Format) -> str | None:
    if isinstance(f, BlockFormat):
        stored = "E8M0 (a power of two)" if f.scale == "e8m0" else "fp8_e4m3, times one float32 a tensor"
        return f"one a block of {f.block}: {stored}"
    return f"by scheme, by default {scale_format(f).name}" if scale_format(f) else None


def packed_bytes_a_weight(f: Format, weights: int = 4096) -> float:
    """Measured, not derived: numbers of both signs are encoded, their codes packed, and the bytes counted."""
    codes = [encode(f, Fraction(i - weights // 2, weights)) for i in range(weights)]
    return len(pack(f, codes)) / weights


def value_table(f: AnyFormat, codes: Iterable[int], scale: float = 1.0) -> list[dict[str, Any]]:
    """A row a code: the pattern, its bits, its value (NaN and infinity as text), exact digits, and its kind."""
    return [_value_row(f, code, scale) for code in codes]


def _value_row(f: AnyFormat, code: int, scale: float) -> dict[str, Any]:
    v = value(f, code, scale)
    return {
        "code": code,
        "pattern": pattern(f, code),
        "bits": bit_string(f, code),
        **split(f, code),
        "value": v if math.isfinite(v) else None,
        "shown": short(v),
        "kind": kind(f, code),
    }


def codes_to_list(f: AnyFormat, code: int, around: int = 1000) -> Sequence[int]:
    """Every code of a format of up to 16 bits; of a longer one the neighbours of `code`, `around` on each side."""
    if 2 ** element(f).bits <= EVERY_CODE:
        return range(2 ** element(f).bits)
    every, rank = ranks(f), rank_of(f, code)
    if rank is None:
        return [code]
    return [code_at(f, r) for r in range(max(rank - around, every[0]), min(rank + around, every[-1]) + 1)]
