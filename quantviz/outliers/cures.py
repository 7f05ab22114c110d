"""What can be done for a scheme that fails: options and smaller blocks, each with its price in bits, side by side.

>>> [c.key for c in cures("int4-sym-tensor") if c.key][:2]
['int4-sym-tensor', 'int4-sym-channel']
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..block_types import BLOCK_TYPES, BlockType
from ..errors import QuantvizError
from ..evaluation import describe, evaluate
from ..formats import BlockFormat
from ..schemes import GRANULARITIES, OPTIONS, Granularity, Scheme
from ..statistics import TensorStatistics
from ..tensors import as_stored
from ..text.wording import number, share
from .curves import Step, left_out

EQUAL_BITS = 0.15  # bits a weight: what differs by no more counts as equal
KEEPS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)  # percent of the weights offered to be kept apart
ALWAYS_KEEP = 0.1
OUTLIER_SIGMAS = 6.0  # what is kept apart should hold all weights beyond
FINER = 4  # block sizes offered below that of the scheme
MORE_BITS = 1.0  # that another block type may take


@dataclass(frozen=True)
class Cure:
    """A change to a scheme. key is None, and reason says why, where it does not apply to the scheme."""

    name: str
    key: str | None
    what: str
    reason: str = ""


@dataclass(frozen=True)
class Treated:
    """A tensor under a cure. gain_db: SQNR above the untreated scheme's; extra_bits: bits a weight above its.

    metrics is empty where `reason` says why the cure cannot be applied.
    """

    cure: Cure
    metrics: dict[str, float]
    gain_db: float = math.nan
    extra_bits: float = math.nan
    reason: str = ""

    @property
    def equal_bits(self) -> bool:
        """Whether it takes the bits of the untreated scheme, to within EQUAL_BITS."""
        return abs(self.extra_bits) <= EQUAL_BITS


UNTREATED = "untreated"


def cures(key: str | Scheme, statistics: TensorStatistics | None = None) -> list[Cure]:
    """The untreated scheme, then everything that may help it; each a scheme key that works everywhere.

    statistics: of the tensor, so that enough weights are offered to be kept apart.
    """
    scheme = Scheme.parse(key)
    found = [Cure(UNTREATED, scheme.key, "The scheme as it is.")]
    if isinstance(scheme.fmt, BlockType):
        return found + _other_types(scheme)
    found += [_finer(scheme, g) for g in _finer_granularities(scheme)]
    found += [_with(scheme, *cure) for cure in _declared(scheme, statistics)]
    return [cure for i, cure in enumerate(found) if i == 0 or cure.key != scheme.key]


def treat(
    w: Any,
    key: str | Scheme,
    statistics: TensorStatistics | None = None,
    step: Step | None = None,
    offered: Iterable[Cure] | None = None,
    importance: Any = None,
    device: str = "cpu",
) -> list[Treated]:
    """Every cure of the scheme on this tensor: the untreated scheme first, the rest by SQNR, best first.

    Those that do not apply to the scheme or the tensor come last with their reason. importance: one non-negative
    number an input channel, which weighs the search of clip=mse and adds weighted_mse.
    Raises QuantvizError where the untreated scheme itself cannot be evaluated.
    """
    stored, scheme = as_stored(w), Scheme.parse(key)
    statistics = statistics or describe(stored)
    base = evaluate(stored, scheme, importance, device, detail="metrics", statistics=statistics).metrics
    offered = list(cures(scheme, statistics) if offered is None else offered)
    results = []
    for i, cure in enumerate(offered):
        if step:
            step(i, len(offered), cure.key or cure.name)
        results.append(_treat(stored, cure, base, scheme, statistics, importance, device))
    return sorted(results, key=_rank)


def _treat(
    stored, cure: Cure, base: dict, scheme: Scheme, statistics: TensorStatistics, importance: Any, device: str
) -> Treated:
    if cure.key is None:
        return Treated(cure, {}, reason=cure.reason)
    other = Scheme.parse(cure.key)
    if other.granularity != scheme.granularity and (reason := left_out(other, stored)):
        return Treated(cure, {}, reason=reason)
    try:
        metrics = base if cure.key == scheme.key else evaluate(
            stored, cure.key, importance, device, detail="metrics", statistics=statistics
        ).metrics  # fmt: skip
    except QuantvizError as problem:
        return Treated(cure, {}, reason=str(problem))
    gain = 0.0 if metrics is base else metrics["sqnr_db"] - base["sqnr_db"]
    return Treated(cure, metrics, gain, metrics["bits_per_weight"] - base["bits_per_weight"])


def _rank(treated: Treated) -> tuple:
    sqnr = treated.metrics.get("sqnr_db", math.nan)
    return treated.cure.name != UNTREATED, not treated.metrics, -sqnr if not math.isnan(sqnr) else math.inf


def _other_types(scheme: Scheme) -> list[Cure]:
    """Other block types of about the same bits, or up to a bit more."""
    bits, pad = scheme.fmt.bits_per_weight, ":pad=1" * scheme.pad
    near = [
        Cure(t.name, t.name + pad, f"{number(t.bits_per_weight, 6)} bits. {t.rule}") for t in BLOCK_TYPES.values()
        if t is not scheme.fmt and not t.needs_importance and -EQUAL_BITS <= t.bits_per_weight - bits <= MORE_BITS
    ]  # fmt: skip
    return [*near, _with(scheme, "rotation, clipping, weights kept apart", "", {"rotate": "hadamard"})]


def _finer_granularities(scheme: Scheme) -> list[str]:
    """The next finer ones of those offered everywhere."""
    g = scheme.granularity
    if isinstance(scheme.fmt, BlockFormat):
        return []
    if g is None or not g.cols:
        return list(GRANULARITIES[1 if str(g) != "channel" else 2 :][:FINER])
    return [text for text in GRANULARITIES[2:] if Granularity.parse(text).cols < g.cols][:FINER]


def _declared(scheme: Scheme, statistics: TensorStatistics | None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, what, changes) of each cure that an option is declared to be."""
    for option in OPTIONS.values():
        for remedy in (r for r in option.remedies if isinstance(scheme.fmt, r.formats)):
            for value in _keeps(statistics) if remedy.value is None else [remedy.value]:
                what = remedy.what + (_held(value, statistics) if remedy.value is None else "")
                yield remedy.name.format(option.write(value)), what, {option.key: value, **dict(remedy.beside)}


