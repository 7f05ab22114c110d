"""A tensor that is a picture: as it was, and as its codes give it back."""

from __future__ import annotations

import streamlit as st

from quantviz import QuantvizError, figures
from quantviz.evaluation import Evaluation
from quantviz.sources.picture import is_picture

from .. import say
from ..selection import Importance, View
from ..shared.charts import chart
from ..work import cached


def picture_section(view: View, evaluation: Evaluation, importance: Importance | None) -> None:
    """Drawn where the source is a picture; nothing for others."""
    if not is_picture(view.at.source.ref):
        return
    st.subheader("The picture before and after", help="Black is −0.5 and white 0.5, so that pixels lie around 0.")
    try:
        before, after = cached.before_and_after(view.at, evaluation.scheme, importance)
    except QuantvizError as problem:
        say.error(problem)
        return
    chart(figures.picture_pair(before, after, evaluation.scheme), "picture_pair")
