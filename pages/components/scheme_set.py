"""The set of schemes that Compare compares: chosen, typed, or a preset; the address holds it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.presets import AS_SERVED, FOUR_BITS, PRESETS, SERVED, preset
from quantviz.schemes import Scheme, catalogue

from . import say
from .state import View

MOST = 256  # schemes at a time


def scheme_set(view: View, first: Sequence[str] = ()) -> tuple[Scheme, ...]:
    """Draws the controls. Gives the schemes chosen, each once, and the pinned one; none if none was chosen.

    first: keys of the set to begin with; the 4-bit formats if none are given.
    """
    shape = view.rows, view.info.cols
    schemes = _asked(first or preset(FOUR_BITS, shape))
    keys = [scheme.key for scheme in schemes]
    st.session_state["schemes"] = keys
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, meaning in PRESETS.items():
            st.button(name, key=f"preset_{name}", help=meaning, on_click=_choose, args=(list(preset(name, shape)),))
        if view.scheme.key not in keys:
            st.button(
                f"Add {say.name(view.scheme)}", icon=":material/add:", on_click=_choose,
                args=([*keys, view.scheme.key],), help="The scheme of the sidebar joins the comparison.",
            )  # fmt: skip
    st.multiselect(
        f"Schemes ({len(keys)})", list(dict.fromkeys([*catalogue(), *keys])), key="schemes", bind="query-params",
        accept_new_options=True, placeholder="Choose schemes, or type a key such as int4-asym-b48:clip=mse",
        help="Any scheme key may be typed, several with spaces between them. The pinned scheme is always compared.",
    )  # fmt: skip
    return tuple(dict.fromkeys([view.pinned, *schemes] if view.pinned and schemes else schemes))


def served_table() -> None:
    """Where the preset "as served" comes from."""
    with st.expander(f"Where “{AS_SERVED}” comes from"):
        st.dataframe(
            {
                "runtime": [s.runtime for s in SERVED],
                "what it calls it": [s.name for s in SERVED],
                "scheme": [s.scheme for s in SERVED],
                "where its arithmetic differs": [s.note or "nowhere" for s in SERVED],
                "source": [s.source for s in SERVED],
            },
            hide_index=True, height="content",
            column_config={
                "where its arithmetic differs": st.column_config.TextColumn(width="large"),
                "source": st.column_config.LinkColumn(width="medium"),
            },
        )  # fmt: skip


def _choose(keys: list[str]) -> None:
    st.session_state["schemes"] = keys


def _asked(first: Sequence[str]) -> tuple[Scheme, ...]:
    """What the visitor chose, or the link asks for, or the first view."""
    state = st.session_state
    if "schemes" in state:
        texts = state["schemes"]
    else:
        texts = st.query_params.get_all("schemes") or first
    found: dict[Scheme, None] = {}
    for key in (key for text in texts for key in text.replace(";", " ").split()):
        try:
            found[Scheme.parse(key)] = None
        except QuantvizError as problem:
            say.notice(f"{problem} It is left out of the comparison.")
    if len(found) > MOST:
        st.warning(f"{len(found):,} schemes were asked for; the first {MOST} are compared.", icon=":material/info:")
    return tuple(found)[:MOST]
