"""Every setting of the demo model and of its training, as one frozen value that the training log repeats."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TrainingRecipe:
    """What is trained, and how. Two runs with equal recipes on one kind of machine give equal weights.

    The learning rate rises over `warmup` steps, stays, and falls linearly to zero over the last `cooldown` of all
    steps. Up to that fall a run does not depend on its length, so a running training may still be made longer.
    """

    # The model: Llama's architecture. Rows of 256 and 768 weights, which GGUF's blocks of 256 divide.
    vocabulary: int = 2048
    hidden: int = 256
    intermediate: int = 768
    layers: int = 4
    heads: int = 4
    context: int = 512  # tokens in a training sequence, and in a window of the test

    # The training.
    held_out: str = "John"  # as long as a test needs, and unlike the other gospels it repeats hardly a sentence
    seed: int = 0
    threads: int = 2  # sums of floats depend on how they are split
    steps: int = 1600
    batch: int = 8  # sequences a step
    matrix_rate: float = 5e-3  # Muon, scaled so that an update's RMS is AdamW's
    other_rate: float = 3e-3  # AdamW: embeddings and norms
    weight_decay: float = 0.2  # of the matrices
    warmup: int = 60
    cooldown: float = 0.5
    dropout: float = 0.1  # on what attention and MLP add to the residual stream, in training only
    clip: float = 1.0  # largest norm of the gradient

    @property
    def tokens_per_step(self) -> int:
        return self.batch * self.context

    def rate(self, step: int) -> float:
        """The factor on both learning rates at `step`, counted from 0."""
        left = (self.steps - step) / (self.steps * self.cooldown)
        return min(1.0, (step + 1) / self.warmup, left)

    def continues(self, begun: TrainingRecipe, step: int) -> bool:
        """Whether a run of `begun`, stopped after `step` steps, has done what this recipe would have."""
        same = replace(begun, steps=self.steps) == self
        return same and all(begun.rate(done) == self.rate(done) for done in range(step))
