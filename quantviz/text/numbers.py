"""Numbers that people, links and files write as text: read in one place, and only as they are meant.

Python's `int` and `float` take more than that: signs and underscores, digits of any alphabet, blanks around them, and
more digits than they then refuse to turn back (4,300), with an error of their own.
"""

from __future__ import annotations

import math
import re

_LONGEST = 40  # characters; the largest number asked for anywhere is 2^64 - 1
_REAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def whole_number(text: str, least: int = 0, most: int = 2**64 - 1) -> int | None:
    """The number from `least` to `most` that plain digits 0 to 9 stand for, a minus before them; None for all else.

    >>> whole_number("4096"), whole_number("-3", least=-10), whole_number("٣"), whole_number("1_0")
    (4096, -3, None, None)
    """
    if len(text) > _LONGEST or not re.fullmatch(r"-?[0-9]+", text):
        return None
    value = int(text)
    return value if least <= value <= most else None


def real_number(text: str) -> float | None:
    """The finite number that plain digits stand for, with a point and an exponent where it has them; None for all else.

    >>> real_number("0.1"), real_number("-2.5e-3"), real_number("nan"), real_number("1e999"), real_number(" 1")
    (0.1, -0.0025, None, None, None)
    """
    if len(text) > _LONGEST or not _REAL.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
