"""A few numbers rounded to integers, each with its code and the arithmetic; and the errors that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import QuantvizError
from ..evaluation import describe, evaluate
from ..inspection import inspect_block
from ..inspection.worked import arithmetic, code_text, code_values
from ..metrics import METRICS
from ..schemes import Scheme

SIX = (-0.89, 0.16, 0.08, -0.13, 0.16, -0.54)  # of the article, claim 3
MOST = 64
# Four honest answers to "what is the average error?", on the same numbers.
DEFINITIONS = ("mean_relative_error", "relative_l1_error", "relative_l2_error", "sqnr_db")


@dataclass(frozen=True)
class Rounded:
    """Numbers under a scheme with one scale.

    codes: as text.  made: what the codes stand for.  sums: the arithmetic of each, in words.
    levels: every value that some code stands for, rising.  metrics: by name.  zero_point: None where there is none.
    """

    scheme: str
    numbers: tuple[float, ...]
    codes: tuple[str, ...]
    made: tuple[float, ...]
    sums: tuple[str, ...]
    levels: tuple[float, ...]
    scale: float | None
    zero_point: int | None
    metrics: dict[str, float]


def rounded(numbers: Sequence[float], key: str) -> Rounded:
    """The numbers, at most MOST of them, as one row under a scheme. Raises QuantvizError where it does not apply."""
    if not 0 < len(numbers) <= MOST:
        raise QuantvizError(f"{len(numbers)} numbers are given; this takes 1 to {MOST}.")
    row = np.asarray(numbers, np.float32)[None]
    scheme = Scheme.parse(key)
    statistics = describe(row)
    found = evaluate(row, scheme, detail="metrics", statistics=statistics)
    block = inspect_block(row, scheme, 0, 0, statistics)
    levels = code_values(scheme)[1]
    if block.scale is not None:
        levels = block.scale * (levels - (block.zero_point or 0)) + (block.minimum or 0.0)
    return Rounded(
        scheme.key, tuple(row[0].tolist()), tuple(code_text(scheme, code) for code in block.codes[0].tolist()),
        tuple(block.dequantized[0].tolist()), tuple(arithmetic(block)), tuple(np.unique(levels).tolist()),
        block.scale, block.zero_point, found.metrics,
    )  # fmt: skip


def averages(results: Sequence[Rounded]) -> dict[str, list]:
    """The four definitions side by side, as columns: definition, formula, and a value for each result."""
    columns: dict[str, list] = {
        "average error": [METRICS[name].label for name in DEFINITIONS],
        "formula": [METRICS[name].formula for name in DEFINITIONS],
    }
    for r in results:
        columns[r.scheme] = [r.metrics[name] for name in DEFINITIONS]
    return columns
