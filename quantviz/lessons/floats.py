"""Where the values of a format lie."""

from __future__ import annotations

from statistics import median

from ..formats.bits import AnyFormat, code_at, ranks, value


def median_share(f: AnyFormat) -> float:
    """The median magnitude of all values of a format, as a share of the largest.

    >>> from quantviz.formats import get
    >>> median_share(get("fp4_e2m1"))
    0.3333333333333333
    """
    every = [abs(value(f, code_at(f, rank))) for rank in ranks(f)]
    return median(every) / max(every)
