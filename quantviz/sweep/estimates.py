"""What a sample of bands says of a whole tensor: each metric with its standard error.

A band stands for the bands of its stratum: of a stratum of N bands, n of which are read, each counts N / n times. The
sums so weighted give the metrics, as sums over the tensor would. The standard error is the jackknife's for strata
(Wolter, Introduction to Variance Estimation, 2007, section 4.5): the metrics are computed once more without each band,
and what that changes, squared, is added up,

    se² = Σ over strata (1 - n/N) · (n - 1)/n · Σ over its bands (metric without the band - metric)²

where 1 - n/N is what of a stratum was not read. It needs no formula of a metric's own, ratios and logarithms included.

A few bands do not know their own spread well, least where a few strata make most of it. So the standard error is
widened, by the quantile of Student's distribution over that of the normal distribution: value ± 1.96 of it is a 95%
interval, whatever the number of bands. The degrees of freedom are 1.2 times Satterthwaite's (Σ v)² / Σ v²/(n - 1), of
the strata's parts v of se². Once is too wary of strata that are alike, which it takes for unequal, and three times,
which is right for normal ones, too bold of heavy tails: with 1.2, intervals hold the truth in 91 to 98 of 100 samples
of either kind, which `tests/benchmarks/sampled.py` measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from .. import metrics
from ..block_types import BlockType
from ..kernels.results import Pass
from ..metrics import METRICS, Sums
from ..schemes import Scheme
from .sampling import Stratum

# What a sample says of each metric. Ratios of sums over weights are estimated; of counts, where enough were counted.
ESTIMATED = (
    "mean_relative_error", "relative_l1_error", "relative_l2_error", "sqnr_db", "cosine_similarity", "mse", "rmse",
    "mean_abs_error", "rmse_over_scale", "zeroed_fraction", "clipped_fraction", "weighted_mse",
)  # fmt: skip
KNOWN = ("bits_per_weight", "compression_ratio")  # from the shape alone
LEFT_OUT = {
    "max_abs_error": "the worst of the weights that were not read may be worse",
    "abs_error_p50": "percentiles are read from counts of all weights",
    "abs_error_p95": "percentiles are read from counts of all weights",
    "abs_error_p99": "percentiles are read from counts of all weights",
    "abs_error_p999": "too few errors of a sample lie beyond it",
    "code_entropy_bits": "a sample misses rare codes, so its entropy is too low",
    **{name: "a sweep has no calibration of the layer's inputs" for name in METRICS if "output" in name},
}
NO_ZERO = (
    "Under {} weights next to 0 may have errors many times their own size: a few of them decide the mean relative "
    "error, and a sample may miss them, so it is left out."
)
_COUNTED = {"zeroed_fraction": ("zeroed", "nonzero"), "clipped_fraction": ("clipped", "count")}
_LEAST_COUNTED = 100  # weights of a sample; what is rarer may be missed, and a standard error of none found is 0
LEVEL = 0.95
NORMAL_95 = 1.959963984540054  # of 100 normal numbers, 95 lie within so many standard deviations
_FREEDOM = 1.2  # times Satterthwaite's
_SUMS = tuple(f.name for f in fields(Sums))


@dataclass(frozen=True)
class Estimate:
    """metrics, errors: by name, the value and its standard error, in the metric's own unit.

    sums: of the whole tensor, as far as a sample gives them; max_abs_error is NaN.
    freedom: degrees of freedom of the standard errors: bands less strata.
    """

    metrics: dict[str, float]
    errors: dict[str, float]
    sums: Sums


def interval(value: float, error: float) -> tuple[float, float]:
    """The 95% interval of an estimate, which holds the whole tensor's value for 95 of 100 seeds or so.

    >>> low, high = interval(20.0, 0.1)
    >>> round(low, 3), round(high, 3)
    (19.804, 20.196)
    """
    return value - NORMAL_95 * error, value + NORMAL_95 * error


def estimated(parts: Sequence[Sequence[Pass]], strata: Sequence[Stratum], scheme: Scheme, size: int) -> Estimate:
    """The metrics of a tensor of `size` weights from the passes over the bands of its strata, in the same order."""
    table = np.array([_numbers(p) for found in parts for p in found])  # [bands, sums]
    given = ~np.isnan(table).any(axis=0)
    given[len(_SUMS) :] &= table[:, len(_SUMS) :].sum(axis=0) >= _LEAST_COUNTED
    table[:, ~given] = 0.0
    drawn = np.array([len(found) for found in parts])
    there = np.array([stratum.of for stratum in strata])
    stratum, weight = np.repeat(np.arange(len(drawn)), drawn), np.repeat(there / drawn, drawn)
    totals = weight @ table
    values = _metrics(totals, given, scheme)
    squares = {name: np.zeros(len(drawn)) for name in values}  # each stratum's part of se²
    for band, at in enumerate(stratum):
        number = drawn[at]
        others = np.where(stratum == at, weight * number / (number - 1), weight)
        others[band] = 0.0
        without = _metrics(others @ table, given, scheme)
        for name, value in values.items():
            change = 0.0 if without[name] == value else without[name] - value  # infinite decibels are the same
            squares[name][at] += (1 - number / there[at]) * (number - 1) / number * change**2
    errors = {name: _error(found, drawn) for name, found in squares.items() if not np.isnan(found).any()}
    return Estimate(values, errors, _whole(totals, given, size))


def _error(squares: np.ndarray, drawn: np.ndarray) -> float:
    """The widened standard error, from each stratum's part of its square and the bands drawn from each."""
    from scipy.special import stdtrit

    total = float(squares.sum())
    if total == 0 or not math.isfinite(total):
        return total
    shares = squares / total
    freedom = _FREEDOM / float((shares**2 / (drawn - 1)).sum())
    return math.sqrt(total) * float(stdtrit(freedom, (1 + LEVEL) / 2)) / NORMAL_95


