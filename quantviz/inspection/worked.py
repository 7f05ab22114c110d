"""What each code stands for, and one block's arithmetic spelled out for reading."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..block_types import BlockType
from ..formats import MXINT8_STEP, BlockFormat, CodebookFormat, FloatFormat, IntFormat
from ..schemes import Scheme
from ..text.wording import MINUS, number
from .block import Block


def code_values(scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """(codes, values), sorted by value: int64 codes and float64 values in units of the scale.

    For asym and offset the value is the code itself, before zero point or minimum; of a block type it is the number
    that its group's scale multiplies. Codes that are no finite number are left out. Only for formats of at most 16
    bits.
    """
    first, last = scheme.code_range
    codes = np.arange(first, last + 1)
    table = _table(scheme)
    values = codes.astype(np.float64) if table is None else table.astype(np.float64)
    if scheme.format == "mxint8":
        values = values * MXINT8_STEP
    keep = np.isfinite(values)
    if scheme.rule == "sign":
        keep &= codes != 0  # between the two signs lies no code
    order = np.lexsort((codes[keep], values[keep]))
    return codes[keep][order], values[keep][order]


def _table(scheme: Scheme) -> np.ndarray | None:
    """float32 value of each code, where a table says what codes stand for."""
    if isinstance(scheme.fmt, BlockType):
        numbers = np.full(1 << scheme.fmt.bits, np.nan, np.float32)
        numbers[: len(scheme.fmt.numbers)] = scheme.fmt.numbers
        return numbers
    element = scheme.fmt.element if isinstance(scheme.fmt, BlockFormat) else scheme.fmt
    return element.values if isinstance(element, FloatFormat | CodebookFormat) and element.bits <= 16 else None


def code_text(scheme: Scheme, code: int) -> str:
    """A code as it is best read: whole numbers in decimal, bit patterns in binary (hexadecimal from 16 bits).

    >>> code_text(Scheme.parse("int4-sym-b32"), -3), code_text(Scheme.parse("mxfp4"), 9)
    ('-3', '1·00·1')
    """
    element = scheme.fmt.element if isinstance(scheme.fmt, BlockFormat) else scheme.fmt
    if not isinstance(element, FloatFormat):
        return str(code)
    if element.bits > 8:
        return f"0x{code:0{element.bits // 4}X}"
    bits = f"{code:0{element.bits}b}"
    return f"{bits[0]}·{bits[1 : 1 + element.exponent_bits]}·{bits[1 + element.exponent_bits :]}"


def arithmetic(block: Block) -> list[str]:
    """How each code becomes a weight, one line a weight in row-major order: "5 × 0.0123 = 0.0615".

    The left side has as many digits as it takes to come to the right one, calculated in float32 as the kernels do.
    """
    scheme = Scheme.parse(block.scheme)
    lines_of = _lines if block.unpacked is None else _unpacked_lines
    results = block.dequantized.reshape(-1)
    shown = [number(y) for y in results.tolist()]
    kept = [False] * len(shown) if block.kept is None else block.kept.reshape(-1).tolist()
    for digits in range(FEWEST_DIGITS, ALL_DIGITS + 1):
        with np.errstate(over="ignore"):  # digits that are left out may reach beyond float32: then more are taken
            lines, worth = lines_of(scheme, block, digits)
        if all(apart or number(w) == y for apart, w, y in zip(kept, worth, shown, strict=True)):
            break
    return [
        f"kept in 16 bit: {y}" if apart else f"{line} = {y}" for apart, line, y in zip(kept, lines, shown, strict=True)
    ]


FEWEST_DIGITS, ALL_DIGITS = 4, 9  # of a number; nine tell every float32 from its neighbours


def _told(x: float, digits: int) -> tuple[str, np.float32]:
    """A number as it is written, and what that says."""
    text = number(x, digits)
    return text, np.float32(text.replace(MINUS, "-").replace(",", ""))


def _unpacked_lines(scheme: Scheme, block: Block, digits: int) -> tuple[list[str], list[float]]:
    """ "(11 − 8) × 0.012" for codes evenly spaced, else "11 → 38 × 0.012"; a minimum stands before. And their worth."""
    kind, codes = scheme.fmt, block.codes.reshape(-1)
    numbers = kind.numbers[codes - kind.first_code]
    minima = [None] * len(codes) if block.minima is None else block.minima.reshape(-1).tolist()
    weights = zip(codes.tolist(), numbers.tolist(), block.scales.reshape(-1).tolist(), minima, strict=True)
    lines, worth = [], []
    for code, level, factor, least in weights:
        scale, times = _told(factor, digits)
        before, plus = ("", np.float32(0)) if least is None else _told(least, digits)
        lines.append(f"{before}{' + ' * bool(before)}{_coded(kind, code, level)} × {scale}")
        worth.append(float(plus + np.float32(level) * times))
    return lines, worth


def _coded(kind: BlockType, code: int, level: float) -> str:
    """A code and what it stands for before scaling."""
    written, zero = str(code).replace("-", MINUS), round(code - level)
    if not kind.is_even:
        return f"{written} → {number(level)}"
    return f"({written} − {zero})" if zero else written


def _lines(scheme: Scheme, block: Block, digits: int) -> tuple[list[str], list[float]]:
    """The left sides, and what each comes to: of a cast, whose line shows bits alone, what they stand for."""
    codes, results = block.codes.reshape(-1).tolist(), block.dequantized.reshape(-1).tolist()
    table = _table(scheme)
    told = {code: _left_side(scheme, block, code, table, digits) for code in dict.fromkeys(codes)}
    lines = [told[code][0] for code in codes]
    return lines, results if scheme.rule == "cast" else [float(told[code][1]) for code in codes]


def _left_side(
    scheme: Scheme, block: Block, code: int, table: np.ndarray | None, digits: int
) -> tuple[str, np.float32 | None]:
    written, whole = code_text(scheme, code).replace("-", MINUS), np.float32(code)
    if scheme.rule == "cast":
        return written, None
    scale, times = _told(block.scale, digits)
    if scheme.rule == "asym":
        return f"({written} − {block.zero_point}) × {scale}", (whole - np.float32(block.zero_point)) * times
    if scheme.rule == "offset":
        minimum, plus = _told(block.minimum, digits)
        return f"{minimum} + {written} × {scale}", plus + whole * times
    if scheme.how.step != 1:
        return f"{written}/64 × {scale}", whole / np.float32(64) * times
    if table is not None:
        level, value = _told(float(table[code]), digits)
        return f"{written} → {level} × {scale}", value * times
    return f"{written} × {scale}", whole * times


def rule_text(block: Block) -> str:
    """The rule of the block in one line, with its parameters."""
    scheme = Scheme.parse(block.scheme)
    if block.unpacked is not None:
        return _unpacked_rule(scheme.fmt, block)
    given = {
        "asym": ("scale", block.scale, "zero point", block.zero_point),
        "offset": ("edge" if scheme.edge else "minimum", block.minimum, "scale", block.scale),
        "codebook": ("largest magnitude", block.scale), "cast": (),
    }.get(scheme.rule, ("scale", block.scale))  # fmt: skip
    told = " and ".join(f"{name} {number(value)}" for name, value in zip(given[::2], given[1::2], strict=True))
    return f"weight = {scheme.how.meaning}" + (f", with {told}" if told else "")


def _unpacked_rule(kind: BlockType, block: Block) -> str:
    zero = kind.first_code - float(kind.numbers[0])
    code = "number of the code" if not kind.is_even else f"(code − {zero:g})" if zero else "code"
    minima = block.unpacked.minima is not None
    rule = f"weight = {'minimum + ' * minima}{code} × scale"
    if kind.groups == 1:
        shift = f"minimum {number(block.minimum)} and " if minima else ""
        return f"{rule}, with {shift}scale {number(block.scale)}"
    what = "scale and minimum" if minima else "scale"
    return f"{rule}; each {kind.group} weights have a {what} of their own"


def block_rows(block: Block) -> dict[str, Any]:
    """The block as columns: row, column, original, code, arithmetic, dequantized, error; the names are `block.names`.

    A minus is a hyphen in all of it, for that is what a table writes before the numbers of its other columns.

    Of a block type whose groups have a scale each, the scale too, and the minimum where there is one.
    """
    scheme = Scheme.parse(block.scheme)
    shared = {}
    if block.unpacked is not None and block.scale is None:
        shared = {"scale": block.scales.reshape(-1)}
        shared |= {} if block.minima is None else {"minimum": block.minima.reshape(-1)}
    before, after = block.names
    rows, cols = np.meshgrid(np.arange(*block.rows), np.arange(*block.cols), indexing="ij")
    return {
        "row": rows.reshape(-1),
        "column": cols.reshape(-1),
        before: block.original.reshape(-1),
        "code": [code_text(scheme, code) for code in block.codes.reshape(-1).tolist()],
        "arithmetic": [text.replace(MINUS, "-") for text in arithmetic(block)],
        after: block.dequantized.reshape(-1),
        "error": block.error.reshape(-1),
        **shared,
    }


def is_whole(scheme: Scheme) -> bool:
    """Whether codes are whole numbers rather than patterns or table entries."""
    if isinstance(scheme.fmt, BlockType):
        return scheme.fmt.is_even
    element = scheme.fmt.element if isinstance(scheme.fmt, BlockFormat) else scheme.fmt
    return isinstance(element, IntFormat) or scheme.rule == "ternary"
