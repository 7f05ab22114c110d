"""Perplexity, KL divergence and their kin, scheme by scheme, as windows finish."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np

from ..evaluation.comparison import Refusal
from ..schemes import Scheme
from .baseline import Baseline
from .data import Calibrating
from .model.layers import DEFAULT_TARGETS, Layer, Mixture
from .model.loading import LanguageModel
from .model.predicting import Predictor
from .model.replacing import Change
from .passage import Passage
from .results import Method, QualityResult
from .scoring import Tally
from .session import Options, Session, inference, open_session, text_of
from .text.texts import identity
from .text.windows import check_windows

DEFAULT_TOKENS = 8192
DEFAULT_CONTEXT = 512
DEFAULT_SCHEMES = tuple(
    f"int{bits}-{symmetry}-{granularity}"
    for granularity in ("b32", "tensor")
    for bits in (8, 4, 2)
    for symmetry in ("sym", "asym")
)
_REPORTS = 64  # partial results a scheme, at most


def measure_quality(
    ref: str | LanguageModel,
    schemes: Iterable[str | Scheme | Mixture],
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    context: int = DEFAULT_CONTEXT,
    method: Method = "llama.cpp",
    targets: Sequence[str] = DEFAULT_TARGETS,
    *,
    calibrating: Calibrating | None = None,
    **how: Unpack[Options],
) -> Iterator[QualityResult | Refusal]:
    """What each scheme does to a model's predictions: a result after every few windows, the last one complete.

    ref: `demo`, a model's folder, `hf:org/name@revision`, a .gguf file, or a model that is open.
    schemes: keys, or tables `pattern=scheme;pattern=scheme` of which the first match wins.
    text: None is the demo's test book; bytes are decoded.  tokens: at most so many of it; None takes all.
    targets: what a plain scheme is applied to: linear, embeddings, head, or patterns such as down_proj.
    calibrating: the text that layers are calibrated on for solver=gptq, solver=awq and an imatrix, and how.
    how: importance, tensor name -> E[x²] of its input channels, which weighs the search of clip=mse and block types;
    progress, called as progress(what, done, total): what it raises stops the work, as ending the generator does; and
    device, dtype, token, root and cache_dir, as `open_language_model` has them.

    A scheme that cannot apply to the shape of some layer gives a Refusal, before anything is computed; one whose
    weights hold NaN gives it at its turn, one whose calibration memory does not hold before. Raises QuantvizError,
    with one sentence, for anything else that is wrong, such as a calibration text that is scored too.
    The same weights give the same figures, and fp32 changes nothing at all.
    """
    check_windows(context, method)
    given = text_of(text)
    with open_session(ref, schemes, targets, calibrating=calibrating, **how) as session:
        run = _Run(session, Passage.of(session.opened, given, tokens, context, method), tuple(targets), identity(text))
        session.calibrator.keep_apart(run.passage)
        refusals = {mixture: session.refusal(mixture) for mixture in session.mixtures}
        yield from filter(None, refusals.values())
        fitting = [mixture for mixture, refusal in refusals.items() if refusal is None]
        if fitting:
            with inference():
                run.start()
        for mixture in fitting:
            yield from run.measure(mixture)


def place_losses(predictor: Predictor, passage: Passage) -> np.ndarray:
    """-ln p(correct token) of every scored token of a passage, float64, of the model as it now is."""
    import torch

    found = []
    for batch in passage.batches():
        targets = passage.targets(batch).to(predictor.device)
        features = predictor.features(passage.read(batch), batch[0].scored)
        for part in predictor.chunks(len(targets)):
            losses = torch.nn.functional.cross_entropy(
                predictor.logits(features[part]), targets[part], reduction="none"
            )  # fmt: skip
            found.append(losses.double().cpu().numpy())
    return np.concatenate(found)


class _Run:
    """One text through one model, as stored and under each scheme."""

    def __init__(self, session: Session, passage: Passage, targets: tuple[str, ...], text: str) -> None:
        self.session, self.opened, self.passage = session, session.opened, passage
        self.targets, self.text = targets, text
        self._imatrix_told = False

    def start(self) -> None:
        self.baseline = Baseline(self.opened, self.passage, self.session.told("the model as it is stored"))

    def measure(self, mixture: Mixture) -> Iterator[QualityResult | Refusal]:
        began = time.perf_counter()
        changes = self.session.apply(mixture)
        if isinstance(changes, Refusal):
            yield changes
            return
        head = self.baseline.head_as_stored(changes, self.session.replacer.originals)
        tally, done, seconds = Tally(self.passage.scored), 0, time.perf_counter() - began
        data = self._data(mixture, seconds)
        seconds = data["quantizing_seconds"]
        parts, told = self.baseline.batches, self.session.told(mixture.key)
        every = math.ceil(len(parts) / _REPORTS)
        for number, batch in enumerate(parts, 1):
            began = time.perf_counter()
            with inference():
                for rows in self.baseline.compare(number - 1, self.baseline.features(number - 1), head):
                    tally.add(rows)
            done += len(batch)
            if told:
                told(done, len(self.passage.windows))
            seconds += time.perf_counter() - began
            if number % every == 0 or number == len(parts):
                yield self._result(mixture, changes, tally, done, {**data, "seconds": seconds})

    def _result(
        self, mixture: Mixture, changes: dict[Layer, Change], tally: Tally, done: int, data: dict[str, Any]
    ) -> QualityResult:
        weights = sum(change.weights for change in changes.values())
        bits = sum(change.bits for change in changes.values())
        rest = self.opened.sizes.bits - sum(self.session.replacer.originals.stored_bits(layer) for layer in changes)
        squared = math.fsum(change.squared for change in changes.values())
        error = math.fsum(change.squared_error for change in changes.values())
        figures = tally.figures()
        self.baseline.check(figures)
        return QualityResult(
            ref=self.opened.ref, scheme=mixture.key, context=self.passage.context, method=self.passage.method,
            tokens=self.passage.windows[done - 1].stop, scored=tally.scored,
            windows=done, windows_total=len(self.passage.windows),
            bits_per_weight=bits / weights, model_bits_per_weight=(rest + bits) / self.opened.sizes.weights,
            layers=len(changes), weight_error=math.sqrt(error / squared) if squared else 0.0,
            dtype=self.opened.dtype, device=self.opened.device_name,
            notices=_notices(changes, figures.non_finite, tally.scored), targets=self.targets, text=self.text,
            **asdict(figures), **data,
        )  # fmt: skip

    def _data(self, mixture: Mixture, seconds: float) -> dict[str, Any]:
        """What of a result tells how data were used. seconds: that it took to calibrate and quantize."""
        assigned = mixture.assign(self.session.layers, self.session.targets)
        uses, calibrator = self.session.uses(assigned), self.session.calibrator
        if not uses:
            return {"quantizing_seconds": seconds}
        if "imatrix" in uses and self._imatrix_told:
            seconds += calibrator.imatrix_seconds  # once for all that search by it, and told of each
        self._imatrix_told = self._imatrix_told or "imatrix" in uses
        return {
            "quantizing_seconds": seconds, "uses_data": ", ".join(uses), "calibration_text": calibrator.text,
            "calibration_tokens": calibrator.tokens,
            "propagate": calibrator.calibrating.propagate if set(uses) - {"imatrix"} else None,
        }  # fmt: skip


def _notices(changes: dict[Layer, Change], non_finite: int, scored: int) -> tuple[str, ...]:
    where: dict[str, list[str]] = {}
    for layer, change in changes.items():
        for text in change.notices:
            where.setdefault(text, []).append(layer.path)
    found = [f"{_named(paths)}: {text}" for text, paths in where.items()]
    if non_finite:
        found.insert(
            0,
            f"{non_finite:,} of {scored:,} predictions are no finite numbers: the model collapsed, and its perplexity "
            "and KL divergence are undefined.",
        )
    return tuple(found)


def _named(paths: Sequence[str]) -> str:
    """Layers of which one thing is said.

    >>> _named(["layers.0.up"]), _named(["layers.0.up", "layers.1.up"])
    ('layers.0.up', '2 layers, layers.0.up to layers.1.up')
    """
    return paths[0] if len(paths) == 1 else f"{len(paths):,} layers, {paths[0]} to {paths[-1]}"
