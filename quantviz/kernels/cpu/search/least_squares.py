"""clip=mse: the range of each group with the least squared error among some thirty widths."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...searching import COARSE_SHRINKS, HOPELESS, NEARER_SHRINKS
from ..compiler import REORDER, inlined, kernel
from ..loops import sums
from ..loops.groups import Extents
from ..once import once
from ..rules.constants import MINIMUM, ZERO_POINT
from ..rules.elements import roundtrip
from ..rules.scalings import Parameters, parameters, scaling_of
from .groups import Groups, make_parameters

f4, f8, i4 = np.float32, np.float64, np.int32


def shrink(rule: int, low: np.ndarray, high: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A range made `factor` times as wide (at most 1): about 0, or about its middle for `offset`. All float32."""
    if scaling_of(rule) == ZERO_POINT:
        return np.minimum(low, f4(0)) * factor, np.maximum(high, f4(0)) * factor
    if scaling_of(rule) == MINIMUM:
        cut = (f4(1) - factor) * f4(0.5) * (high - low)
        return np.where(factor == 1, low, low + cut), np.where(factor == 1, high, high - cut)
    largest = np.maximum(-low, high) * factor
    return -largest, largest


def least_squares(groups: Groups, low, high, mean) -> tuple[np.ndarray, np.ndarray]:
    """The range of each group with the least Σ e² (weighted by importance) among the factors tried."""
    if groups.whole:
        return _least_squares_in_place(groups, low, high, mean)
    job, ignored = groups.job, np.zeros(sums.SUMS)

    def errors(factor: np.ndarray) -> np.ndarray:
        own = make_parameters(job, *shrink(job.rule, low, high, factor), mean, ignored)
        kernel_ = squared_error_kernel(job.rule, job.importance is not None)

        def call(x, piece, of, into) -> None:
            p = Parameters(*map(of, own))
            kernel_(x, job.weights_of(piece), groups.width, groups.height, job.constants, p, into)

        return groups.add(f8, call)

    best = np.ones(groups.shape, f4)
    with np.errstate(over="ignore", invalid="ignore"):
        least = errors(best)
        going = np.ones(groups.shape, bool)
        for factors in (COARSE_SHRINKS, *NEARER_SHRINKS):
            centre = best
            for each in factors:
                factor = np.minimum(centre * each, f4(1))
                error = errors(factor)
                better = going & (error < least)
                best, least = np.where(better, factor, best), np.where(better, error, least)
                if factors is COARSE_SHRINKS:
                    going &= ~(error > HOPELESS * least)
                    if not going.any():
                        break
            going = np.ones(groups.shape, bool)
        return shrink(job.rule, low, high, best)


def _least_squares_in_place(groups: Groups, low, high, mean) -> tuple[np.ndarray, np.ndarray]:
    """The same for groups that lie whole in one piece: each is searched while it is in cache."""
    job = groups.job
    search = least_squares_kernel(job.rule, job.importance is not None)
    factors = np.array((1, *COARSE_SHRINKS, *sum(NEARER_SHRINKS, ())), f4)
    shrinks = Shrinks(factors, len(COARSE_SHRINKS) + 1, len(NEARER_SHRINKS[0]))

    def visit(_, piece, x) -> None:
        extents = Extents(*job.groups(piece, (low, high, mean)))
        search(x, job.weights_of(piece), groups.width, job.constants, shrinks, extents)

    groups.each(visit)
    return low, high


class Shrinks(NamedTuple):
    """How much narrower a range is made, in the order tried: float32 factors, the coarse ones of the whole range, and
    from the one numbered `nearer` on, in stages of as many, of the best that came before a stage."""

    factors: Any
    nearer: int
    stage: int


@inlined()
def _shrunk_range(rule, low, high, factor):
    """`shrink` for one group."""
    if scaling_of(rule) == ZERO_POINT:
        return f4(f4(min(low, f4(0))) * factor), f4(f4(max(high, f4(0))) * factor)
    if scaling_of(rule) == MINIMUM:
        if factor == f4(1):
            return low, high
        cut = f4(f4(f4(f4(1) - factor) * f4(0.5)) * f4(high - low))
        return f4(low + cut), f4(high - cut)
    largest = f4(f4(max(-low, high)) * factor)
    return -largest, largest


@once
def least_squares_kernel(rule: int, weighted: bool):
    """low, high of every group of a piece, a row of groups a row, become the range with the least Σ e²."""

    @inlined()
    def error(x, h, group, factor, k):
        low, high = _shrunk_range(rule, group.low, group.high, factor)
        a, b, c, _ = parameters(rule, low, high, group.mean, k)
        if weighted:
            return _weighted_squared_error(rule, x, h, Parameters(a, b, c), k)
        return _squared_error(rule, x, Parameters(a, b, c), k)

    @kernel
    def run(x, h, width, k, shrinks, extents):
        factors, nearer, stage = shrinks
        low, high, mean = extents
        for i in range(x.shape[0]):
            for g in range(low.shape[1]):
                o, end = g * width, min((g + 1) * width, x.shape[1])
                xs, hs = x[i, o:end], h[o:end]
                group = Extents(low[i, g], high[i, g], mean[i, g])
                best = centre = f4(1)
                least, t = f8(np.inf), 0
                while t < factors.shape[0]:
                    if t >= nearer and (t - nearer) % stage == 0:
                        centre = best
                    factor = f4(min(f4(centre * factors[t]), f4(1)))
                    if t > 0 and factor == f4(1):  # the range of all weights, which came first
                        t += 1
                        continue
                    e = error(xs, hs, group, factor, k)
                    better = (e < least) | (t == 0)
                    best, least = (factor, e) if better else (best, least)
                    t = nearer if (t < nearer) & (e > HOPELESS * least) else t + 1
                low[i, g], high[i, g] = _shrunk_range(rule, group.low, group.high, best)

    return run


@inlined(REORDER)
def _squared_error(rule, x, p, k):
    total = f8(0)
    for j in range(x.shape[0]):
        e = f8(f4(roundtrip(rule, x[j], p, k) - x[j]))
        total += e * e
    return total


@inlined(REORDER)
def _weighted_squared_error(rule, x, h, p, k):
    total = f8(0)
    for j in range(x.shape[0]):
        e = f8(f4(roundtrip(rule, x[j], p, k) - x[j]))
        total += e * e * f8(h[j])
    return total


@once
def squared_error_kernel(rule: int, weighted: bool):
    """error[group] += Σ e² (or Σ h·e²) of a piece under given parameters."""

    @kernel
    def run(x, h, width, height, k, p, error):
        factor, stored, extra = p
        rows, cols = x.shape
        for i in range(rows):
            gi = i // height
            for g in range(factor.shape[1]):
                own = Parameters(factor[gi, g], stored[gi, g], extra[gi, g])
                o, end = g * width, min((g + 1) * width, cols)
                if weighted:
                    error[gi, g] += _weighted_squared_error(rule, x[i, o:end], h[o:end], own, k)
                else:
                    error[gi, g] += _squared_error(rule, x[i, o:end], own, k)

    return run
