"""Perplexity, KL divergence and their kin, scheme by scheme, as windows finish."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..comparison import Refusal
from ..errors import QuantvizError
from ..schemes import Scheme
from .layers import DEFAULT_TARGETS, Layer, Mixture, distinct, find_layers, select
from .loading import LanguageModel, open_language_model
from .parts import Progress
from .predicting import BATCH, KEPT, Predictor, read_tokens
from .replacing import Change, Originals, Replacer
from .results import Method, QualityResult
from .scoring import Tally, compare
from .texts import decode, demo_text
from .windows import Window, batches, plan

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
    device: str | None = None,
    dtype: str | None = None,
    token: str | bool | None = None,
    root: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    importance: dict | None = None,
    progress: Progress | None = None,
) -> Iterator[QualityResult | Refusal]:
    """What each scheme does to a model's predictions: a result after every few windows, the last one complete.

    ref: `demo`, a model's folder, `hf:org/name@revision`, a .gguf file, or a model that is open.
    schemes: keys, or tables `pattern=scheme;pattern=scheme` of which the first match wins.
    text: None is the demo's test book; bytes are decoded.  tokens: at most so many of it; None takes all.
    targets: what a plain scheme is applied to: linear, embeddings, head, or patterns such as down_proj.
    importance: tensor name -> E[x²] of its input channels, which weighs the search of clip=mse.
    device, dtype, token, root, cache_dir: see `open_language_model`.
    progress: called as progress(what, done, total); what it raises stops the work. Ending the generator does so too.

    A scheme that cannot apply to some layer gives a Refusal in its place. Raises QuantvizError, with one sentence, for
    anything else that is wrong. The same weights give the same figures, and fp32 changes nothing at all.
    """
    mixtures = distinct(schemes)
    given = _text(text)
    with (
        open_language_model(
            ref, device=device, dtype=dtype, token=token, root=root, cache_dir=cache_dir, progress=progress
        ) as opened,
        Replacer(Originals(opened, cache_dir), importance or {}) as replacer,
    ):
        layers = find_layers(opened.model)
        select(layers, targets)
        for mixture in mixtures:  # a pattern that matches nothing is said before anything is computed
            for pattern, _ in mixture.rules:
                select(layers, targets if pattern == "*" else (pattern,))
        passage = Passage.of(opened, given, tokens, context, method)
        run = _Run(opened, passage, layers, tuple(targets), replacer, progress)
        with inference():
            run.baseline()
        for mixture in mixtures:
            yield from run.measure(mixture)


def _text(text: str | bytes | None) -> str:
    if text is None:
        return demo_text()
    return decode(text) if isinstance(text, bytes) else text


@contextlib.contextmanager
def inference() -> Iterator[None]:
    """No gradients. Never held open across a yield: the mode belongs to the thread, whoever runs on it."""
    import torch

    with torch.inference_mode():
        yield


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
        windows = plan(len(ids), context, method)
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
    """The first `tokens` tokens of a text, without reading much more of a long one."""
    if tokens is None:
        return opened.encode(text)
    for part in (text[: _CHARACTERS * tokens], text):
        found = opened.encode(part)
        if len(found) > tokens or len(part) == len(text):  # one more, since a cut changes the last one
            break
    return found[:tokens]


class _Run:
    """One text through one model, as stored and under each scheme."""

    def __init__(
        self,
        opened: LanguageModel,
        passage: Passage,
        layers: tuple[Layer, ...],
        targets: tuple[str, ...],
        replacer: Replacer,
        progress: Progress | None,
    ) -> None:
        self.opened, self.passage, self.layers, self.targets = opened, passage, layers, targets
        self.replacer, self.progress = replacer, progress
        self.kept: list[torch.Tensor] = []  # of each batch, logits or features of the model as stored

    def told(self, what: str) -> Callable[[int, int], None] | None:
        return self.progress and (lambda done, total: self.progress(what, done, total))

    def baseline(self) -> None:
        """Keeps what the stored model predicts: its logits where they are few, else what its head makes them from."""
        self.predictor = Predictor(self.opened)
        self.keeps_logits = 4 * self.passage.scored * self.predictor.vocabulary <= KEPT
        told, done = self.told("the model as it is stored"), 0
        for batch in self.passage.batches():
            features = self.predictor.features(self.passage.read(batch), batch[0].scored)
            self.kept.append(self.predictor.logits(features) if self.keeps_logits else features)
            done += len(batch)
            if told:
                told(done, len(self.passage.windows))

    def measure(self, mixture: Mixture) -> Iterator[QualityResult | Refusal]:
        began = time.perf_counter()
        try:
            assigned = mixture.assign(self.layers, self.targets)
            with inference():
                changes = self.replacer.apply(assigned, self.told(f"{mixture}: quantizing"))
        except QuantvizError as problem:
            yield Refusal(mixture.key, str(problem))
            return
        head = self._head_as_stored(assigned)
        tally, done, seconds = Tally(self.passage.scored), 0, time.perf_counter() - began
        parts = self.passage.batches()
        every = math.ceil(len(parts) / _REPORTS)
        for number, batch in enumerate(parts, 1):
            began = time.perf_counter()
            with inference():
                self._score(number - 1, batch, tally, head)
            done += len(batch)
            if self.progress:
                self.progress(mixture.key, done, len(self.passage.windows))
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
            tally.add(compare(base, self.predictor.logits(features[part]), targets[part]))

    def _head_as_stored(self, assigned: dict[Layer, Scheme]) -> _Head | None:
        """The stored output head beside the quantized one, where kept features still have to go through it."""
        head = next((layer for layer in assigned if "head" in layer.kinds), None)
        if head is None or self.keeps_logits or not self.predictor.halves:
            return None
        return _Head(head, self.replacer.originals)

    def _result(
        self, mixture: Mixture, changes: dict[Layer, Change], tally: Tally, done: int, seconds: float
    ) -> QualityResult:
        weights = sum(change.weights for change in changes.values())
        bits = sum(change.bits for change in changes.values())
        rest = self.opened.stored_bits - sum(self.replacer.originals.stored_bits(layer) for layer in changes)
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
            bits_per_weight=bits / weights, model_bits_per_weight=(rest + bits) / self.opened.weights,
            layers=len(changes), weight_error=math.sqrt(error / squared) if squared else 0.0,
            dtype=self.opened.dtype, device=self.opened.device_name,
            notices=_notices(changes, figures.non_finite, tally.scored), **asdict(figures),
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
        whole = originals.whole(layer)
        self.stored.view(-1).copy_(torch.from_numpy(whole.numpy().reshape(-1).copy()))

    def __enter__(self) -> Any:
        self.layer.parameter.data = self.stored
        return self

    def __exit__(self, *_: object) -> None:
        self.layer.parameter.data = self.quantized
