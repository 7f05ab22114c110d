"""Several tensors under the same schemes, measured one after the other; figures are kept by tensor and scheme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from quantviz.errors import QuantvizError
from quantviz.evaluation import Evaluation
from quantviz.evaluation.comparison import Refusal

from ..selection import TensorPart
from . import cached
from .bounded import BoundedCache
from .jobs import Job

_ROW_BYTES = 4096
# Without what is drawn of a single tensor, so that thousands fit.
_figures: BoundedCache[Evaluation] = BoundedCache(64 << 20, lambda _: _ROW_BYTES)


@dataclass(frozen=True)
class Asked:
    """A tensor, how many weights it has, and the keys of the schemes that it is to be measured under."""

    at: TensorPart
    weights: int
    keys: tuple[str, ...]


def figures_of(at: TensorPart, key: str) -> Evaluation | None:
    """The metrics of a tensor under a scheme, if they are there, also from a comparison of this tensor alone."""
    found = _figures.peek((at, key)) or cached.compared(at, key, None)
    return found and _kept(at, key, found)


def _kept(at: TensorPart, key: str, made: Evaluation) -> Evaluation:
    slim = replace(made, statistics=None, histograms=None, code_counts=None, block_errors=None)
    _figures.put((at, key), slim)
    return slim


def measure_each(asked: Sequence[Asked], job: Job) -> dict[tuple[TensorPart, str], Refusal]:
    """Measures what is asked for, reported to `job`; `figures_of` has each as soon as it is made.

    Gives why there are no figures of a tensor under a scheme, where that is so: nothing remembers that.
    """
    progress, before = job.step("", "weights"), 0
    total = sum(_passes(one) for one in asked)
    refused: dict[tuple[TensorPart, str], Refusal] = {}
    for number, one in enumerate(asked, 1):
        job.name = f"{one.at.tensor}, {number} of {len(asked)}"
        refused |= _measure(one, lambda done, before=before: progress(before + done, total))
        before += _passes(one)
    return refused


def _passes(one: Asked) -> int:
    """Weights that are read: once for the tensor's own statistics, once under each scheme."""
    return one.weights * (len(one.keys) + 1)


def _measure(one: Asked, told: Callable[[int], None]) -> dict[tuple[TensorPart, str], Refusal]:
    try:
        known = cached.described_apart(one.at, lambda done, of: told(0), lambda done, of: told(done))
    except QuantvizError as problem:
        return {(one.at, key): Refusal(key, str(problem)) for key in one.keys}
    refused = {}
    for place, key in enumerate(one.keys, 1):
        begun = place * one.weights
        try:
            made = cached.compare_one(one.at, key, None, *known, lambda done, of, begun=begun: told(begun + done))
            _kept(one.at, key, made)
        except QuantvizError as problem:
            refused[one.at, key] = Refusal(key, str(problem))
    return refused
