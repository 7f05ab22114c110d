"""Putting a figure on the page, with its description, and ways to save it."""

from __future__ import annotations

from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from quantviz.figures import alt_text

PICTURES = ("PNG", "SVG")
SCALE = 2  # pixels of a saved PNG per pixel on the page


def chart(fig: Figure, key: str, **more: Any) -> Any:
    """Draws `fig`; its camera button saves it in the kind of file chosen on the page."""
    kind = st.session_state.get("picture", PICTURES[0]).lower()
    picture = {"format": kind, "filename": f"quantviz-{key}", "scale": SCALE if kind == "png" else 1}
    config = {
        "toImageButtonOptions": picture,
        "displaylogo": False,
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    }
    return st.plotly_chart(fig, key=f"figure_{key}", alt=alt_text(fig), config=config, **more)


def picture_setting() -> None:
    st.segmented_control(
        "Figures save as", PICTURES, key="picture", default=PICTURES[0], required=True, persist_state="session",
        help="What the camera button over each figure writes.",
    )  # fmt: skip
