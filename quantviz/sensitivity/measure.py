"""What each tensor, role or layer of a language model does to its predictions when it alone is quantized."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from .. import __version__
from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..quality.measure import DEFAULT_CONTEXT, DEFAULT_TOKENS
from ..quality.model.layers import WORDS, select
from ..quality.model.loading import LanguageModel
from ..quality.passage import Passage
from ..quality.session import Options, Session, open_session, text_of
from ..quality.text.texts import identity
from ..quality.text.windows import check_windows
from ..schemes import Scheme
from .dataset import Dataset, Spec
from .frame import frame_of
from .trials import Trial, Trials, check_fits
from .units import By, Unit, check_by, units

if TYPE_CHECKING:
    import pandas as pd

TARGETS = tuple(WORDS)
"""Every matrix of weights: a plan has to say what becomes of embeddings and head too."""
_METHOD = "llama.cpp"
_HASHED_AT_ONCE = 64 << 20  # bytes


def sensitivity(
    ref: str | LanguageModel,
    schemes: str | Scheme | Iterable[str | Scheme],
    by: By = "tensor",
    *,
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    context: int = DEFAULT_CONTEXT,
    targets: Sequence[str] = TARGETS,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **how: Unpack[Options],
) -> Iterator[pd.DataFrame]:
    """KL divergence of a causal model's own predictions with one unit quantized and everything else as stored.

    ref, text, tokens, context, targets and how: as `measure_quality` has them; without a text the demo's test book.
    by: what is quantized together: one tensor, all of one role, or all of one layer of the model.
    out: a folder that keeps every unit as it comes; with resume=True, what is there is not measured again.

    Gives a table a unit, a row a scheme, of the columns of `frame.COLUMNS`: those in `out` first, then those that are
    measured, by where in the model they come. A unit that a scheme cannot apply to has a row that says why. Figures
    are those of `measure_quality` with that unit's tensors in a table, to the last bit; their standard errors come from
    the spread between windows, since neighbouring tokens are alike.

    Raises QuantvizError, with one sentence, for what is no language model, a scheme that fits no unit, a text shorter
    than a window, and a folder made from something else.
    """
    check_by(by)
    check_windows(context, _METHOD)
    given = text_of(text)
    with opened_units(ref, schemes, by, targets, how) as asked:
        session = asked.session
        passage = Passage.of(session.opened, given, tokens, context, _METHOD)
        spec = _spec(asked, by, identity(text, whole=True), tokens, context, how.get("importance"))
        names = [unit.name for unit in asked.units]
        dataset = None if out is None else Dataset.open(out, spec, names, resume)
        done = dataset.done if dataset else set()
        for number in sorted(done):
            yield dataset.rows(number)
        if missing := [number for number in range(len(names)) if number not in done]:
            trials = Trials(session, passage)
            for number in sorted(missing, key=lambda number: trials.depth(asked.units[number].layers)):
                frame = frame_of(_rows(trials, asked, asked.units[number], spec, passage))
                if dataset:
                    dataset.append(number, frame)
                yield frame


@dataclass(frozen=True, eq=False)
class Asked:
    """An open model, its units, and the schemes that each of them is to have."""

    session: Session
    units: tuple[Unit, ...]
    schemes: tuple[Scheme, ...]


@contextlib.contextmanager
def opened_units(
    ref: str | LanguageModel,
    schemes: str | Scheme | Iterable[str | Scheme],
    by: By,
    targets: Sequence[str],
    how: Mapping[str, Any],
) -> Iterator[Asked]:
    """Raises QuantvizError where there is no scheme, and for one that fits no tensor of the model."""
    parsed = tuple(dict.fromkeys(map(Scheme.parse, [schemes] if isinstance(schemes, str | Scheme) else schemes)))
    if not parsed:
        raise QuantvizError("A sensitivity needs at least one scheme, for example int4-sym-b32.")
    for scheme in parsed:
        scheme.check_importance_given(bool(how.get("importance")))
    with open_session(ref, None, targets, **how) as session:
        found = units(select(session.layers, targets), by)
        for scheme in parsed:
            reasons = [_refusal(unit, scheme) for unit in found]
            if all(reasons):
                raise QuantvizError(f"{scheme} fits no {by} of {session.opened.name}. {reasons[0]}")
        yield Asked(session, found, parsed)


def _refusal(unit: Unit, scheme: Scheme) -> str:
    """Why a scheme cannot apply to the shape of some tensor; "" where it can."""
    try:
        for layer in unit.layers:
            check_fits(layer, scheme)
    except QuantvizError as problem:
        return str(problem)
    return ""


def _rows(trials: Trials, asked: Asked, unit: Unit, spec: Spec, passage: Passage) -> Iterator[dict[str, Any]]:
    for scheme in asked.schemes:
        trial = trials.run(dict.fromkeys(unit.layers, scheme), f"{unit.name}, {scheme}")
        yield {
            "by": spec.by, "unit": unit.name, "tensors": len(unit.layers), "weights": unit.weights,
            "scheme": scheme.key, **_figures(trial), "tokens": passage.windows[-1].stop, "context": spec.context,
            "ref": spec.ref, "revision": spec.revision, "version": spec.version,
        }  # fmt: skip


def _figures(trial: Trial | Refusal) -> dict[str, Any]:
    names = ("kl_mean", "kl_se", "perplexity_ratio", "perplexity_ratio_se", "top1_agreement")
    none = dict.fromkeys(names, np.nan)
    if isinstance(trial, Refusal):
        return {**none, "seconds": 0.0, "refused": trial.reason}
    if bad := trial.figures.non_finite:
        reason = f"The model collapsed: {bad:,} of {sum(trial.places):,} predictions are no finite numbers."
        return {**none, "seconds": trial.seconds, "refused": reason}
    found = trial.figures
    values = (found.kl_mean, trial.kl_se, found.perplexity_ratio, trial.perplexity_ratio_se, found.top1_agreement)
    return {**dict(zip(names, values, strict=True)), "seconds": trial.seconds, "refused": ""}


def _spec(asked: Asked, by: By, text: str, tokens: int | None, context: int, importance: Any) -> Spec:
    opened = asked.session.opened
    return Spec(
        ref=opened.ref, revision=_digest_of_weights(opened.model), schemes=tuple(s.key for s in asked.schemes), by=by,
        targets=asked.session.targets, text=text, tokens=tokens or 0, context=context,
        importance=_digest_of(importance) if importance else "", dtype=opened.dtype, device=opened.device_name,
        version=__version__,
    )  # fmt: skip


def _digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _digest_of_weights(model: Any) -> str:
    """SHA-256 of all weights of a model as it is stored, which tells it from any other, wherever it came from."""
    import torch

    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}\n".encode())
        flat = parameter.detach().reshape(-1).view(torch.uint8)
        for at in range(0, flat.numel(), _HASHED_AT_ONCE):
            digest.update(flat[at : at + _HASHED_AT_ONCE].cpu().numpy().data)
    return digest.hexdigest()
