"""Numbers as people write them: reading a typed value or bit pattern, and writing a value so that it reads back.

>>> from quantviz.formats import get
>>> read("0.1", get("bf16")).code, read("0x3dcd", get("bf16")).code
(15821, 15821)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from ..errors import QuantvizError
from .bits import (
    AnyFormat,
    ExponentFormat,
    Number,
    bit_string,
    code_at,
    decode,
    element,
    encode,
    ranks,
    scale_format,
    value,
)
from .types import BlockFormat, IntFormat

LARGEST_EXPONENT = 400  # of a typed number: refused before a power is computed that would take for ever
LARGEST = Fraction(10) ** 300  # and its reciprocal the smallest: what float64 comfortably shows
LONGEST_TEXT = 200  # characters

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e(?P<exponent>[+-]?[0-9]+))?", re.IGNORECASE)
_FRACTION = re.compile(r"[+-]?[0-9]+/[0-9]+")
_POWER = re.compile(r"(?P<sign>[+-]?)2(\^|\*\*)(?P<exponent>[+-]?[0-9]+)")
_PATTERN = re.compile(r"0x[0-9a-f]+|0b[01]+", re.IGNORECASE)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity|∞)", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """A text read into a format.  typed: the number before rounding, None where a bit pattern was given."""

    text: str
    code: int
    typed: Number | None
    notice: str | None = None


def parse(text: str) -> Number:
    """The exact number a text means: a decimal, a fraction such as 1/3, or a power such as 2^-149.

    Raises QuantvizError for anything else, NaN and infinity included.
    """
    clean = text.strip().replace("−", "-").replace(" ", "")
    if len(clean) > LONGEST_TEXT:
        raise QuantvizError(f"The value has {len(clean)} characters; write it in at most {LONGEST_TEXT}.")
    if _NOT_FINITE.fullmatch(clean):
        what = "NaN" if "nan" in clean.lower() else "Infinity"
        raise QuantvizError(f"{what} is no number to round; type a finite number, or the code as a bit pattern.")
    power = _POWER.fullmatch(clean)
    number = power or _DECIMAL.fullmatch(clean)
    if not number and not (_FRACTION.fullmatch(clean) and int(clean.partition("/")[2])):
        hint = f"; the decimal sign is a point: {clean.replace(',', '.')}" if clean.count(",") == 1 else ""
        raise QuantvizError(f"{text.strip()!r} is no number{hint}. Write for example 0.1, -3e-5, 1/3, 2^-9 or 0b0101.")
    feasible = not number or abs(int((number["exponent"] or "0")[:9])) <= LARGEST_EXPONENT
    x = (_power_of_two(power) if power else Fraction(clean)) if feasible else None
    if x is None or (x and not 1 / LARGEST <= abs(x) <= LARGEST):
        raise QuantvizError(f"{clean} is out of reach of every format; type a magnitude between 1e-300 and 1e300.")
    return -0.0 if x == 0 and clean.startswith("-") else x


def value_snippet(f: AnyFormat, text: str, scale_text: str | None = None) -> str:
    """Python that prints the bits and the value of a text read into a format, with the expected output."""
    reading, scale = read(text, f), 1.0
    lines = ["import quantviz as qv", "", f'f = qv.formats.get("{f.name}")']
    scaled = ""
    if scale_text is not None:
        scale, scaled = decode(scale_format(f), read_scale(scale_text, f).code), ", scale"
        reading = read(text, f, scale)
        lines.append(
            f'scale = qv.formats.decode(qv.formats.scale_format(f), qv.formats.read_scale("{scale_text}", f).code)'
        )
    lines += [
        f'code = qv.formats.read("{text}", f{scaled}).code',
        f"print(qv.formats.bit_string(f, code), qv.formats.value(f, code{scaled}))",
        f"# {bit_string(f, reading.code)} {value(f, reading.code, scale)}",
    ]
    return "\n".join(lines)


def read(text: str, f: AnyFormat, scale: float = 1.0) -> Reading:
    """The code that a text gives in a format: a number is rounded, a pattern (0x3d, 0b0101) is the code itself.

    Raises QuantvizError for a text that is neither, and for a pattern with more bits than the format.
    """
    clean = text.strip().replace(" ", "").replace("_", "")
    if _PATTERN.fullmatch(clean):
        return Reading(clean, _pattern(clean, f), None)
    try:
        typed = parse(text)
    except QuantvizError as error:
        raise QuantvizError(f"{error}{_special_codes(clean, f)}") from None
    code = encode(f, typed, scale)
    return Reading(text.strip(), code, typed, _saturation(text.strip(), f, typed, code, scale))


def read_scale(text: str, f: AnyFormat) -> Reading:
    """The scale of a format that has one, as a code of `scale_format(f)`.

    Raises QuantvizError for a scale that is not positive, or is so small that its stored type makes it 0.
    """
    stored = scale_format(f)
    if not _is_pattern(text) and parse(text) <= 0:
        raise QuantvizError(f"A scale must be greater than 0, and {text.strip()} is not.")
    reading = read(text, stored)
    scale = decode(stored, reading.code)
    if not 0 < scale < math.inf:
        raise QuantvizError(
            f"A scale must be a number greater than 0, and {text.strip()} is {short(scale)} in {stored.name}, "
            f"which holds scales from {short(_smallest_scale(stored))} up."
        )
    return reading


def scale_of_unit_range(f: AnyFormat) -> str | None:
    """The scale, as text, that the format's scheme gives a block whose largest magnitude is 1; None without scale."""
    match f:
        case IntFormat() if f.bits > 2:
            return f"1/{f.max_symmetric}"
        case BlockFormat(scale="e8m0"):
            return f"2^{-f.element_emax}"
        case BlockFormat():
            return f"1/{short(f.element.max)}"
    return "1" if scale_format(f) else None


