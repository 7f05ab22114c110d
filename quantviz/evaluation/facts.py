"""Facts about a tensor before any scheme, as rows of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..statistics import TensorStatistics
from ..tensors import rows_and_cols
from ..text.wording import count, number, share


@dataclass(frozen=True)
class Fact:
    """One figure about a tensor. meaning: its formula, unit and how to read it, in Markdown."""

    label: str
    text: str
    meaning: str


def statistics_facts(s: TensorStatistics) -> list[Fact]:
    """The tensor's own figures, in the order in which they are read."""

    return [
        Fact("Weights", count(s.count), "How many weights are looked at."),
        Fact("Mean", number(s.mean), "`Σx / n`, in the weights' own unit."),
        Fact("Standard deviation σ", number(s.std), "`√(Σ(x - mean)² / n)`, in the weights' own unit."),
        Fact("Zeros", share(s.zeros / s.count), "Share of the weights that are exactly zero."),
        Fact("Range", f"{number(s.min)} to {number(s.max)}", "Smallest and largest weight."),
        Fact("Crest factor", number(s.crest_factor), "`max |x| / σ`, in σ: how far out the largest weight lies. "
             "A normal layer of 16.8 million weights has about 5.4; each doubling costs a symmetric scheme one bit."),
        Fact("Excess kurtosis", number(s.excess_kurtosis), "`E[(x - mean)⁴] / σ⁴ - 3`, a plain number: 0 for a normal "
             "distribution, 3 for Laplace; the more, the heavier the tails."),
        Fact("Incoherence", number(s.incoherence), "`max |x| · √(mn) / ‖W‖`, a plain number: 1 when all magnitudes are "
             "equal, `√(mn)` when one weight holds everything (QuIP)."),
    ]  # fmt: skip


def largest_weights_table(s: TensorStatistics) -> dict[str, Any]:
    """Columns of the table of largest weights: position, value, value in σ; row and column are those of its matrix."""
    _, cols = rows_and_cols(s.shape, s.input_axes)
    return {
        "row": s.largest_index // cols,
        "column": s.largest_index % cols,
        "weight": s.largest_value,
        "in σ": s.largest_value / (s.std or math.nan),
        "share of Σx²": [share(v) for v in np.square(s.largest_value, dtype=np.float64) / (s.sum_squares or math.nan)],
    }
