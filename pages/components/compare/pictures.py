"""A picture under every scheme that is compared."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.evaluation import Evaluation
from quantviz.figures.picture import MOST_PANELS
from quantviz.sources.picture import is_picture

from .. import say
from ..selection import Importance, View
from ..shared.charts import chart
from ..work import cached

LARGEST = 1 << 22  # pixels: what is drawn is held whole, once a scheme


def pictures_section(view: View, evaluations: Sequence[Evaluation], importance: Importance | None) -> None:
    """Drawn where the source is a picture; nothing for others."""
    if not is_picture(view.at.source.ref) or not evaluations:
        return
    st.subheader("The picture under each scheme")
    if view.weights > LARGEST:
        say.caption(
            f"Pictures of up to {LARGEST:,} pixels are drawn here; choose a range of rows, or open it in Explore."
        )
        return
    shown = [e.scheme for e in evaluations[: MOST_PANELS - 1]]
    try:
        pairs = [cached.before_and_after(view.at, scheme, importance) for scheme in shown]
    except QuantvizError as problem:
        say.error(problem)
        return
    after = [(scheme, pair[1]) for scheme, pair in zip(shown, pairs, strict=True)]
    chart(figures.picture_grid(pairs[0][0], after), "pictures")
    if len(evaluations) > len(shown):
        say.caption(f"The first {len(shown)} of {len(evaluations)} schemes.")
