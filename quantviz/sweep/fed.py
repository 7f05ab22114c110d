"""A tensor measured with a calibration of its layer: all of it in memory, scheme after scheme as `evaluate` does."""

from __future__ import annotations

from collections.abc import Sequence

from ..calibration.layer import Calibration
from ..evaluation import evaluate
from ..text.wording import size
from .ranges import in_memory, row_bytes
from .results import Measured, Trial
from .whole import Asked


def fed(asked: Asked, trials: Sequence[Trial], calibration: Calibration, budget: int) -> dict[int, Measured]:
    """What came out, by the number of the trial; those that are refused say why themselves."""
    stored = asked.open_rows(0, asked.shape[0])
    found, live = {}, [trial for trial in trials if not trial.reason]
    if (needed := row_bytes(stored) * stored.rows) > budget:
        for trial in live:
            trial.reason = (
                f"With a calibration the whole tensor is in memory, {size(needed)}, and the budget is {size(budget)}; "
                "give a larger one, or sweep without the calibration."
            )
        return {}
    stored, statistics, done = in_memory(stored), None, 0
    for number, trial in enumerate(trials):
        if trial.reason:
            continue
        with trial.attempt():
            if asked.full and statistics is None:
                statistics = asked.use.describe(stored)
            e = evaluate(
                stored, trial.scheme, asked.importance, asked.device, "full" if asked.full else "metrics", statistics,
                _told(asked, done, len(live), stored.size), calibration,
            )  # fmt: skip
            found[number] = Measured(e.scheme, e.metrics, {}, 1.0, e.sums, e.notices, e.seconds, e.engine)
        done += 1
    return found


def _told(asked: Asked, done: int, trials: int, weights: int):
    """Progress of one scheme as that of all of them, in weights times schemes."""
    if asked.progress is None:
        return None
    return lambda part, whole: asked.progress(int(weights * (done + part / max(whole, 1))), weights * trials)
