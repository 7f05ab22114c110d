"""How histograms of weights are drawn: the same choice on every page that has them."""

from __future__ import annotations

from typing import Any

from ..link import choices

COUNTS = "log", "linear"
NEAR, ALL = RANGES = "±6σ", "all"


def axis_controls(counts: Any, span: Any) -> tuple[str, bool]:
    """Draws the two controls in two places; gives the axis of the counts, and whether all weights are to be seen."""
    axis = choices.one_of(counts.segmented_control, "Counts", "axis", COUNTS, COUNTS[0], width="stretch")
    reach = choices.one_of(span.segmented_control, "Range", "range", RANGES, NEAR, width="stretch")
    return axis, reach == ALL