def _keeps(statistics: TensorStatistics | None) -> list[float]:
    """Percentages to keep apart: always one in a thousand, and enough to hold every weight beyond OUTLIER_SIGMAS."""
    if statistics is None or not statistics.crest_factor > OUTLIER_SIGMAS:
        return [ALWAYS_KEEP]
    percent = 100 * share_beyond(statistics, OUTLIER_SIGMAS)
    enough = [p for p in KEEPS if p >= percent]
    return sorted({ALWAYS_KEEP, *enough[:1]})


def _held(percent: float, statistics: TensorStatistics | None) -> str:
    """The end of the sentence on weights kept apart: whether they are enough."""
    beyond = share_beyond(statistics, OUTLIER_SIGMAS) if statistics else 0.0
    if not beyond:
        return "."
    enough = "that holds" if percent / 100 >= beyond else "that is less than"
    return f"; {enough} the {share(beyond)} beyond {number(OUTLIER_SIGMAS)}σ."


def share_beyond(statistics: TensorStatistics, sigmas: float) -> float:
    """Share of the weights beyond ±sigmas·σ, read from the histogram: a bin on the edge counts as beyond."""
    h, limit = statistics.histogram, sigmas * statistics.std
    edges = h.edges
    beyond = (edges[:-1] < -limit) | (edges[1:] > limit)
    return float(h.counts[beyond].sum() + h.below + h.above) / statistics.count


def _finer(scheme: Scheme, granularity: str) -> Cure:
    what = "One scale an output row." if granularity == "channel" else f"One scale for {granularity[1:]} weights."
    name = "a scale a channel" if granularity == "channel" else f"blocks of {granularity[1:]}"
    return _with(scheme, name, what, {"granularity": Granularity.parse(granularity)})


def _with(scheme: Scheme, name: str, what: str, changes: dict[str, Any]) -> Cure:
    """The scheme with some of its parts or options changed; those at their default stay at theirs."""
    parts = {"symmetry": scheme.symmetry, "granularity": scheme.granularity, **scheme.options, **changes}
    try:
        return Cure(name, Scheme.make(scheme.format, **parts).key, what)
    except QuantvizError as reason:
        return Cure(name, None, what, str(reason))
