"""Numbers as people read them: counts, bytes, times, shares, and the difference of two metrics."""

from __future__ import annotations

import math

from .metrics import METRICS, Metric


def count(n: float) -> str:
    """
    >>> count(1234), count(16_777_216), count(1_050_673_152)
    ('1,234', '16.8 million', '1.05 billion')
    """
    for limit, word in ((1e9, "billion"), (1e6, "million")):
        if n >= limit:
            return f"{n / limit:.3g} {word}"
    return f"{n:,.0f}"


def size(nbytes: float) -> str:
    """Decimal units.

    >>> size(512), size(90_868_376)
    ('512 B', '90.9 MB')
    """
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if nbytes >= limit:
            return f"{nbytes / limit:.3g} {unit}"
    return f"{nbytes:.0f} B"


def duration(seconds: float) -> str:
    """
    >>> duration(0.2), duration(12.3), duration(200)
    ('less than a second', '12 s', '3 min 20 s')
    """
    if seconds < 1:
        return "less than a second"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shape(dims: tuple[int, ...]) -> str:
    """
    >>> shape((4096, 1024))
    '4,096 × 1,024'
    """
    return " × ".join(f"{n:,}" for n in dims)


def share(fraction: float) -> str:
    """A percentage that does not round a rest away.

    >>> share(0.847), share(0.00012), share(0.99996), share(1.32)
    ('84.7%', '0.012%', 'over 99.9%', '132%')
    """
    percent = 100 * fraction
    if fraction >= 1:
        return f"{percent:.0f}%"
    if percent >= 99.95:
        return "over 99.9%"
    return f"{percent:.3g}%"


def tooltip(metric: Metric) -> str:
    """Formula, unit, direction and meaning, in Markdown."""
    unit = {"": "a plain number", "fraction": "a fraction, shown in %"}.get(metric.unit, metric.unit)
    better = {"lower": "lower is better", "higher": "higher is better", "neither": "neither way is better"}
    return f"`{metric.formula}`\n\nUnit: {unit}; {better[metric.direction]}.\n\n{metric.meaning}"


def difference(name: str, value: float, other: float) -> str | None:
    """`value` minus `other`, signed; None where there is no telling.

    >>> difference("sqnr_db", 20.0, 14.0), difference("mean_relative_error", 0.1, 0.25)
    ('+6.00 dB', '-15.0 pp')
    """
    gap = value - other
    if not math.isfinite(gap):
        return None
    if abs(gap) < 1e-4 * max(abs(value), abs(other)):
        gap = 0.0
    unit = METRICS[name].unit
    if unit == "fraction":
        return f"{_signed(100 * gap)} pp"
    return _signed(gap) + {"dB": " dB", "×": "×"}.get(unit, "")


def _signed(x: float) -> str:
    """Three significant digits, trailing zeros kept; a difference of nothing has no sign."""
    if x == 0:
        return "0"
    text = f"{x:+#.3g}"
    return text.rstrip(".") if "e" not in text else text
