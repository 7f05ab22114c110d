"""The element of the page that holds a figure: its script, and where a browser gets that and Plotly from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import plotly
import streamlit as st
from streamlit.components.v1 import declare_component

_HERE = Path(__file__).parent / "browser"
_PLOTLY = Path(plotly.__file__).parent / "package_data"


@st.cache_resource(show_spinner=False)
def _renderer() -> Callable:
    """The element. Its script travels with every figure, so it is short, and loads the rest once a page.

    The app itself serves the rest, and Plotly, as Streamlit serves the files of a component.
    """
    ours, plotlys = declare_component("figure", str(_HERE)), declare_component("plotly", str(_PLOTLY))
    address = f"component/{ours.name}/figure.js?../{plotlys.name}/plotly.min.js?{plotly.__version__}"
    script = (_HERE / "loader.js").read_text("utf-8").replace("{ours}", address)
    return st.components.v2.component("figure", js=script, isolate_styles=False)


def in_place(sent: bytes, name: str, on_select: Callable[[], None] | None, on_blocked: Callable[[], None]) -> None:
    """sent: by quantviz.figures.to_bytes.  on_blocked: called where the browser could not run the script."""
    calls = {"on_selection_change": on_select} if on_select else {}
    _renderer()(key=name, data=sent, on_blocked_change=on_blocked, **calls)
