"""A tensor whose codes stand for no numbers of their own, beside the best codes that a search finds for a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..text.wording import number, share
from .plain import ALIKE, BETTER, EQUAL, WORSE

_GOLDEN = (5**0.5 - 1) / 2  # steps of that much of the whole, taken around it, never come near each other for long
_LARGEST = 1e15  # squares of numbers up to that stay finite in float32


@dataclass(frozen=True)
class Search:
    """What is searched, in words.

    unit: what is searched one by one, several of it.  given: what of the file is left as it is.  space: what errors
    are of, where not of weights.  why_worse, why_other: sentences on files of which the error is larger, or some codes
    are others.
    """

    unit: str
    given: str
    space: str
    why_worse: str
    why_other: str


@dataclass(frozen=True)
class Searched:
    """verdict: EQUAL, BETTER, WORSE or ALIKE.  mse, plain_mse: of the file, and with the codes that the search finds.

    nearest: how many of `count` codes are those that the search finds.  units, of: how many units were looked at, and
    how many there are.
    """

    search: Search
    verdict: str
    mse: float
    plain_mse: float
    nearest: int
    count: int
    units: int
    of: int

    @property
    def sampled(self) -> bool:
        return self.units < self.of


def spread(rows: int, cols: int, count: int, lines: int) -> list[tuple[int, np.ndarray]]:
    """Places in a grid, evenly spread and always the same: (row, its columns) of at most `lines` rows, `count` in all.

    All of them where there are no more than `count`.

    >>> [(row, columns.tolist()) for row, columns in spread(4, 100, 6, 2)]
    [(0, [0, 33, 66]), (2, [20, 53, 87])]
    """
    lines = rows if rows * cols <= count else min(rows, lines, count)
    each = min(cols, count // lines)
    columns = [(np.arange(each) + n * _GOLDEN % 1) * cols / each for n in range(lines)]
    return [(n * rows // lines, places.astype(int)) for n, places in enumerate(columns)]


def can_be_squared(x: np.ndarray) -> bool:
    """Whether all numbers are finite, and so are their squares in float32."""
    return bool((np.abs(x) < _LARGEST).all())


# -- in words -------------------------------------------------------------------------------------

_HEAD = {
    EQUAL: "This is", ALIKE: "It loses as much as", BETTER: "It is better than",
    WORSE: "Weight by weight it is worse than",
}  # fmt: skip


def searched_sentence(s: Searched, stored_as: str) -> str:
    """What was found, for a reader."""
    search, all_of = s.search, f"{s.of:,} {s.search.unit}"
    looked = f"a sample, {s.units:,} of its {all_of}" if s.sampled else f"all its {all_of}"
    codes = "all" if s.nearest == s.count else share(s.nearest / s.count) if s.nearest else "none"
    told = (
        f"{_HEAD[s.verdict]} plain quantization to {stored_as}, given the file's own {search.given}. On {looked}, the "
        f"mean squared error{search.space} is {number(s.mse)} against {number(s.plain_mse)} with the codes that a "
        f"search for the smallest error finds. Of the file's codes there, {codes} are those that the search finds."
    )
    if s.verdict == WORSE:
        return f"{told} {search.why_worse}"
    return f"{told} {search.why_other}" if s.nearest < s.count else told


def searched_in_short(s: Searched) -> str:
    told = "plain quantization" if s.verdict == EQUAL else s.verdict
    return f"{told} (sampled)" if s.sampled else told
