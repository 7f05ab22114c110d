"""How the demo model was hurt by rounding early and late in its training, from the log that lies beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ...errors import QuantvizError
from ...sources.demo import FOLDER


@dataclass(frozen=True)
class Checkpoint:
    """The model after some steps. tokens: seen so far.  perplexity: on the held-out book, as it is.

    ratios: scheme -> perplexity with every linear layer quantized, over that.
    """

    step: int
    tokens: int
    epochs: float
    perplexity: float
    ratios: dict[str, float]


def demo_checkpoints() -> tuple[Checkpoint, ...]:
    """The checkpoints at which rounding was tried, first to last.

    >>> [c.step for c in demo_checkpoints()]
    [400, 1000, 1600]
    """
    try:
        log = json.loads((FOLDER / "training.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise QuantvizError("The demo model's training log is missing or damaged; install quantviz again.") from None
    return tuple(
        Checkpoint(entry["step"], entry["tokens"], entry["epochs"], entry["test_perplexity"], dict(ratios))
        for entry in log["curve"]
        if (ratios := entry.get("perplexity_ratios"))
    )