def text_of(f: AnyFormat, code: int, scale: float = 1.0) -> str:
    """A text that `read` turns back into this very code: the value with all its digits, else the bit pattern."""
    v = value(f, code, scale)
    text = exact(v, longest=32)
    if math.isfinite(v) and not text.startswith("≈") and read(text, f, scale).code == code:
        return text
    return pattern(f, code)


def pattern(f: AnyFormat, code: int) -> str:
    """0x3d for codes of whole bytes, 0b0101 for the others."""
    bits = element(f).bits
    return f"0x{code:0{bits // 4}x}" if bits % 8 == 0 else f"0b{code:0{bits}b}"


def short(x: float) -> str:
    """The shortest decimal that reads back as x (as float32, where x is one)."""
    if math.isnan(x) or math.isinf(x):
        return "NaN" if math.isnan(x) else "-∞" if x < 0 else "∞"
    with np.errstate(over="ignore"):
        single = np.float32(x)
    return re.sub(r"\.0$", "", str(single if float(single) == x else float(x)))


def exact(x: float, longest: int = 48) -> str:
    """All digits of x, or `≈ ` and twelve of them where they are more than `longest` characters."""
    if not math.isfinite(x):
        return short(x)
    text = format(Decimal(x).normalize(), "f")
    return text if len(text) <= longest else f"≈ {x:.12g}"


def digits(x: float) -> str:
    """All digits of x where they are few, else the first twelve: enough to see what float32 makes of 0.1."""
    return exact(x, longest=14).removeprefix("≈ ")


# -- inside --------------------------------------------------------------------------------------


def _power_of_two(match: re.Match[str]) -> Fraction:
    return Fraction(2) ** int(match["exponent"]) * (-1 if match["sign"] == "-" else 1)


def _is_pattern(text: str) -> bool:
    return bool(_PATTERN.fullmatch(text.strip().replace(" ", "").replace("_", "")))


def _pattern(clean: str, f: AnyFormat) -> int:
    code, bits = int(clean, 0), element(f).bits
    if code >= 2**bits:
        raise QuantvizError(
            f"{clean} has {code.bit_length()} bits, and a code of {f.name} has {bits}: "
            f"write {pattern(f, 0)} to {pattern(f, 2**bits - 1)}."
        )
    return code


def _special_codes(clean: str, f: AnyFormat) -> str:
    """ " fp8_e4m3's NaN is 0x7f." after a typed NaN or infinity; "" after any other text."""
    if not _NOT_FINITE.fullmatch(clean):
        return ""
    wanted = math.isnan if "nan" in clean.lower() else math.isinf
    e = element(f)
    what = "NaN" if wanted is math.isnan else "infinity"
    top = [2**e.bits - 1] if isinstance(e, ExponentFormat) else [2 ** (e.bits - 1) - 1, getattr(e, "max_code", 0) + 1]
    top += [2 ** (e.bits - 1)] if getattr(e, "specials", "") == "fnuz" else []
    for code in top:
        if e.bits > 1 and wanted(decode(f, code)):
            return f" The {what} of {f.name} is {pattern(f, code)}."
    return f" {f.name} has no {what}."


def _saturation(text: str, f: AnyFormat, typed: Number, code: int, scale: float) -> str | None:
    """A sentence where the number lies beyond the first or last value by more than rounding explains."""
    every = ranks(f)
    ends = [code_at(f, every[0]), code_at(f, every[-1])]
    if isinstance(element(f), ExponentFormat) or code not in ends:
        return None
    end = value(f, code, scale)
    inner = value(f, code_at(f, every[1] if code == ends[0] else every[-2]), scale)
    if not math.isfinite(end) or abs(Fraction(typed)) <= abs(Fraction(end)) + abs(Fraction(end) - Fraction(inner)) / 2:
        return None
    which = "largest" if end > 0 else "lowest"
    ieee = " (IEEE 754 arithmetic would give infinity)" if getattr(element(f), "specials", "") == "ieee" else ""
    return f"{text} lies beyond {f.name}'s {which} finite value; casts saturate, so it becomes {short(end)}{ieee}."


def _smallest_scale(stored: AnyFormat) -> float:
    return 2.0**-stored.bias if isinstance(stored, ExponentFormat) else stored.min_subnormal