def _numbers(p: Pass) -> list[float]:
    """The sums of a pass and what it counted, as numbers; NaN for what there is none of."""
    found = [getattr(p.sums, name) for name in _SUMS]
    found += [getattr(p.counts, name) if p.counts else None for name, _ in _COUNTED.values()]
    return [math.nan if value is None else float(value) for value in found]


def _metrics(totals: np.ndarray, given: np.ndarray, scheme: Scheme) -> dict[str, float]:
    sums = _sums(totals, given)
    values = metrics.from_sums(sums)
    for (name, (_, among)), total, is_given in zip(
        _COUNTED.items(), totals[len(_SUMS) :], given[len(_SUMS) :], strict=True
    ):
        if is_given:
            values[name] = float(total) / getattr(sums, among)
    if not has_zero(scheme):
        del values["mean_relative_error"]
    return {name: values[name] for name in METRICS if name in values and name in ESTIMATED}


def _sums(totals: np.ndarray, given: np.ndarray) -> Sums:
    return Sums(**{name: float(t) if g else None for name, t, g in zip(_SUMS, totals, given, strict=False)})


def _whole(totals: np.ndarray, given: np.ndarray, size: int) -> Sums:
    """Totals of `size` weights: the ratios of what was read, times what there is."""
    sums = _sums(totals * (size / totals[_SUMS.index("count")]), given)
    sums.count, sums.nonzero, sums.max_abs_error = size, round(sums.nonzero), math.nan
    return sums


def has_zero(scheme: Scheme) -> bool:
    """Whether 0 is among the values that every group of weights may take, so that no |e| / |x| is much above 1.

    >>> has_zero(Scheme.parse("int4-asym-b64")), has_zero(Scheme.parse("q4_1"))
    (True, False)
    """
    if scheme.rotate != "none":
        return False
    if isinstance(scheme.fmt, BlockType):
        shifted = any("minima" in part.role for part in scheme.fmt.fields)
        return not shifted and bool((scheme.fmt.numbers == 0).any())
    return scheme.how.element != "signs" and scheme.how.scaling not in ("minimum", "edge")
