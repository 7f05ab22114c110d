"""A model open for measuring, its layers, and the schemes that are put on them one after the other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..evaluation.comparison import Refusal
from ..schemes import Scheme
from .model.layers import ALL, DEFAULT_TARGETS, Layer, Mixture, distinct_mixtures, find_layers, select
from .model.loading import LanguageModel, open_language_model
from .model.parts import Progress
from .model.replacing import Change, Originals, Replacer
from .text.texts import decode, demo_text


@dataclass(frozen=True, eq=False)
class Session:
    """targets: what a plain scheme is applied to.  mixtures: what is to be measured."""

    opened: LanguageModel
    layers: tuple[Layer, ...]
    targets: tuple[str, ...]
    mixtures: tuple[Mixture, ...]
    replacer: Replacer
    progress: Progress | None

    def told(self, what: str) -> Callable[[int, int], None] | None:
        return self.progress and (lambda done, total: self.progress(what, done, total))

    def refusal(self, mixture: Mixture) -> Refusal | None:
        """Why a scheme cannot apply to the shape of some layer; None where it can."""
        try:
            mixture.assign(self.layers, self.targets)
        except QuantvizError as problem:
            return Refusal(mixture.key, str(problem))
        return None

    def apply(self, mixture: Mixture) -> dict[Layer, Change] | Refusal:
        """Puts a scheme on its layers, all others as stored; a Refusal where it cannot apply to one of them."""
        try:
            assigned = mixture.assign(self.layers, self.targets)
            with inference():
                return self.replacer.apply(assigned, self.told(f"{mixture}: quantizing"))
        except QuantvizError as problem:
            return Refusal(mixture.key, str(problem))


@contextlib.contextmanager
def open_session(
    ref: str | LanguageModel,
    schemes: Iterable[str | Scheme | Mixture] | None,
    targets: Sequence[str] = DEFAULT_TARGETS,
    importance: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    **where: Any,
) -> Iterator[Session]:
    """The model of `ref`, checked against what is to be done with it before anything is computed.

    schemes: None for none.  where: device, dtype, token and root, as `open_language_model` has them.
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
        replacer = Replacer(Originals(opened, cache_dir), importance or {})
        # A model that was opened here goes now; one that was given gets its own weights back.
        with replacer if opened is ref else contextlib.nullcontext():
            yield Session(opened, layers, tuple(targets), mixtures, replacer, progress)


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
