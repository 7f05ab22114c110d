"""What a handful of weights costs: perplexity with the largest set to zero, and with as many random ones.

After "The Super Weight in Large Language Models" (Yu et al., 2024, arXiv 2411.07191), which finds such weights by the
activations they cause; here they are the largest by magnitude, which anyone can check.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Unpack

import numpy as np

from ..errors import QuantvizError
from ..randomness import random_bits, stream_key
from .measure import DEFAULT_CONTEXT, DEFAULT_TOKENS, place_losses
from .model.layers import DEFAULT_TARGETS, Layer, select
from .model.loading import LanguageModel, OpenOptions
from .model.parts import Progress
from .model.predicting import Predictor
from .model.replacing import Originals, put_back
from .passage import Passage
from .results import Method, SuperWeights
from .scoring import perplexity_ratio
from .session import inference, open_session, text_of

DEFAULT_COUNTS = (1, 4, 16, 64, 256)
DEFAULT_SEEDS = (0, 1, 2)
_NAMED = 5  # largest weights that are named
_AT_ONCE = 1 << 20  # weights
_STREAM = 200  # of the seed; other draws have other numbers

Place = tuple[int, int]  # (number of the layer, flat position in it)


def super_weights(
    ref: str | LanguageModel,
    counts: Sequence[int] = DEFAULT_COUNTS,
    text: str | bytes | None = None,
    tokens: int | None = DEFAULT_TOKENS,
    context: int = DEFAULT_CONTEXT,
    method: Method = "llama.cpp",
    targets: Sequence[str] = DEFAULT_TARGETS,
    *,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    progress: Progress | None = None,
    **where: Unpack[OpenOptions],
) -> Iterator[SuperWeights]:
    """Perplexity ratios with the `count` largest weights of the target layers at zero, for each of `counts`.

    seeds: of the random draws of as many weights that are zeroed for comparison, a draw a seed.
    where: as `open_language_model` has it.
    Raises QuantvizError for a count beyond the weights that there are, and for no seed.
    """
    given = text_of(text)
    with open_session(ref, None, targets, progress=progress, **where) as session:
        layers = select(session.layers, targets)
        _check(counts, seeds, sum(layer.weights for layer in layers))
        passage = Passage.of(session.opened, given, tokens, context, method)
        originals = session.replacer.originals
        largest = _largest(layers, originals, max(counts))
        with inference():
            predictor = Predictor(session.opened)
        steps, done = len(counts) * (1 + len(seeds)) + 1, 0

        def losses_without(places: Sequence[Place]) -> np.ndarray:
            nonlocal done
            with inference(), _zeroed(layers, places, originals):
                losses = place_losses(predictor, passage)
            done += 1
            if progress:
                progress("weights set to zero", done, steps)
            return losses

        whole = losses_without(())
        for count in counts:
            chosen = [place for _, place in largest[:count]]
            others = [_drawn(layers, count, seed) for seed in seeds]
            ratio, ratio_se = perplexity_ratio(losses_without(chosen), whole)
            yield SuperWeights(
                count,
                ratio,
                tuple(perplexity_ratio(losses_without(places), whole)[0] for places in others),
                tuple(_named(layers[n], at, value) for value, (n, at) in largest[: min(count, _NAMED)]),
                ratio_se,
            )


def _check(counts: Sequence[int], seeds: Sequence[int], there: int) -> None:
    if not counts or min(counts) < 1 or max(counts) > there:
        raise QuantvizError(f"Give counts of weights from 1 to the {there:,} that there are.")
    if not seeds:
        raise QuantvizError("Without a seed there is no random draw to compare with; give at least one, for example 0.")


def _largest(layers: Sequence[Layer], originals: Originals, count: int) -> list[tuple[float, Place]]:
    """(value, place) of the `count` largest magnitudes over all layers, largest first."""
    found: list[tuple[float, float, Place]] = []
    for number, layer in enumerate(layers):
        whole = originals.whole(layer)
        for start in range(0, whole.size, _AT_ONCE):
            x = whole.read(start, start + _AT_ONCE)
            size = np.abs(x)
            top = np.argpartition(size, -min(count, len(x)))[-min(count, len(x)) :]
            found += [(float(size[i]), float(x[i]), (number, start + int(i))) for i in top]
        found = heapq.nlargest(count, found, key=lambda entry: (entry[0], -entry[2][0], -entry[2][1]))
    return [(value, place) for _, value, place in found]


def _drawn(layers: Sequence[Layer], count: int, seed: int) -> list[Place]:
    """`count` different places, each weight as likely as any other; the same on every machine."""
    ends = np.cumsum([layer.weights for layer in layers])
    chosen: dict[int, None] = {}
    drawn = 0
    while len(chosen) < count:
        bits = random_bits(stream_key(seed, _STREAM), drawn, drawn + count)
        drawn += count
        for at in (bits % np.uint64(ends[-1])).astype(np.int64).tolist():
            if len(chosen) < count:
                chosen[at] = None
    places = []
    for at in chosen:
        number = int(np.searchsorted(ends, at, side="right"))
        places.append((number, at - int(ends[number] - layers[number].weights)))
    return places


class _zeroed:
    """A context in which the weights at `places` are zero."""

    def __init__(self, layers: Sequence[Layer], places: Sequence[Place], originals: Originals) -> None:
        self.originals = originals
        self.by_layer: Mapping[Layer, list[int]] = {}
        for number, at in places:
            self.by_layer.setdefault(layers[number], []).append(at)

    def __enter__(self) -> None:
        for layer, positions in self.by_layer.items():
            layer.parameter.data.view(-1)[positions] = 0

    def __exit__(self, *_: object) -> None:
        for layer in self.by_layer:
            put_back(layer, self.originals)


def _named(layer: Layer, at: int, value: float) -> str:
    row, column = divmod(at, layer.parameter.shape[-1])
    if layer.transposed:
        row, column = column, row % layer.shape[1]
    return f"{layer.path} [{row:,}, {column:,}] = {value:.4g}"
