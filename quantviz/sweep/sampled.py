"""A tensor estimated from bands of its rows: only these are opened, and each is measured by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..calibration.inputs import remarks
from ..evaluation.joining import joined
from ..evaluation.tensor import summed
from ..kernels.bins import error_bins, value_bins
from ..kernels.results import Pass
from ..metrics import METRICS
from ..tensors import StoredTensor
from .estimates import KNOWN, NO_ZERO, estimated, has_zero
from .ranges import in_memory
from .results import Measured, Trial
from .sampling import Sample, Stratum, strata, tall_enough
from .whole import Asked, without_groups

_ANY_BINS = value_bins(-1.0, 1.0), error_bins(1.0, 1.0)  # what is counted in them is not used


def sampled(asked: Asked, trials: Sequence[Trial], sample: Sample) -> dict[int, Measured]:
    """What came out, by the number of the trial; those that are refused say why themselves."""
    rows, cols = asked.shape
    live = [trial for trial in trials if not trial.reason]
    tall, refused = tall_enough(rows, cols, sample, [trial.scheme for trial in live])
    for trial in live:
        trial.reason = refused.get(trial.scheme, "")
    live = [trial for trial in live if not trial.reason]
    if not live:
        return {}
    drawn = strata(rows, cols, sample, tall)
    bands = [band for stratum in drawn for band in stratum.bands]
    read = sum(stop - start for start, stop in bands) * cols
    tick = asked.ticker(read, len(live))
    for start, stop in bands:
        stored = asked.open_rows(start, stop)
        part = replace(in_memory(stored), name=f"Rows {start}:{stop} of {stored.name or 'the tensor'}")  # for sentences
        for trial in live:
            if not trial.reason:
                _measure(asked, part, trial)
                tick(part.size)
    found = {}
    for number, trial in enumerate(trials):
        if not trial.reason:
            with trial.attempt():
                found[number] = _finished(asked, stored, trial, drawn, read / (rows * cols))
    return found


def _measure(asked: Asked, part: StoredTensor, trial: Trial) -> None:
    with trial.attempt():
        bins = _ANY_BINS if asked.full else None
        found = asked.use.measure(part, trial.scheme, bins, asked.importance, None, None)
        summed(found.sums, part, trial.scheme)  # refuses an error without a finite measure
        trial.passes.append(without_groups(found))


def _by_stratum(passes: Sequence[Pass], drawn: Sequence[Stratum]) -> list[list[Pass]]:
    left = iter(passes)
    return [[next(left) for _ in stratum.bands] for stratum in drawn]


def _finished(asked: Asked, stored: StoredTensor, trial: Trial, drawn: Sequence[Stratum], share: float) -> Measured:
    """stored: any band, which has the tensor's own notices, and the bits in which it is stored."""
    scheme, rows, cols = trial.scheme, *asked.shape
    estimate = estimated(_by_stratum(trial.passes, drawn), drawn, scheme, rows * cols)
    bits = scheme.bits_per_weight(asked.shape)
    known = dict(zip(KNOWN, (bits, stored.bits_per_weight / bits), strict=True))
    values = {name: (estimate.metrics | known)[name] for name in METRICS if name in estimate.metrics or name in known}
    notices = [*stored.remarks, *scheme.shape_notices(rows, cols), *remarks(scheme, False, False)]
    notices += [f"Of the rows sampled: {text}" for text in joined(trial.passes, scheme).notices]
    notices += [] if has_zero(scheme) else [NO_ZERO.format(scheme)]
    return Measured(
        scheme.key, values, estimate.errors, share, estimate.sums, tuple(notices), trial.seconds,
        asked.engine(trial, stored),
    )  # fmt: skip
