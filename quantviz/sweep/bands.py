"""One tensor under several schemes: whole, in ranges of rows under a memory budget, or from a sample of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import QuantvizError
from ..evaluation.tensor import DETAILS
from ..kernels import check_engine
from ..kernels.results import Progress
from ..schemes import Scheme
from ..tensors import check_importance
from .fed import fed
from .given import Fed
from .ranges import default_budget
from .results import Measured, Refusal, Trial
from .sampled import sampled
from .sampling import Sample
from .whole import Asked, OpenRows, whole


def measure(
    open_rows: OpenRows,
    shape: tuple[int, int],
    schemes: Sequence[str | Scheme],
    importance: Any = None,
    detail: str = "full",
    budget: int | None = None,
    sample: Sample | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Iterator[Measured | Refusal]:
    """Measures a tensor under each of `schemes`, read once for all of them; gives what came out in their order.

    open_rows: gives rows [start, stop) of the tensor as they are stored, and need not read before the weights are: it
    is called for (0, shape[0]), or, for a sample, for each band of rows and nothing else.
    shape: (rows, cols) of the tensor.  importance: one non-negative number a column, [cols]; or a calibration in a
    file, `given.Fed`, which takes all rows.
    detail: "metrics" leaves out what needs counting, as in `evaluate`.
    budget: bytes that the tensor may take in memory at a time; a larger one is worked on in ranges of rows. By default
    a quarter of what is free on this machine.
    sample: which rows are read in place of all, best `Sample.of` the tensor's name. A tensor of so few rows that it
    would take them all is measured exactly.
    device: the engine.  progress: called as progress(done, all), in weights times schemes.
    Raises QuantvizError for importance of another length, and what open_rows raises. A scheme that cannot be measured
    is a Refusal; so are all where the weights that are read are not finite.
    """
    check_engine(device)
    if detail not in DETAILS:
        raise QuantvizError(f"There is no detail {detail!r}; choose {' or '.join(DETAILS)}.")
    calibration = importance.load(shape[1]) if isinstance(importance, Fed) else None
    weights = check_importance(None if calibration else importance, shape[1])
    trials = [Trial(Scheme.parse(key)) for key in schemes]
    for trial in trials:
        with trial.attempt():
            trial.scheme.check_shape(*shape)
            trial.scheme.check_importance_given(weights is not None, calibration is not None)
    asked = Asked(open_rows, shape, weights, detail == "full", device, progress)
    room = default_budget() if budget is None else budget
    if calibration is not None:
        found = fed(asked, trials, calibration, room)
    elif sample is not None and sample.rows(*shape) < shape[0]:
        found = sampled(asked, trials, sample)
    else:
        found = whole(asked, trials, room)
    yield from (trial.refusal if trial.reason else found[number] for number, trial in enumerate(trials))
