"""What decides the article's claims about language models, on the demo model: measured small enough to wait for it."""

from __future__ import annotations

from collections.abc import Iterator

from ..evaluation.comparison import Refusal
from ..quality.measure import measure_quality
from ..quality.model.parts import Progress
from ..quality.results import QualityResult, SuperWeights
from ..quality.super_weights import super_weights
from ..quality.verdicts import HANDFUL

REF = "demo"
TOKENS = (512, 1024, 2048, 4096, 8192)  # of the demo's own text that a reader may choose from
# Claims 5, 6 and 7: blocks as models are shipped in, and one scale for all, where 2 bits leave least.
SCHEMES = (
    "int8-sym-b32", "int8-asym-b32", "int4-sym-b32", "int4-asym-b32", "int2-sym-b32", "int2-asym-b32",
    "int2-asym-tensor",
)  # fmt: skip
COUNTS = (1, 4, HANDFUL)  # claim 9: weights that are set to zero


def under_schemes(tokens: int, progress: Progress | None = None) -> Iterator[QualityResult | Refusal]:
    """What each of SCHEMES does to the model's predictions, over so many tokens, as `measure_quality` gives it."""
    return measure_quality(REF, SCHEMES, tokens=tokens, progress=progress)


def without_largest(tokens: int, progress: Progress | None = None) -> Iterator[SuperWeights]:
    """What the model loses without its 1, 4 and 16 largest weights, and without as many random ones."""
    return super_weights(REF, COUNTS, tokens=tokens, progress=progress)
