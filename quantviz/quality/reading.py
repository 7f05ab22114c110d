"""A passage that a model reads, batch by batch, as the model is at the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model.loading import LanguageModel
from .model.predicting import Predictor
from .passage import Passage

if TYPE_CHECKING:
    import torch


class Reading:
    """Made within `inference`."""

    def __init__(self, opened: LanguageModel, passage: Passage) -> None:
        self.opened, self.passage, self.batches = opened, passage, passage.batches()
        self.predictor = Predictor(opened)

    def features(self, number: int) -> torch.Tensor:
        """Of a batch, from the model as it is now: what predicts its scored tokens; see `Predictor.features`."""
        batch = self.batches[number]
        return self.predictor.features(self.passage.read(batch), batch[0].scored)
