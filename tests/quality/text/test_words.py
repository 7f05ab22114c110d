"""Sentences on quality: whether a model grew more fragile as it learned."""

from __future__ import annotations

from quantviz.quality.text.words import fragility_sentence
from quantviz.quality.train_demo.log import Checkpoint


def after(tokens: int, perplexity: float, **ratios: float) -> Checkpoint:
    return Checkpoint(0, tokens, 0.0, perplexity, {scheme.replace("_", "-"): ratio for scheme, ratio in ratios.items()})


def test_the_first_and_the_last_checkpoint_are_compared_scheme_by_scheme() -> None:
    made = [
        after(1_000_000, 60.0, int4_sym_b32=1.01, int2_sym_b32=3.0, nf4_b64=1.02),
        after(2_000_000, 30.0, int4_sym_b32=9.0, int2_sym_b32=1.0, nf4_b64=9.0),  # what lies between says nothing
        after(4_000_000, 20.0, int4_sym_b32=1.02, int2_sym_b32=6.0, nf4_b64=1.01),
    ]
    said = fragility_sentence(made)
    assert said.startswith("From 1 to 4 million tokens of training the demo model's own perplexity fell from 60 to 20.")
    assert "2 of 3 schemes hurt it more at the end, int2-sym-b32 most: ×3.00 became ×6.00." in said
    assert said.endswith(" Not so nf4-b64.")


def test_one_checkpoint_tells_nothing() -> None:
    assert fragility_sentence([after(1, 60.0, nf4_b64=1.0)]) is None
