"""Numbers as people read them: counts, bytes, times, shares, bits and decibels.

One sign for minus, no trailing noise, no "1 weights", no "-0". A quantity reads the same wherever it is shown, so
pages, figures, sentences and the command line write through here; values of metrics go by `quantviz.metrics`, which
uses this. Ties are rounded away from zero, as browsers do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

MINUS = "−"
UNDEFINED = "undefined"
_TIE = 2.0**-42  # lifts a tie over the edge, far below any digit that is shown
_LEAST_PERCENT = 1e-4  # what is less is not spelled out


def number(x: float, digits: int = 4, fixed: bool = False) -> str:
    """`digits` significant digits; fixed: with the zeros at their end, so that columns align.

    >>> number(0.057133), number(-0.0), number(-9.6431e-16), number(4.3125), number(2.5, fixed=True)
    ('0.05713', '0', '−9.643e−16', '4.313', '2.500')
    >>> number(1234.5), number(math.inf), number(math.nan)
    ('1,235', '∞', 'undefined')
    """
    if not math.isfinite(x):
        return UNDEFINED if math.isnan(x) else "∞" if x > 0 else f"{MINUS}∞"
    if x == 0:
        return "0"
    x = _lifted(x)
    if 10 ** (digits - 1) <= abs(x) < 1e6:
        text = f"{x:,.0f}"
    else:
        text = f"{x:{'#' if fixed else ''}.{digits}g}"
    return text.rstrip(".").replace("-", MINUS)


def decimals(x: float, places: int) -> str:
    """A fixed number of decimals; what rounds to nothing has no sign.

    >>> decimals(4.3125, 3), decimals(-0.0004, 2), decimals(-12345.678, 1)
    ('4.313', '0.00', '−12,345.7')
    """
    if not math.isfinite(x):
        return number(x)
    text = f"{_lifted(x):,.{places}f}"
    return (text if any(c in "123456789" for c in text) else text.lstrip("-")).replace("-", MINUS)


def signed(text: str) -> str:
    """A written number with its sign before it; nothing has none.

    >>> signed("0.3%"), signed("−0.3%"), signed("0.00")
    ('+0.3%', '−0.3%', '0.00')
    """
    return text if text[:1] == MINUS or not any(c in "123456789∞" for c in text) else f"+{text}"


def plural(n: float, one: str, many: str | None = None) -> str:
    """
    >>> plural(1, "weight"), plural(2, "weight"), plural(2_000_000, "weight"), plural(0, "granularity", "granularities")
    ('1 weight', '2 weights', '2 million weights', '0 granularities')
    """
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def places(what: str, start: int, stop: int) -> str:
    """Places from `start` up to `stop`, which is not among them, as people count them.

    >>> places("row", 3, 4), places("column", 0, 1024)
    ('row 3', 'columns 0 to 1,023')
    """
    return f"{what} {start:,}" if stop - start == 1 else f"{what}s {start:,} to {stop - 1:,}"


def listed(names: Sequence[str], most: int = 100) -> str:
    """Names in a sentence; of more than `most` the first ones, and how many there are besides.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], 3)
    ('a', 'a, b and c', 'a, b and 2 more')
    """
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def count(n: float) -> str:
    """
    >>> count(1234), count(16_777_216), count(1_050_673_152), count(999_999_999)
    ('1,234', '16.8 million', '1.05 billion', '1 billion')
    """
    if n < 999_500:
        return f"{n:,.0f}"
    for limit, word in ((1e6, "million"), (1e9, "billion"), (1e12, "trillion"), (math.inf, "")):
        if n < 999.5 * limit or limit == 1e12:
            return f"{number(n / limit, 3)} {word}"
    raise AssertionError


def size(nbytes: float) -> str:
    """Decimal units.

    >>> size(512), size(90_868_376), size(999_999)
    ('512 B', '90.9 MB', '1 MB')
    """
    if nbytes < 999.5:
        return f"{nbytes:.0f} B"
    for limit, unit in ((1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")):
        if nbytes < 999.5 * limit or unit == "TB":
            return f"{number(nbytes / limit, 3)} {unit}"
    raise AssertionError


def duration(seconds: float) -> str:
    """
    >>> duration(0.2), duration(12.3), duration(200), duration(7260)
    ('less than a second', '12 s', '3 min 20 s', '2 h 1 min')
    """
    if seconds < 1:
        return "less than a second"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def about(seconds: float) -> str:
    """A time that is no more than an estimate.

    >>> about(0.2), about(12.3), about(200), about(7000)
    ('less than a second', 'about 12 s', 'about 3 min', 'about 1 h 56 min')
    """
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {round(seconds)} s"
    return f"about {round(seconds / 60)} min" if seconds < 3600 else f"about {duration(seconds)}"


def shape(dims: tuple[int, ...]) -> str:
    """
    >>> shape((4096, 1024))
    '4,096 × 1,024'
    """
    return " × ".join(f"{n:,}" for n in dims)


def share(fraction: float) -> str:
    """A percentage in a sentence, which does not round a rest away.

    >>> share(0.847), share(0.00012), share(0.99996), share(1.0), share(1.32), share(0.0), share(2e-9)
    ('84.7%', '0.012%', 'over 99.9%', '100%', '132%', '0%', 'less than 0.0001%')
    """
    percent = 100 * fraction
    if 99.95 <= percent < 100:
        return "over 99.9%"
    if 0 < percent < _LEAST_PERCENT:
        return f"less than {_LEAST_PERCENT:.4f}%"
    return f"{number(percent, 3)}%"


def bits(x: float) -> str:
    """Bits a weight, to three decimals.

    >>> bits(4.5), bits(4.3125)
    ('4.500', '4.313')
    """
    return decimals(x, 3)


def decibels(x: float) -> str:
    """
    >>> decibels(28.094), decibels(-9.6e-16), decibels(math.inf)
    ('28.09 dB', '0.00 dB', '∞ dB')
    """
    return f"{decimals(x, 2)} dB" if not math.isnan(x) else UNDEFINED


def _lifted(x: float) -> float:
    return x + x * _TIE if math.isfinite(x + x * _TIE) else x
