"""The other computations of the page Quality, each made in the background and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantviz.evaluation.comparison import Refusal
from quantviz.quality.continuation import continuations
from quantviz.quality.model.activations import Activations, collect_activations, output_errors
from quantviz.quality.super_weights import super_weights

from .. import say
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult, collect, steps
from .state import Ask

_small: BoundedCache[list] = BoundedCache(2000, lambda _: 1)


@dataclass(frozen=True, eq=False)
class Collected:
    """content: of the .safetensors file that holds the activations."""

    activations: Activations
    content: bytes

    @property
    def tokens(self) -> int:
        return max(self.activations.counts.values(), default=0)


_activations: BoundedCache[Collected] = BoundedCache(512 << 20, lambda c: 2 * len(c.content))


def going_on(ask: Ask, schemes: tuple[str, ...], prompt: str, tokens: int) -> KeptResult:
    """How the model as it is stored and each scheme's continue a prompt: a list of Continuation and Refusal."""

    def make(job: Job) -> list:
        items = continuations(
            ask.source.opens, schemes, prompt, tokens, ask.targets, calibrating=ask.calibrating,
            progress=steps(job, "tokens"), **ask.opening,
        )  # fmt: skip
        return collect(job, items)

    return KeptResult(("continuations", ask, schemes, prompt, tokens), "Continuations", make, _small, heavy=True)


def without_largest(ask: Ask) -> KeptResult:
    """Perplexity with the largest weights set to zero: a list of SuperWeights."""

    def make(job: Job) -> list:
        arriving = super_weights(
            ask.source.opens, method=ask.method, targets=ask.targets, progress=steps(job, "passes"), **ask.measuring,
            **ask.opening,
        )  # fmt: skip
        return collect(job, arriving)

    return KeptResult(("super weights", ask), "Without the largest weights", make, _small, heavy=True)


def activations(ask: Ask) -> KeptResult:
    """The mean squares, and a sample, of each layer's inputs while the model reads the text."""

    def make(job: Job) -> Collected:
        collected = collect_activations(
            ask.source.opens, targets=ask.targets, progress=steps(job, "windows"), **ask.measuring, **ask.opening
        )
        return Collected(collected, collected.to_bytes())

    return KeptResult(("activations", ask), "Activations", make, _activations, heavy=True)


def layer_errors(ask: Ask, scheme: str, collected: Collected) -> KeptResult:
    """The error of each layer's output beside that of its weights: a list of LayerError and Refusal."""

    def make(job: Job) -> list:
        arriving = output_errors(
            ask.source.opens, scheme, collected.activations, targets=ask.targets, calibrating=ask.calibrating,
            progress=steps(job, "layers"), **ask.opening,
        )  # fmt: skip
        return collect(job, arriving)

    return KeptResult(("layer errors", ask, scheme), f"Layers under {scheme}", make, _small, heavy=True)


def without_refusals(found: list[Any]) -> list[Any]:
    """The results among `found`; a caption says which schemes were refused, and why."""
    for item in found:
        if isinstance(item, Refusal):
            say.caption(f"{item.scheme} is left out. {item.reason}")
    return [item for item in found if not isinstance(item, Refusal)]
