"""Whether the damage of parts adds up to that of the whole, which planning by a sum takes for granted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..quality.measure import DEFAULT_CONTEXT, DEFAULT_TOKENS
from ..quality.model.loading import LanguageModel
from ..quality.passage import Passage
from ..quality.scoring import ratio_of_sums
from ..quality.session import text_of
from ..quality.text.windows import check_windows
from ..schemes import Scheme
from .measure import TARGETS, Options, opened_units
from .trials import Trial, Trials
from .units import By, Unit, check_by


@dataclass(frozen=True)
class Additivity:
    """Mean KL divergences in nats, each with its standard error from the spread between windows.

    whole: with all units quantized together.  parts: the sum of what each does alone.
    ratio: whole / parts; 1 where damage adds up.  left_out: units that the scheme cannot apply to, in neither.
    """

    ref: str
    scheme: str
    by: str
    units: int
    whole: float
    whole_se: float
    parts: float
    parts_se: float
    ratio: float
    ratio_se: float
    left_out: tuple[str, ...] = ()


def additivity(
    ref: str | LanguageModel,
    scheme: str | Scheme,
    by: By = "tensor",
    *,
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    context: int = DEFAULT_CONTEXT,
    targets: Sequence[str] = TARGETS,
    **how: Unpack[Options],
) -> Additivity:
    """The KL divergence with all units of a model quantized, against the sum of those with each alone.

    Arguments and errors as `sensitivity` has them. Whole and parts are measured over the same windows, so the standard
    error of their ratio is that of a ratio of paired sums.
    """
    check_by(by)
    check_windows(context, "llama.cpp")
    given = text_of(text)
    with opened_units(ref, scheme, by, targets, how) as asked:
        passage = Passage.of(asked.session.opened, given, tokens, context, "llama.cpp")
        trials, (own,) = Trials(asked.session, passage), asked.schemes
        ordered = sorted(asked.units, key=lambda unit: trials.depth(unit.layers))
        found = {unit: trials.run(dict.fromkeys(unit.layers, own), unit.name) for unit in ordered}
        fitting = [unit for unit in ordered if isinstance(found[unit], Trial)]
        if not fitting:
            raise QuantvizError(f"{own} can be put on no {by}. {found[ordered[0]].reason}")
        whole = trials.run({layer: own for unit in fitting for layer in unit.layers}, f"all together, {own}")
        if isinstance(whole, Refusal):
            raise QuantvizError(f"{own}: {whole.reason}")
        return _joined(asked.session.opened.ref, own.key, by, [found[unit] for unit in fitting], whole, _refused(found))


def _refused(found: dict[Unit, Trial | Refusal]) -> tuple[str, ...]:
    return tuple(unit.name for unit, trial in found.items() if isinstance(trial, Refusal))


def _joined(ref: str, scheme: str, by: str, trials: Sequence[Trial], whole: Trial, left_out: tuple[str, ...]):
    parts = np.sum([trial.kl for trial in trials], axis=0)  # of each window
    mean, error = ratio_of_sums(parts, whole.places)
    ratio, ratio_se = ratio_of_sums(whole.kl, parts) if parts.sum() else (math.nan, math.nan)
    return Additivity(
        ref, scheme, by, len(trials), whole.figures.kl_mean, whole.kl_se, mean, error, ratio, ratio_se, left_out
    )  # fmt: skip
