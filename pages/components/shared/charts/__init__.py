"""Putting a figure on the page, with its description, and ways to save it. The one place where figures are drawn.

A figure keeps its node in the page as long as its key is drawn, and is redrawn in place: zoom and the choice of tool
stay. Should Streamlit one day keep a keyed chart's identity, `st.plotly_chart` with `uirevision` does the same, and
`_anew` is all that is needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import streamlit as st
from plotly.graph_objects import Figure

from quantviz.figures import alt_text, to_bytes
from quantviz.text.spreadsheets import file_name

from ... import say
from ...link.address import page
from ..typeset import made_of, of_view
from .component import in_place

PICTURES = ("PNG", "SVG")
SCALE = 2  # pixels of a saved PNG per pixel on the page
_OF_SCHEME = ("explore", "outliers")  # pages whose figures are of the sidebar's tensor under its scheme
_OF_TENSOR = (*_OF_SCHEME, "compare")
_CHOSEN = "picture_chosen"  # of the session: figures do not know yet
_BLOCKED = "figures_blocked"  # of the session: "new" until the page has said so, then "known"


def chart(
    fig: Figure, key: str, keeps: object = "", on_select: Callable[[], None] | None = None, of_model: bool = False
) -> None:
    """Draws `fig`; its camera button saves it in the kind of file chosen on the page.

    key: of the page: a figure with the same key is redrawn where it stands.
    keeps: what a visitor's zoom belongs to, beside the key and the tensor; where it changes, all is shown again.
    of_model: whether it is of the model, also on a page whose other figures are of one tensor.
    on_select: called when a point is clicked, which is then in st.session_state[f"figure_{key}"]["selection"].
    """
    if st.session_state.get(_BLOCKED) == "new":
        st.session_state[_BLOCKED] = "known"
        st.rerun()  # the page says so first, wherever this is drawn
    name, picture = f"figure_{key}", _picture(key)
    if _BLOCKED in st.session_state:
        return _anew(fig, name, picture, on_select)
    told = {"alt": alt_text(fig), "picture": picture, "keeps": _kept(key, keeps), "clicks": on_select is not None,
            "paper": _paper(key, of_model)}  # fmt: skip
    in_place(to_bytes(fig, **told), name, on_select, _set_blocked)


def _picture(key: str) -> dict[str, object]:
    """How Plotly saves the figure."""
    kind = st.session_state.get("picture", PICTURES[0]).lower()
    return {"format": kind, "filename": f"quantviz-{key}", "scale": SCALE if kind == "png" else 1}


def _paper(key: str, of_model: bool) -> dict[str, str]:
    """How a figure for a paper is called, and what stands under it: of what it is, as far as all of it is of one."""
    view, on = st.session_state.get("_view"), page()
    told: dict[str, object] = {}
    if view and view.at and (of_model or on == "whole_model"):
        told = {"ref": view.at.source.ref}
    elif view and view.at and on in _OF_TENSOR:
        told = of_view(view) | ({"scheme": view.scheme.key} if on in _OF_SCHEME else {})
    name = file_name("quantviz", key, *(told[part] for part in ("tensor", "scheme") if part in told))
    return {"name": name, "caption": made_of(told)}


def _kept(*parts: object) -> str:
    """A short text that is another where the tensor is, or one of the parts."""
    view = st.session_state.get("_view")
    of = (view.at.source.ref, view.at.tensor, view.at.rows) if view and view.at else ()
    return blake2b(repr((of, parts)).encode(), digest_size=6).hexdigest()


def _set_blocked() -> None:
    st.session_state.setdefault(_BLOCKED, "new")


def _anew(fig: Figure, name: str, picture: dict[str, object], on_select: Callable[[], None] | None) -> None:
    """Streamlit's own chart, drawn anew at each change: it needs no script of ours."""
    config = {
        "toImageButtonOptions": picture,
        "displaylogo": False,
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    }
    more = {"on_select": on_select, "selection_mode": "points"} if on_select else {}
    st.plotly_chart(fig, key=name, alt=alt_text(fig), config=config, **more)


def blocked_notice() -> None:
    """Says that the browser did not run the script that draws figures, where that is so.

    Where it ran nothing at all it cannot report that. Streamlit then shows its own error in place of each figure, and
    the page's style shows this button.
    """
    if _BLOCKED not in st.session_state:
        st.button("This browser blocks the script that draws figures: draw them without it", key="draw_anew",
                  on_click=_set_blocked)  # fmt: skip
    else:
        st.session_state[_BLOCKED] = "known"
        say.notice(
            "This browser, or something between it and quantviz, blocks the script that redraws figures in place. "
            "They are drawn anew at each change instead: slower, and without keeping a zoom."
        )


def picture_setting() -> None:
    st.segmented_control(
        "Figures save as", PICTURES, key="picture", default=PICTURES[0], required=True, persist_state="session",
        on_change=_tell_every_figure, help="What the camera button of each figure writes.",
    )  # fmt: skip
    if st.session_state.pop(_CHOSEN, False):
        st.rerun()  # this may be a fragment, and figures stand outside it


def _tell_every_figure() -> None:
    st.session_state[_CHOSEN] = True
