"""Putting outliers into a tensor, and taking out those it has. σ is always the standard deviation before the edit.

>>> w = np.random.default_rng(0).standard_normal((64, 128), dtype=np.float32)
>>> int((apply(w, Injection(count=8, magnitude=20)).numpy() != w).sum())
8
>>> apply(np.array([1, -1, 1, -9], np.float32), Removal(share=0.25, how="clip")).numpy().tolist()
[1.0, -1.0, 1.0, -1.0]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .. import randomness as portable
from ..errors import QuantvizError
from ..evaluation import describe
from ..statistics import TensorStatistics
from ..tensors import StoredTensor, as_stored
from ..text.wording import number, plural
from ..text.wording import share as in_percent

Where = Literal["spread", "input channel", "output channel"]
How = Literal["zero", "clip"]
WHERES: tuple[Where, ...] = ("spread", "input channel", "output channel")
HOWS: tuple[How, ...] = ("zero", "clip")

KEPT_DTYPES = ("float64", "float32", "float16", "bfloat16")  # an edited tensor of any other becomes float32
MOST_SIGMAS = 1e9
_AT_ONCE = 1 << 20  # weights
_POSITIONS, _CHANNEL = 100, 101  # streams of the seed; those of a random tensor have other numbers


@dataclass(frozen=True)
class Injection:
    """`count` distinct weights are set to ±magnitude·σ; each keeps its sign.

    where: "spread" over the whole tensor, along one "input channel" (a column) or one "output channel" (a row).
    channel: which one; None lets the seed choose.  The same seed gives the same places on every machine, and a
    larger count keeps the places of a smaller one as long as both are at most half of what there is.
    """

    count: int
    magnitude: float
    where: Where = "spread"
    channel: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.where not in WHERES:
            raise QuantvizError(f"Outliers cannot go {self.where!r}; choose {', '.join(WHERES[:-1])} or {WHERES[-1]}.")
        if self.count < 1:
            raise QuantvizError(f"count={self.count} injects nothing; give a whole number from 1.")
        if not 0 < self.magnitude <= MOST_SIGMAS:
            raise QuantvizError(f"magnitude={self.magnitude} is no usable number of σ; give more than 0, at most 1e9.")
        if not 0 <= self.seed < 2**64:
            raise QuantvizError(f"seed={self.seed} is outside 0 to 2^64 - 1.")
        if self.where == "spread" and self.channel is not None:
            raise QuantvizError("Outliers that are spread have no channel; leave it out, or choose where they go.")

    @property
    def text(self) -> str:
        """What it does, in words."""
        n = plural(self.count, "weight")
        place = "spread over the tensor"
        if self.where != "spread":
            place = f"along {self.where} {f'{self.channel:,}' if self.channel is not None else 'drawn by the seed'}"
        return f"{n} set to ±{number(self.magnitude)}σ, {place}"


@dataclass(frozen=True)
class Removal:
    """The weights beyond `sigmas`·σ, or the largest `share` of all weights, are taken out.

    how: "zero" sets them to 0, as pruning does; "clip" sets them to the limit and keeps their sign.
    Exactly one of sigmas and share is given. Weights as large as the smallest of a share go with it.
    """

    sigmas: float | None = None
    share: float | None = None
    how: How = "zero"

    def __post_init__(self) -> None:
        if (self.sigmas is None) == (self.share is None):
            raise QuantvizError("Give either sigmas or share: how far out a weight must lie, or how many go.")
        if self.sigmas is not None and not 0 < self.sigmas <= MOST_SIGMAS:
            raise QuantvizError(f"sigmas={self.sigmas} is no usable limit; give more than 0, at most 1e9.")
        if self.share is not None and not 0 < self.share < 1:
            raise QuantvizError(f"share={self.share} is no share of the weights to remove; give more than 0, below 1.")
        if self.how not in HOWS:
            raise QuantvizError(f"Outliers cannot be removed by {self.how!r}; choose zero or clip.")

    @property
    def text(self) -> str:
        """What it does, in words."""
        which = (
            f"weights beyond {number(self.sigmas)}σ"
            if self.sigmas
            else f"the largest {in_percent(self.share)} of weights"
        )
        return f"{which} {'set to zero' if self.how == 'zero' else 'cut to that limit'}"


Edit = Injection | Removal


def apply(w: Any, edit: Edit, statistics: TensorStatistics | None = None) -> StoredTensor:
    """The tensor after `edit`; one copy, in the dtype it was stored in where that is a float of 16 bits or more.

    w: NumPy array, torch tensor or StoredTensor.  statistics: of `w`, if known.
    Raises QuantvizError for a place that is not there, too many weights, or a magnitude the dtype cannot hold.
    """
    stored = as_stored(w)
    statistics = statistics or describe(stored)
    if isinstance(edit, Injection):
        return _inject(stored, edit, statistics.std)
    return _remove(stored, edit, statistics)


# -- injection ---------------------------------------------------------------------------------


def places(injection: Injection, rows: int, cols: int) -> np.ndarray:
    """Flat positions of the weights that are set, int64 [count], in no particular order."""
    room, axis = {"spread": (rows * cols, 0), "input channel": (rows, cols), "output channel": (cols, rows)}[
        injection.where
    ]
    if injection.count > room:
        held = "The tensor" if injection.where == "spread" else f"One {injection.where}"
        raise QuantvizError(f"{held} holds {room:,} weights, so {injection.count:,} outliers do not fit; give fewer.")
    chosen = _distinct(injection.count, room, portable.stream_key(injection.seed, _POSITIONS))
    if injection.where == "spread":
        return chosen
    channel = injection.channel
    if channel is None:
        channel = int(portable.random_bits(portable.stream_key(injection.seed, _CHANNEL), 0, 1)[0]) % axis
    if not 0 <= channel < axis:
        raise QuantvizError(f"There is no {injection.where} {channel}; this tensor has {axis:,}, counted from 0.")
    return chosen * cols + channel if injection.where == "input channel" else channel * cols + chosen


def _distinct(count: int, among: int, key: int) -> np.ndarray:
    """`count` different whole numbers below `among`: the first of the stream, or what a draw of the others leaves."""
    if 2 * count > among:
        left_out = np.zeros(among, bool)
        left_out[_distinct(among - count, among, key)] = True
        return np.flatnonzero(~left_out)
    chosen, drawn = np.zeros(0, np.int64), 0
    while len(chosen) < count:
        step = count - len(chosen) + 16
        more = (portable.random_bits(key, drawn, drawn + step) % np.uint64(among)).astype(np.int64)
        together, drawn = np.concatenate([chosen, more]), drawn + step
        chosen = together[np.sort(np.unique(together, return_index=True)[1])]
    return chosen[:count]


def _inject(stored: StoredTensor, injection: Injection, sigma: float) -> StoredTensor:
    if not sigma:
        raise QuantvizError("All weights are equal, so σ is 0 and outliers have no size; choose another tensor.")
    at = places(injection, stored.rows, stored.cols)
    edited = _copy(stored)
    before = edited.data[at] if edited.dtype != "bfloat16" else edited.data[at].view(np.int16)  # the sign bit leads
    with np.errstate(over="ignore"):  # one beyond float32 is refused with the others that the dtype cannot hold
        size = np.float32(injection.magnitude * sigma)
    edited.data[at] = _as_stored_bits(np.where(np.signbit(before), -size, size), edited.dtype)
    return edited


# -- removal -----------------------------------------------------------------------------------


def _remove(stored: StoredTensor, removal: Removal, statistics: TensorStatistics) -> StoredTensor:
    if removal.sigmas is not None:
        with np.errstate(over="ignore"):  # beyond float32 there is nothing to remove
            limit, lowest = np.float32(removal.sigmas * statistics.std), None
    else:
        lowest = _smallest_of_largest(stored, max(1, round(removal.share * stored.size)))
        limit = np.float32(_largest_below(stored, lowest))
    edited = _copy(stored)
    for start in range(0, stored.size, _AT_ONCE):
        x = stored.read(start, start + _AT_ONCE)
        out = np.flatnonzero(np.abs(x) > limit if lowest is None else np.abs(x) >= lowest)
        to = np.copysign(limit, x[out]) if removal.how == "clip" else np.zeros(len(out), np.float32)
        edited.data[start + out] = _as_stored_bits(to, edited.dtype)
    return edited


def _smallest_of_largest(stored: StoredTensor, n: int) -> np.float32:
    """The magnitude of the n-th largest weight: found by the upper half of its bits, then by the lower."""
    found, left = 0, n
    for shift in (16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for start in range(0, stored.size, _AT_ONCE):
            bits = stored.read(start, start + _AT_ONCE).view(np.uint32) & np.uint32(0x7FFFFFFF)
            if shift == 0:
                bits = bits[bits >> np.uint32(16) == found]
            counts += np.bincount((bits >> np.uint32(shift)) & np.uint32(0xFFFF), minlength=1 << 16)
        beyond = np.cumsum(counts[::-1])[::-1]  # how many lie in this bin or a higher one
        bin_ = int(np.flatnonzero(beyond >= left)[-1])
        left -= int(beyond[bin_] - counts[bin_])
        found = found << 16 | bin_
    return np.array([found], np.uint32).view(np.float32)[0]


def _largest_below(stored: StoredTensor, limit: np.float32) -> float:
    """The largest magnitude under `limit`: what the removed weights are cut to. 0 where there is none."""
    largest = 0.0
    for start in range(0, stored.size, _AT_ONCE):
        size = np.abs(stored.read(start, start + _AT_ONCE))
        largest = max(largest, float(np.max(size, where=size < limit, initial=0)))
    return largest


# -- storage -----------------------------------------------------------------------------------


def _copy(stored: StoredTensor) -> StoredTensor:
    if stored.dtype in KEPT_DTYPES:
        return replace(stored, data=np.array(stored.data))
    return StoredTensor(
        np.array(stored.read()), "float32", stored.shape, stored.name, input_axes=stored.input_axes,
        notices=stored.notices,
    )  # fmt: skip


def _as_stored_bits(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 values as elements of `dtype`, rounded to nearest, ties to even; bfloat16 as its bits."""
    if dtype == "bfloat16":
        bits = values.astype(np.float32).view(np.uint32)
        bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        kept, finite = (bits >> np.uint32(16)).astype(np.uint16), (bits & np.uint32(0x7F800000)) < 0x7F800000
    else:
        with np.errstate(over="ignore"):
            kept = values.astype(dtype)
        finite = np.isfinite(kept)
    if not finite.all():
        largest = float(np.max(np.abs(values)))
        raise QuantvizError(f"{dtype} holds no weight as large as {number(largest, 3)}; give a smaller magnitude.")
    return kept
