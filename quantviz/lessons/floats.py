"""Where the values of a format lie."""

from __future__ import annotations

from statistics import median

from ..formats import FloatFormat
from ..formats.bits import AnyFormat, code_at, ranks, value


def median_share(f: AnyFormat) -> float:
    """The median magnitude of all values of a format, as a share of the largest.

    >>> from quantviz.formats import get
    >>> median_share(get("fp4_e2m1"))
    0.3333333333333333
    """
    every = [abs(value(f, code_at(f, rank))) for rank in ranks(f)]
    return median(every) / max(every)


def reach_of_a_power(f: FloatFormat) -> tuple[float, float]:
    """Where the largest weight of a block may lie under OCP's power of two, as shares of the format's largest value.

    The power is chosen so that the exponents of the two agree.

    >>> from quantviz.formats import get
    >>> reach_of_a_power(get("fp4_e2m1"))
    (0.6666666666666666, 1.3333333333333333)
    """
    return 2.0**f.emax / f.max, 2.0 ** (f.emax + 1) / f.max
