"""A tensor measured exactly: all of it at once where it fits the budget, else range after range of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..calibration.inputs import remarks
from ..errors import QuantvizError
from ..evaluation.joining import joined
from ..evaluation.tensor import bins_of, counted, summed
from ..kernels.bins import Bins
from ..kernels.engines import verbs
from ..kernels.results import Pass, Progress
from ..statistics import TensorStatistics
from ..tensors import StoredTensor
from .ranges import cut, in_memory, row_bytes
from .results import Measured, Trial

OpenRows = Callable[[int, int], StoredTensor]


@dataclass(frozen=True, eq=False)
class Asked:
    """What to measure, and how; as `bands.measure` takes it. importance: float32 [cols].  full: whether to count."""

    open_rows: OpenRows
    shape: tuple[int, int]
    importance: np.ndarray | None
    full: bool
    device: str
    progress: Progress | None

    @property
    def use(self) -> Any:
        """The engine's verbs."""
        return verbs(self.device)

    def engine(self, trial: Trial, stored: StoredTensor) -> str:
        """What computed a scheme's figures."""
        return self.use.name(trial.scheme, self.importance is not None, stored.is_wide)

    def ticker(self, weights: int, trials: int) -> Callable[[int], None]:
        """To be told of each pass how many weights it saw; `trials` schemes see `weights` each."""
        done = 0

        def tick(seen: int) -> None:
            nonlocal done
            done += seen
            if self.progress:
                self.progress(done, weights * trials)

        return tick


def whole(asked: Asked, trials: Sequence[Trial], budget: int) -> dict[int, Measured]:
    """What came out, by the number of the trial; those that are refused say why themselves.

    Schemes whose parameters need more of the tensor than its extremes, and do not fit the budget, are measured on all
    rows, read piece by piece once more: see `ranges.cut`.
    """
    stored = asked.open_rows(0, asked.shape[0])
    live = [trial for trial in trials if not trial.reason]
    plan = cut(*asked.shape, [t.scheme for t in live], asked.importance is not None, row_bytes(stored), budget)
    alone = len(plan.ranges) == 1
    weights = in_memory(stored) if alone else stored
    tick = asked.ticker(stored.size, len(live))
    try:
        statistics = _statistics(asked, weights, live)
    except QuantvizError as problem:  # weights that are not finite
        _refuse_all(live, problem)
        return {}
    bins = {id(trial): _bins(asked, weights, trial, statistics) for trial in live}
    for start, stop in plan.ranges:
        part = weights if alone else in_memory(stored.row_range(start, stop))
        for trial in live:
            if not trial.reason and trial.scheme not in plan.apart:
                _measure(asked, part, trial, bins[id(trial)], statistics)
                tick(part.size)
        del part  # before the next is read
    for trial in live:
        if not trial.reason and trial.scheme in plan.apart:
            _measure(asked, weights, trial, bins[id(trial)], statistics)
            tick(stored.size)
    if not alone and any(trial.reason for trial in live):
        try:
            asked.use.check_finite(weights)  # a range knows only of its own weights, and where they lie in it
        except QuantvizError as problem:
            _refuse_all(live, problem)
    found = {}
    for number, trial in enumerate(trials):
        if not trial.reason:
            with trial.attempt():
                found[number] = _finished(asked, stored, trial, bins[id(trial)], statistics)
    return found


def _statistics(asked: Asked, stored: StoredTensor, live: Sequence[Trial]) -> TensorStatistics | None:
    """Described once for all schemes, where any needs it."""
    if asked.full or any(trial.scheme.needs_tensor_maximum for trial in live):
        return asked.use.describe(stored)
    return None


def _bins(
    asked: Asked, stored: StoredTensor, trial: Trial, statistics: TensorStatistics | None
) -> tuple[Bins, Bins] | None:
    """Those of `evaluate`, so that counts are the same too."""
    found = None
    if asked.full:
        with trial.attempt():
            found = bins_of(stored, trial.scheme, statistics, asked.importance)
    return found


def _measure(
    asked: Asked,
    part: StoredTensor,
    trial: Trial,
    bins: tuple[Bins, Bins] | None,
    statistics: TensorStatistics | None,
) -> None:
    with trial.attempt():
        found = asked.use.measure(part, trial.scheme, bins, asked.importance, statistics, None)
        trial.passes.append(without_groups(found))


def without_groups(found: Pass) -> Pass:
    """A pass without the error of each group, of which a large tensor has a great many and a sweep shows none."""
    if found.counts is None:
        return found
    return replace(found, counts=replace(found.counts, block_rmse=np.zeros((1, 1), np.float32)))


def _refuse_all(trials: Sequence[Trial], problem: QuantvizError) -> None:
    for trial in trials:
        trial.reason = str(problem)


def _finished(
    asked: Asked,
    stored: StoredTensor,
    trial: Trial,
    bins: tuple[Bins, Bins] | None,
    statistics: TensorStatistics | None,
) -> Measured:
    scheme = trial.scheme
    result = joined(trial.passes, scheme)
    values = summed(result.sums, stored, scheme)
    if result.counts is not None:
        counted(result.counts, values, bins, statistics, stored.size)
    unmeasured = remarks(scheme, False, False)
    notices = (*stored.remarks, *scheme.shape_notices(*asked.shape), *result.notices, *unmeasured)
    engine = asked.engine(trial, stored)
    return Measured(scheme.key, values, {}, 1.0, result.sums, notices, trial.seconds, engine)
