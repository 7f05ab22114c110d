"""Perplexity, KL divergence and their kin, scheme by scheme, as windows finish."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..machine.memory import available
from ..schemes import Scheme
from ..text.wording import size
from .model.layers import DEFAULT_TARGETS, Layer, Mixture
from .model.loading import LanguageModel, OpenOptions
from .model.parts import Progress
from .model.predicting import BATCH, KEPT, Predictor, read_tokens
from .model.replacing import Change, Originals, fill
from .results import Method, QualityResult
from .scoring import Tally, compare_predictions
from .session import Session, inference, open_session, text_of
from .text.texts import identity
from .text.windows import Window, batches, check_windows, windows_over

if TYPE_CHECKING:
    import torch

DEFAULT_TOKENS = 8192
DEFAULT_CONTEXT = 512
DEFAULT_SCHEMES = tuple(
    f"int{bits}-{symmetry}-{granularity}"
    for granularity in ("b32", "tensor")
    for bits in (8, 4, 2)
    for symmetry in ("sym", "asym")
)
_REPORTS = 64  # partial results a scheme, at most
_CHARACTERS = 16  # a token, at most, where only the first tokens of a long text are wanted


def measure_quality(
    ref: str | LanguageModel,
    schemes: Iterable[str | Scheme | Mixture],
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    context: int = DEFAULT_CONTEXT,
    method: Method = "llama.cpp",
    targets: Sequence[str] = DEFAULT_TARGETS,
    *,
    importance: dict | None = None,
    progress: Progress | None = None,
    **where: Unpack[OpenOptions],
) -> Iterator[QualityResult | Refusal]:
    """What each scheme does to a model's predictions: a result after every few windows, the last one complete.

    ref: `demo`, a model's folder, `hf:org/name@revision`, a .gguf file, or a model that is open.
    schemes: keys, or tables `pattern=scheme;pattern=scheme` of which the first match wins.
    text: None is the demo's test book; bytes are decoded.  tokens: at most so many of it; None takes all.
    targets: what a plain scheme is applied to: linear, embeddings, head, or patterns such as down_proj.
    importance: tensor name -> E[x²] of its input channels, which weighs the search of clip=mse.
    where: device, dtype, token, root and cache_dir, as `open_language_model` has them.
    progress: called as progress(what, done, total); what it raises stops the work. Ending the generator does so too.

    A scheme that cannot apply to the shape of some layer gives a Refusal, before anything is computed; one whose
    weights hold NaN gives it at its turn. Raises QuantvizError, with one sentence, for anything else that is wrong.
    The same weights give the same figures, and fp32 changes nothing at all.
    """
    check_windows(context, method)
    given = text_of(text)
    with open_session(ref, schemes, targets, importance, progress, **where) as session:
        run = _Run(session, Passage.of(session.opened, given, tokens, context, method), tuple(targets), identity(text))
        refusals = {mixture: session.refusal(mixture) for mixture in session.mixtures}
        yield from filter(None, refusals.values())
        fitting = [mixture for mixture, refusal in refusals.items() if refusal is None]
        if fitting:
            with inference():
                run.baseline()
        for mixture in fitting:
            yield from run.measure(mixture)


@dataclass(frozen=True, eq=False)
class Passage:
    """Tokens, and the windows over them."""

    tokens: torch.Tensor  # int64
    context: int
    method: Method
    windows: tuple[Window, ...]
    bos: int | None

    @classmethod
    def of(cls, opened: LanguageModel, text: str, tokens: int | None, context: int, method: Method) -> Passage:
        """Raises QuantvizError for a text shorter than a window, and windows longer than the model reads."""
        import torch

        if tokens is not None and tokens < 1:
            raise QuantvizError(f"tokens={tokens} leaves no text; give a whole number from {context} on.")
        if opened.longest is not None and context > opened.longest:
            raise QuantvizError(
                f"{opened.name} reads {opened.longest:,} tokens at a time; choose a context of {opened.longest:,} or "
                f"less, not {context:,}."
            )
        ids = encode_start(opened, text, tokens)
        windows = windows_over(len(ids), context, method)
        return cls(torch.tensor(ids), context, method, windows, opened.bos if method == "llama.cpp" else None)

    @property
    def scored(self) -> int:
        return sum(window.scored for window in self.windows)

    def batches(self) -> list[tuple[Window, ...]]:
        return list(batches(self.windows, BATCH))

    def read(self, batch: Sequence[Window]) -> torch.Tensor:
        return read_tokens(self.tokens, batch, self.bos)

    def targets(self, batch: Sequence[Window]) -> torch.Tensor:
        """The tokens that are scored, window after window."""
        import torch

        return torch.cat([self.tokens[window.first : window.stop] for window in batch])


def encode_start(opened: LanguageModel, text: str, tokens: int | None) -> list[int]:
    """The first `tokens` tokens of a text, without encoding much more of a long one."""
    if tokens is None:
        return opened.encode(text)
    for part in (text[: _CHARACTERS * tokens], text):
        found = opened.encode(part)
        if len(found) > tokens or len(part) == len(text):  # one more, since a cut changes the last one
            break
    return found[:tokens]


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
        self.kept: list[torch.Tensor] = []  # of each batch, logits or features of the model as stored

    def baseline(self) -> None:
        """Keeps what the stored model predicts: its logits if they are few, else the features that its head takes."""
        self.predictor = Predictor(self.opened)
        self.keeps_logits = 4 * self.passage.scored * self.predictor.vocabulary <= KEPT
        told, done = self.session.told("the model as it is stored"), 0
        for batch in self.passage.batches():
            features = self.predictor.features(self.passage.read(batch), batch[0].scored)
            if not self.kept and not self.keeps_logits:
                self._check_room(features)
            self.kept.append(self.predictor.logits(features) if self.keeps_logits else features)
            done += len(batch)
            if told:
                told(done, len(self.passage.windows))

    def _check_room(self, features: torch.Tensor) -> None:
        """Refuses a text whose predictions would not fit in memory, before they fill it."""
        needed = features[0].nbytes * self.passage.scored
        free = available(self.opened.device)
        if free is not None and needed > free:
            raise QuantvizError(
                f"To keep what {self.opened.name} predicts for {self.passage.scored:,} tokens takes {size(needed)} of "
                f"memory, and {size(free)} are free; measure fewer tokens."
            )

    def measure(self, mixture: Mixture) -> Iterator[QualityResult | Refusal]:
        began = time.perf_counter()
        changes = self.session.apply(mixture)
        if isinstance(changes, Refusal):
            yield changes
            return
        head = self._head_as_stored(changes)
        tally, done, seconds = Tally(self.passage.scored), 0, time.perf_counter() - began
        parts, told = self.passage.batches(), self.session.told(mixture.key)
        every = math.ceil(len(parts) / _REPORTS)
        for number, batch in enumerate(parts, 1):
            began = time.perf_counter()
            with inference():
                self._score(number - 1, batch, tally, head)
            done += len(batch)
            if told:
                told(done, len(self.passage.windows))
            seconds += time.perf_counter() - began
            if number % every == 0 or number == len(parts):
                yield self._result(mixture, changes, tally, done, seconds)

    def _score(self, number: int, batch: Sequence[Window], tally: Tally, head: _Head | None) -> None:
        kept, targets = self.kept[number], self.passage.targets(batch).to(self.opened.device)
        features = self.predictor.features(self.passage.read(batch), batch[0].scored)
        for part in self.predictor.chunks(len(targets)):
            if self.keeps_logits:
                base = kept[part]
            else:
                with head or contextlib.nullcontext():
                    base = self.predictor.logits(kept[part])
            tally.add(compare_predictions(base, self.predictor.logits(features[part]), targets[part]))

    def _head_as_stored(self, changes: Iterable[Layer]) -> _Head | None:
        """The stored output head beside the quantized one, where kept features still have to go through it."""
        head = next((layer for layer in changes if "head" in layer.kinds), None)
        if head is None or self.keeps_logits or not self.predictor.halves:
            return None
        return _Head(head, self.session.replacer.originals)

    def _result(
        self, mixture: Mixture, changes: dict[Layer, Change], tally: Tally, done: int, seconds: float
    ) -> QualityResult:
        weights = sum(change.weights for change in changes.values())
        bits = sum(change.bits for change in changes.values())
        rest = self.opened.sizes.bits - sum(self.session.replacer.originals.stored_bits(layer) for layer in changes)
        squared = math.fsum(change.squared for change in changes.values())
        error = math.fsum(change.squared_error for change in changes.values())
        figures = tally.figures()
        if not math.isfinite(figures.base_perplexity):
            raise QuantvizError(
                f"{self.opened.name} as it is stored gives logits that are no finite numbers in {self.opened.dtype}, "
                "so there is nothing to compare with; choose another dtype or model."
            )
        return QualityResult(
            ref=self.opened.ref, scheme=mixture.key, context=self.passage.context, method=self.passage.method,
            tokens=self.passage.windows[done - 1].stop, scored=tally.scored,
            windows=done, windows_total=len(self.passage.windows), seconds=seconds,
            bits_per_weight=bits / weights, model_bits_per_weight=(rest + bits) / self.opened.sizes.weights,
            layers=len(changes), weight_error=math.sqrt(error / squared) if squared else 0.0,
            dtype=self.opened.dtype, device=self.opened.device_name,
            notices=_notices(changes, figures.non_finite, tally.scored), targets=self.targets, text=self.text,
            **asdict(figures),
        )  # fmt: skip


def _notices(changes: dict[Layer, Change], non_finite: int, scored: int) -> tuple[str, ...]:
    found = [text for change in changes.values() for text in change.notices]
    if non_finite:
        found.insert(
            0,
            f"{non_finite:,} of {scored:,} predictions are no finite numbers: the model collapsed, and its perplexity "
            "and KL divergence are undefined.",
        )
    return tuple(found)


class _Head:
    """A context in which the output head has its stored weights; outside, what a scheme put there."""

    def __init__(self, layer: Layer, originals: Originals) -> None:
        import torch

        self.layer, self.quantized = layer, layer.parameter.data
        self.stored = torch.empty_like(self.quantized)
        fill(self.stored, originals.whole(layer))

    def __enter__(self) -> Any:
        self.layer.parameter.data = self.stored
        return self

    def __exit__(self, *_: object) -> None:
        self.layer.parameter.data = self.quantized
