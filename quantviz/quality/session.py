"""A model open for measuring, its layers, and the schemes that are put on them one after the other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..schemes import Scheme
from .calibrator import Calibrator
from .data import Calibrating
from .model.layers import ALL, DEFAULT_TARGETS, Layer, Mixture, distinct_mixtures, find_layers, select
from .model.loading import LanguageModel, OpenOptions, open_language_model
from .model.parts import Progress
from .model.replacing import Change, Originals, Replacer
from .text.texts import decode, demo_text


class Options(OpenOptions, total=False):
    """How the model is opened, and: importance, tensor name -> E[x²] of its input channels; progress, called as
    progress(what, done, total), which stops the work where it raises.
    """

    importance: Mapping[str, np.ndarray] | None
    progress: Progress | None


@dataclass(frozen=True, eq=False)
class Session:
    """targets: what a plain scheme is applied to.  mixtures: what is to be measured."""

    opened: LanguageModel
    layers: tuple[Layer, ...]
    targets: tuple[str, ...]
    mixtures: tuple[Mixture, ...]
    replacer: Replacer
    calibrator: Calibrator
    progress: Progress | None

    def told(self, what: str) -> Callable[[int, int], None] | None:
        return self.progress and (lambda done, total: self.progress(what, done, total))

    def refusal(self, mixture: Mixture) -> Refusal | None:
        """Why a scheme cannot apply to the shape of some layer, or be calibrated in memory; None where it can.

        Raises QuantvizError where it needs a calibration text, and nothing of that is left beside what is scored.
        """
        try:
            assigned = mixture.assign(self.layers, self.targets)
        except QuantvizError as problem:
            return Refusal(mixture.key, str(problem))
        if not self.uses(assigned):
            return None
        self.calibrator.passage  # noqa: B018 - is there, or is refused
        try:
            with inference():
                self.calibrator.check_room(assigned)
        except QuantvizError as problem:
            return Refusal(mixture.key, str(problem))
        return None

    def apply(self, mixture: Mixture) -> dict[Layer, Change] | Refusal:
        """Puts a scheme on its layers, all others as stored; a Refusal where it cannot apply to one of them."""
        try:
            assigned = mixture.assign(self.layers, self.targets)
            with inference():
                if "imatrix" in self.uses(assigned) and not self.calibrator.imatrix:
                    self.replacer.restore()
                    self.calibrator.collect_imatrix(self.told)
                if any(scheme.uses_data for scheme in assigned.values()):
                    return self._in_turn(mixture, assigned)
                return self.replacer.apply(assigned, self.told(f"{mixture}: quantizing"))
        except QuantvizError as problem:
            return Refusal(mixture.key, str(problem))

    def uses(self, assigned: Mapping[Layer, Scheme]) -> tuple[str, ...]:
        """What of the inputs is used, each once: gptq, awq, smooth; imatrix unless importance is given."""
        found = dict.fromkeys(map(self.calibrator.calibrating.uses, assigned.values()))
        return tuple(what for what in found if what and not (what == "imatrix" and self.replacer.importance))

    def _in_turn(self, mixture: Mixture, assigned: Mapping[Layer, Scheme]) -> dict[Layer, Change]:
        """Layer by layer, each calibrated before."""
        self.replacer.restore()
        changes, done, whole = {}, 0, sum(layer.weights for layer in assigned)
        for fed in self.calibrator.in_turn(assigned, lambda what: self.told(f"{mixture}: {what}")):
            layer = fed.layer
            told = self.told(f"{mixture}: quantizing {layer.path}") or (lambda done, total: None)
            made = self.replacer.put(
                layer, assigned[layer], fed.calibration, lambda n, _, told=told, before=done: told(before + n, whole)
            )
            changes[layer] = replace(made, notices=(*made.notices, *([fed.remark] if fed.remark else [])))
            done += layer.weights
            told(done, whole)
        return {layer: changes[layer] for layer in assigned}


@contextlib.contextmanager
def open_session(
    ref: str | LanguageModel,
    schemes: Iterable[str | Scheme | Mixture] | None,
    targets: Sequence[str] = DEFAULT_TARGETS,
    importance: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
    calibrating: Calibrating | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    **where: Any,
) -> Iterator[Session]:
    """The model of `ref`, checked against what is to be done with it before anything is computed.

    schemes: None for none.  calibrating: for schemes that use data; as usual where there is none.
    where: device, dtype, token and root, as `open_language_model` has them.
    When the context ends the model has its own weights again, or is gone. Raises QuantvizError for a wrong scheme,
    and for a target or pattern that matches no layer.
    """
    mixtures = () if schemes is None else distinct_mixtures(schemes)
    with open_language_model(ref, progress=progress, cache_dir=cache_dir, **where) as opened:
        layers = find_layers(opened.model)
        select(layers, targets)
        for mixture in mixtures:
            for pattern, _ in mixture.rules:
                select(layers, targets if pattern == ALL else (pattern,))
        calibrator = Calibrator(opened, layers, calibrating or Calibrating())
        replacer = Replacer(Originals(opened, cache_dir), importance or {}, calibrator.importance)
        # A model that was opened here goes now; one that was given gets its own weights back.
        with replacer if opened is ref else contextlib.nullcontext():
            yield Session(opened, layers, tuple(targets), mixtures, replacer, calibrator, progress)


@contextlib.contextmanager
def inference() -> Iterator[None]:
    """No gradients. Never held open across a yield to a caller: the mode belongs to the thread, not to its code."""
    import torch

    with torch.inference_mode():
        yield


def text_of(text: str | bytes | None) -> str:
    """The text given, decoded where it is the content of a file; the demo's test book where none is."""
    if text is None:
        return demo_text()
    return decode(text) if isinstance(text, bytes) else text
