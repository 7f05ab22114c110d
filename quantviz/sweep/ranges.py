"""Which ranges of rows a tensor is worked on in, so that what is in memory at a time fits a budget.

Sums of a pass begin in float32, over runs of neighbours. Ranges begin where a pass over the whole tensor would begin a
run anyway, so that the same weights are added up in float32 and the joined sums are those of one pass to float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..block_types import BlockType
from ..machine import memory
from ..schemes import TENSOR, Scheme
from ..tensors import StoredTensor

_SHARE = 4  # of the memory that is free, one part by default
_HELD = 2  # of the budget, one part holds weights; the rest is for what is computed of them
_UNKNOWN = 1 << 30  # bytes, where the machine does not say what is free


@dataclass(frozen=True)
class Cut:
    """ranges: rows (start, stop), one after the other.  apart: schemes to be measured on all rows at once."""

    ranges: tuple[tuple[int, int], ...]
    apart: frozenset[Scheme]


def default_budget() -> int:
    """Bytes that one tensor at a time may take on this machine."""
    free = memory.available("cpu")
    return (_UNKNOWN if free is None else free) // _SHARE


def cut(rows: int, cols: int, schemes: Sequence[Scheme], weighted: bool, row_bytes: float, budget: int) -> Cut:
    """Rows in ranges of which one takes at most half the budget; all at once where they fit.

    weighted: whether there is importance.  row_bytes: what a row takes in memory.
    Measured on all rows, which then are read piece by piece for that scheme alone, is a scheme whose parameters follow
    from the whole tensor by more than its extremes (keep=, double=1, a search for the range of the tensor), and one
    whose blocks would begin a range so seldom that it does not fit.
    """
    most = int(budget / _HELD / max(row_bytes, 1))
    if most >= rows:
        return Cut(((0, rows),), frozenset())
    steps = {scheme: row_step(scheme, rows, cols, weighted) for scheme in schemes}
    step, apart = 1, set()
    for scheme, own in sorted(steps.items(), key=lambda item: item[1] or rows):
        if own is None or math.lcm(step, own) > most:
            apart.add(scheme)
        else:
            step = math.lcm(step, own)
    if len(apart) == len(steps):
        return Cut((), frozenset(apart))
    height = most // step * step
    ranges = tuple((first, min(first + height, rows)) for first in range(0, rows, height))
    return Cut(ranges, frozenset(apart))


def row_step(scheme: Scheme, rows: int, cols: int, weighted: bool) -> int | None:
    """The rows after which, and after any multiple of which, a range may begin; None where none may."""
    from ..kernels.cpu.loops.plan import PIECE, STRETCH

    g = scheme.granularity
    whole = scheme.needs_tensor_maximum
    searched = g == TENSOR and (scheme.clip != "absmax" or scheme.solver is not None)
    if scheme.keep or scheme.double or searched or (whole and scheme.transforms):
        return None
    if g is not None and g.rows > 1:
        return min(g.rows, rows)
    width = min(g.cols or cols, cols) if g is not None and g != TENSOR else 1
    block = scheme.fmt.block if isinstance(scheme.fmt, BlockType) else width
    if weighted or scheme.transforms or width > STRETCH or cols % width or cols % block:
        return 1  # a pass takes row by row
    stretch, piece = STRETCH // width * width, PIECE // width * width
    unit = stretch if piece % stretch == 0 else piece  # weights after which it begins a run
    return unit // math.gcd(unit, cols)


def in_memory(part: StoredTensor) -> StoredTensor:
    """The same weights read once, as float32 where they are packed or computed, else in the type they are stored in."""
    if type(part) is StoredTensor:
        data, dtype = np.asarray(part.data), part.dtype
    else:
        data, dtype = part.read(), "float32"
    return StoredTensor(data, dtype, part.shape, part.name, input_axes=part.input_axes, notices=part.notices)


def row_bytes(stored: StoredTensor) -> float:
    """Bytes that a row of `stored` takes once it is in memory."""
    plain = type(stored) is StoredTensor
    return stored.cols * (stored.bits_per_weight / 8 if plain else np.dtype(np.float32).itemsize)
