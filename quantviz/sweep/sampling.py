"""Which rows of a tensor a sample reads: bands of neighbours, drawn at random, two from each part of the tensor.

The rows are cut into bands of one height, the bands into strata of neighbours, and of each stratum two bands are drawn.
So every part of the tensor is seen, and how far the two lie apart says how far the sample may be off: see `estimates`.
There are 6, 12, 18 … strata: where a tensor has two or three parts below each other, as gate and up or q, k and v of
some models lie, a stratum is of one part alone. So bands are a multiple of 12, and the rows that are read are that
multiple nearest to what was asked for, at most a fifth more than asked of a tensor of 1,000 rows or more at 1%.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import QuantvizError
from ..randomness import random_bits, stream_key
from ..schemes import Scheme

BANDS = 12  # or a multiple of it: fewer say too little of how far a sample is off; of 1,024 rows they are 1.2%
MANY_BANDS = 24  # from here on bands become taller before they become more: each is a request where weights travel
_DRAWN = 2  # of each stratum
_UP = 1 / 3  # of BANDS: what is missing of them is read more, where it is no more than that
_WORD = 64  # bits


@dataclass(frozen=True)
class Sample:
    """How much of each tensor is read, and which: a share of its weights, or a number of weights."""

    share: float | None = None
    weights: int | None = None
    seed: int = 0

    @classmethod
    def parse(cls, text: str | int | float, seed: int = 0) -> Sample:
        """From "1%", or a number of weights such as "100000" or 100_000.

        Raises QuantvizError for anything else.

        >>> Sample.parse("1%"), Sample.parse(100_000).weights
        (Sample(share=0.01, weights=None, seed=0), 100000)
        """
        percent = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%", str(text).strip())
        if percent and 0 < float(percent[1]) <= 100:
            return cls(share=float(percent[1]) / 100, seed=seed)
        number = re.fullmatch(r"[0-9][0-9_,]{0,24}", str(text).strip())
        weights = int(re.sub("[_,]", "", number[0])) if number else 0
        if weights:
            return cls(weights=weights, seed=seed)
        raise QuantvizError(
            f"{str(text)[:40]!r} is no sample; write a share of each tensor, such as 1%, or a number of weights of "
            "each, such as 100000."
        )

    def of(self, name: str) -> Sample:
        """The same for the tensor `name`, with a seed of its own, so that no two tensors give the same rows."""
        number = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:4], "little")
        return replace(self, seed=stream_key(self.seed, number))

    def rows(self, rows: int, cols: int) -> int:
        """About how many of a tensor's rows it reads: at least BANDS, as far as there are so many."""
        wanted = self.weights / cols if self.share is None else self.share * rows
        return min(rows, max(BANDS, int(wanted)))


@dataclass(frozen=True)
class Stratum:
    """bands: rows (start, stop) of those drawn, in order.  of: how many bands it has."""

    bands: tuple[tuple[int, int], ...]
    of: int


def strata(rows: int, cols: int, sample: Sample, tall: int = 1) -> tuple[Stratum, ...]:
    """The bands to read; none where the sample is all rows.

    tall: rows that share a scale; bands are whole tiles of them, the last of a tensor as much as there is.

    >>> sum(len(s.bands) for s in strata(1024, 1024, Sample.parse("1%"))), strata(8, 1024, Sample.parse("1%"))
    (12, ())
    """
    wanted = sample.rows(rows, cols)
    if wanted >= rows:
        return ()
    height = max(1, wanted // MANY_BANDS // tall) * tall
    there = -(-rows // height)
    drawn = min(max(1, int(wanted / height / BANDS + _UP)), there // BANDS) * BANDS
    parts = drawn // _DRAWN
    words = iter(random_bits(stream_key(sample.seed, 0), 0, drawn).tolist())
    found = []
    for i in range(parts):
        first, end = i * there // parts, (i + 1) * there // parts
        bands = (first + at for at in _some(words, _DRAWN, end - first))
        found.append(Stratum(tuple((b * height, min((b + 1) * height, rows)) for b in bands), end - first))
    return tuple(found)


def _some(words: Iterator[int], number: int, size: int) -> list[int]:
    """`number` different whole numbers below `size`, every choice with equal chance, in rising order."""
    chosen: list[int] = []
    for _ in range(number):
        at = next(words) * (size - len(chosen)) >> _WORD  # the at-th of those that are left
        for other in chosen:
            at += at >= other
        chosen = sorted([*chosen, at])
    return chosen


def tall_enough(rows: int, cols: int, sample: Sample, schemes: Sequence[Scheme]) -> tuple[int, dict[Scheme, str]]:
    """(rows that the bands are multiples of, why a scheme cannot be sampled, a sentence each)."""
    wanted = sample.rows(rows, cols)
    tall, refused = 1, {}
    for scheme in schemes:
        if why := _whole_only(scheme):
            refused[scheme] = why
            continue
        height = min(scheme.granularity.rows, rows) if scheme.granularity and scheme.granularity.rows else 1
        if wanted // math.lcm(tall, height) >= BANDS or height == 1:
            tall = math.lcm(tall, height)
        else:
            share = -(-100 * BANDS * height // rows)
            way = f"sample {share}%, or measure the whole tensor" if share < 100 else "measure the whole tensor"
            refused[scheme] = (
                f"{scheme} shares a scale among {height:,} rows, and a sample of {wanted:,} of {rows:,} rows holds too "
                f"few of such tiles to tell how far it is off; {way}."
            )
    return tall, refused


def _whole_only(scheme: Scheme) -> str | None:
    """Why a scheme cannot be measured on some rows, or None."""
    what, way = None, "measure the whole tensor"
    if scheme.rule == "nvfp4":
        what = "the scale of the tensor follows from its largest weight"
        way = "choose nvfp4:tensor=none or measure the whole tensor"
    elif scheme.needs_tensor_maximum:
        what = "one scale serves the whole tensor"
        way = "choose a scale a channel or block, or measure the whole tensor"
    elif scheme.keep:
        what = "which weights are kept apart shows only in the whole tensor"
    elif scheme.double:
        what = "scales are quantized with the mean of all scales of the tensor"
    return what and f"{scheme} cannot be sampled: {what}, and a sample sees some rows; {way}."
