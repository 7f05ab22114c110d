"""Perplexity ratios as people read them: a percentage while they are near 1, a factor where they are not."""

from __future__ import annotations

import math

FACTOR_FROM = 2.0  # ratios from here on are said as factors


def added_text(ratio: float, se: float = math.nan) -> str:
    """What a ratio adds, with its standard error to two digits where it is known.

    >>> added_text(1.00321, 0.00114), added_text(0.9999, 0.0002), added_text(99.08, 3.2), added_text(math.nan)
    ('+0.32% ± 0.11%', '−0.010% ± 0.020%', '×99.1 ± 3.2', 'not a number')
    """
    if math.isnan(ratio):
        return "not a number"
    if math.isinf(ratio):
        return "infinite"
    if ratio < FACTOR_FROM:
        return _with_error(100 * (ratio - 1), 100 * se, "%", signed=True)
    return "×" + _with_error(ratio, se, "", signed=False)


def with_error(value: float, se: float) -> str:
    """
    >>> with_error(20.6502, 0.4321), with_error(0.00123, math.nan)
    ('20.65 ± 0.43', '0.00123')
    """
    return _with_error(value, se, "", signed=False)


def _with_error(value: float, se: float, unit: str, signed: bool) -> str:
    """`value` with as many decimals as two digits of its error have, three digits where there is none."""
    if not math.isfinite(value):
        return f"{value:g}"
    known = math.isfinite(se) and se > 0
    scale = se if known else abs(value)
    digits = 1 if known else 2
    decimals = 0 if scale == 0 else max(0, digits - math.floor(math.log10(scale)))
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    if abs(value) >= 1e6:
        text = f"{value:.3g}"
    if signed and not any(c in "123456789" for c in text):
        text = text.lstrip("+-")
    text = text.replace("-", "−") + unit
    if not known:
        return text
    return f"{text} ± {se:.2g}{unit}" if se >= 1e6 else f"{text} ± {se:,.{decimals}f}{unit}"
