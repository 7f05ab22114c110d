"""What each code stands for, and one block's arithmetic spelled out for reading."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evaluation import Block
from .formats import MXINT8_STEP, BlockFormat, CodebookFormat, FloatFormat, IntFormat
from .schemes import Scheme


def code_values(scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """(codes, values), sorted by value: int64 codes and float64 values in units of the scale.

    For asym and offset the value is the code itself, before zero point or minimum. Codes that are no
    finite number are left out. Only for formats of at most 16 bits.
    """
    first, last = scheme.code_range
    codes = np.arange(first, last + 1)
    table = _table(scheme)
    values = codes.astype(np.float64) if table is None else table.astype(np.float64)
    if scheme.format == "mxint8":
        values = values * MXINT8_STEP
    keep = np.isfinite(values)
    order = np.lexsort((codes[keep], values[keep]))
    return codes[keep][order], values[keep][order]


def _table(scheme: Scheme) -> np.ndarray | None:
    """float32 value of each code, where a table says what codes stand for."""
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


def _number(x: float) -> str:
    return f"{x:.4g}".replace("-", "−")


def arithmetic(block: Block) -> list[str]:
    """How each code becomes a weight, one line a weight in row-major order: "5 × 0.0123 = 0.0615"."""
    scheme = Scheme.parse(block.scheme)
    table = _table(scheme)
    step = MXINT8_STEP if scheme.format == "mxint8" else None
    codes, results = block.codes.reshape(-1).tolist(), block.dequantized.reshape(-1).tolist()
    kept = [False] * len(codes) if block.kept is None else block.kept.reshape(-1).tolist()
    return [
        f"kept in 16 bit: {_number(y)}" if apart else f"{_left_side(scheme, block, code, table, step)} = {_number(y)}"
        for code, y, apart in zip(codes, results, kept, strict=True)
    ]


def _left_side(scheme: Scheme, block: Block, code: int, table: np.ndarray | None, step: float | None) -> str:
    scale = "" if block.scale is None else _number(block.scale)
    written = code_text(scheme, code).replace("-", "−")
    match scheme.rule:
        case "asym":
            return f"({written} − {block.zero_point}) × {scale}"
        case "offset":
            return f"{_number(block.minimum)} + {written} × {scale}"
        case "cast":
            return f"{written}"
    if step is not None:
        return f"{written}/64 × {scale}"
    if table is not None:
        return f"{written} → {_number(float(table[code]))} × {scale}"
    return f"{written} × {scale}"


def rule_text(block: Block) -> str:
    """The rule of the block in one line, with its parameters."""
    scheme = Scheme.parse(block.scheme)
    scale = "" if block.scale is None else f"scale {_number(block.scale)}"
    match scheme.rule:
        case "asym":
            return f"weight = (code − zero point) × scale, with {scale} and zero point {block.zero_point}"
        case "offset":
            return f"weight = minimum + code × scale, with minimum {_number(block.minimum)} and {scale}"
        case "cast":
            return "weight = value of the bit pattern (sign · exponent · mantissa); nothing is scaled"
        case "codebook":
            return f"weight = level of the code × largest magnitude, with {scale.replace('scale', 'largest magnitude')}"
        case "scaled" | "mx" | "nvfp4" if scheme.format != "mxint8":
            return f"weight = value of the bit pattern (sign · exponent · mantissa) × scale, with {scale}"
    return f"weight = code {'/ 64 ' if scheme.format == 'mxint8' else ''}× scale, with {scale}"


def block_rows(block: Block) -> dict[str, Any]:
    """The block as columns: row, column, original, code, arithmetic, dequantized, error."""
    scheme = Scheme.parse(block.scheme)
    rows, cols = np.meshgrid(np.arange(*block.rows), np.arange(*block.cols), indexing="ij")
    return {
        "row": rows.reshape(-1),
        "column": cols.reshape(-1),
        "original": block.original.reshape(-1),
        "code": [code_text(scheme, code) for code in block.codes.reshape(-1).tolist()],
        "arithmetic": arithmetic(block),
        "dequantized": block.dequantized.reshape(-1),
        "error": block.error.reshape(-1),
    }


def is_whole(scheme: Scheme) -> bool:
    """Whether codes are whole numbers rather than patterns or table entries."""
    element = scheme.fmt.element if isinstance(scheme.fmt, BlockFormat) else scheme.fmt
    return isinstance(element, IntFormat) or scheme.rule == "ternary"
