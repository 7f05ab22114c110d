"""Several tensors under the same schemes, measured one after the other; figures are kept by tensor and scheme."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from quantviz.calibration.importance import entry_of
from quantviz.errors import QuantvizError
from quantviz.evaluation import Evaluation
from quantviz.evaluation.comparison import Refusal
from quantviz.sources import TensorInfo

from ..selection import Importance, TensorPart
from . import cached
from .bounded import BoundedCache
from .jobs import Job

Refused = dict[tuple[str, str], Refusal]  # by the tensor's name and the scheme's key

_ROW_BYTES = 4096
# Without what is drawn of a single tensor, so that thousands fit.
_figures: BoundedCache[Evaluation] = BoundedCache(64 << 20, lambda _: _ROW_BYTES)
_importances: BoundedCache[Importance] = BoundedCache(64 << 20, lambda held: held.values.nbytes)


@dataclass(frozen=True)
class Asked:
    """A tensor, how many weights it has, the keys of the schemes to measure it under, and what weighs its errors."""

    at: TensorPart
    weights: int
    keys: tuple[str, ...]
    importance: Importance | None = None

    @property
    def weighing(self) -> str | None:
        """The digest of the importance; None without one."""
        return self.importance and self.importance.digest


def figures_of(one: Asked, key: str) -> Evaluation | None:
    """The metrics of a tensor under a scheme, if they are there, also from a comparison of this tensor alone."""
    found = _figures.peek((one.at, key, one.weighing)) or cached.compared(one.at, key, one.importance)
    return found and _kept(one, key, found)


def _kept(one: Asked, key: str, made: Evaluation) -> Evaluation:
    slim = replace(made, statistics=None, histograms=None, code_counts=None, block_errors=None)
    _figures.put((one.at, key, one.weighing), slim)
    return slim


def importance_named(
    file: str, path: str, entries: Collection[str], info: TensorInfo, rows: tuple[int, int] | None
) -> Importance | None:
    """What a visitor's file, kept at `path`, holds for a tensor by its name; None where it has nothing.

    Raises QuantvizError where that does not fit.
    """
    entry = entry_of(info.name, entries)
    if entry is None:
        return None
    return _importances.get((path, entry, rows), lambda: cached.importance_of(file, path, entry, info, rows))


def measure_each(asked: Sequence[Asked], job: Job) -> Refused:
    """Measures what is asked for, reported to `job`; `figures_of` has each as soon as it is made.

    Gives why there are no figures of a tensor under a scheme, where that is so: nothing remembers that.
    """
    progress, before = job.step("", "weights"), 0
    total = sum(_passes(one) for one in asked)
    refused: Refused = {}
    for number, one in enumerate(asked, 1):
        job.name = f"{one.at.tensor}, {number} of {len(asked)}"
        refused |= _measure(one, lambda done, before=before: progress(before + done, total))
        before += _passes(one)
    return refused


def _passes(one: Asked) -> int:
    """Weights that are read: once for the tensor's own statistics, once under each scheme."""
    return one.weights * (len(one.keys) + 1)


def _measure(one: Asked, told: Callable[[int], None]) -> Refused:
    try:
        known = cached.described_apart(one.at, lambda done, of: told(0), lambda done, of: told(done))
    except QuantvizError as problem:
        return {(one.at.tensor, key): Refusal(key, str(problem)) for key in one.keys}
    refused = {}
    for place, key in enumerate(one.keys, 1):
        try:
            told_here = partial(_shifted, told, place * one.weights)
            _kept(one, key, cached.compare_one(one.at, key, one.importance, *known, told_here))
        except QuantvizError as problem:
            refused[one.at.tensor, key] = Refusal(key, str(problem))
    return refused


def _shifted(told: Callable[[int], None], before: int, done: int, _: int) -> None:
    told(before + done)
