"""What a sweep says of the whole model: the totals of each scheme, and the tensors that suffer most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def totals(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a scheme, in the order of the frame, over the tensors that could be measured under it.

    Columns: scheme; tensors, refused: how many; weights; bits: of all that is stored; bits_per_weight; squared and
    squared_error: sums of squares of the weights and of their errors; relative_l2_error, sqnr_db: from these;
    weighted_mse: NaN where no tensor has importance.
    """
    import pandas as pd

    lines = []
    for scheme, rows in frame.groupby("scheme", sort=False):
        found = rows[rows.refused == ""]
        weights, bits = int(found.weights.sum()), float(found.bits.sum())
        squared, error = float(found.squared.sum()), float(found.squared_error.sum())
        importance = float(found.importance.sum())
        weighted = float(found.weighted_squared_error.sum())
        lines.append(
            {
                "scheme": scheme, "tensors": len(found), "refused": len(rows) - len(found), "weights": weights,
                "bits": bits, "bits_per_weight": bits / weights if weights else math.nan, "squared": squared,
                "squared_error": error, "relative_l2_error": math.sqrt(error / squared) if squared else math.nan,
                "sqnr_db": _decibels(squared, error),
                "weighted_mse": weighted / importance if importance else math.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(lines)


def worst(frame: pd.DataFrame, most: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """(scheme, its tensors of largest relative L2 error, largest first, `most` of them)"""
    for scheme, rows in frame[frame.refused == ""].groupby("scheme", sort=False):
        yield scheme, rows.sort_values("relative_l2_error", ascending=False, kind="stable").head(most)


def _decibels(signal: float, noise: float) -> float:
    if not signal:
        return math.nan
    return 10 * math.log10(signal / noise) if noise else math.inf
