"""What a model as it is stored predicts for a passage, kept, and what it then predicts held against that."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import QuantvizError
from ..machine.memory import available
from ..text.wording import size
from .model.layers import Layer
from .model.loading import LanguageModel
from .model.predicting import KEPT
from .model.replacing import Originals, fill
from .passage import Passage
from .reading import Reading
from .results import Figures
from .scoring import compare_predictions

if TYPE_CHECKING:
    import torch


class Baseline(Reading):
    """The predictions of the stored model: its logits if they are few, else the features that its head takes.

    Made, within `inference`, while the model has its own weights. Raises QuantvizError for a text whose predictions
    would not fit in memory, before they fill it.
    """

    def __init__(self, opened: LanguageModel, passage: Passage, told: Callable[[int, int], None] | None = None) -> None:
        super().__init__(opened, passage)
        self.keeps_logits = 4 * passage.scored * self.predictor.vocabulary <= KEPT
        self._kept: list[torch.Tensor] = []  # a batch each
        done = 0
        for number, batch in enumerate(self.batches):
            features = self.features(number)
            if not self._kept and not self.keeps_logits:
                self._check_room(features)
            self._kept.append(self.predictor.logits(features) if self.keeps_logits else features)
            done += len(batch)
            if told:
                told(done, len(passage.windows))

    def _check_room(self, features: torch.Tensor) -> None:
        needed = features[0].nbytes * self.passage.scored
        free = available(self.opened.device)
        if free is not None and needed > free:
            raise QuantvizError(
                f"To keep what {self.opened.name} predicts for {self.passage.scored:,} tokens takes {size(needed)} of "
                f"memory, and {size(free)} are free; measure fewer tokens."
            )

    def compare(self, number: int, features: torch.Tensor, head: StoredHead | None = None) -> Iterator[np.ndarray]:
        """Rows as `compare_predictions` gives them for a batch, some places at a time.

        features: of the model as it is now.  head: as `head_as_stored` gives it.
        """
        kept = self._kept[number]
        targets = self.passage.targets(self.batches[number]).to(self.opened.device)
        for part in self.predictor.chunks(len(targets)):
            if self.keeps_logits:
                base = kept[part]
            else:
                with head or contextlib.nullcontext():
                    base = self.predictor.logits(kept[part])
            yield compare_predictions(base, self.predictor.logits(features[part]), targets[part])

    def check(self, figures: Figures) -> None:
        """Raises QuantvizError where the stored model's own predictions are no finite numbers."""
        if not math.isfinite(figures.base_perplexity):
            raise QuantvizError(
                f"{self.opened.name} as it is stored gives logits that are no finite numbers in {self.opened.dtype}, "
                "so there is nothing to compare with; choose another dtype or model."
            )

    def head_as_stored(self, changed: Iterable[Layer], originals: Originals) -> StoredHead | None:
        """The stored output head beside the quantized one, where kept features still have to go through it."""
        head = next((layer for layer in changed if "head" in layer.kinds), None)
        if head is None or self.keeps_logits or not self.predictor.halves:
            return None
        return StoredHead(head, originals)


class StoredHead:
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
