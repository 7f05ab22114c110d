"""The schemes that Quality measures: chosen, typed, a preset, or tables of patterns; the address holds them."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.presets import AS_SERVED, EIGHT_BITS, FOUR_BITS, PRESETS, preset
from quantviz.quality.layers import Mixture
from quantviz.quality.measure import DEFAULT_SCHEMES
from quantviz.schemes import catalogue

from . import say
from .state import View

KEY = "measured"
MOST = 64  # schemes at a time
FIRST = "8, 4 and 2 bits"
SETS = {
    FIRST: ("Integers of 8, 4 and 2 bits, sym and asym, in blocks of 32 and with one scale a tensor.", DEFAULT_SCHEMES),
    **{name: (PRESETS[name], preset(name, (4096, 4096))) for name in (FOUR_BITS, EIGHT_BITS, AS_SERVED)},
}


def quality_schemes(view: View) -> tuple[str, ...]:
    """Draws the controls. Gives canonical keys and tables, each once; none if none was chosen."""
    schemes = _asked()
    st.session_state[KEY] = schemes
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, (meaning, keys) in SETS.items():
            st.button(name, key=f"quality_set_{name}", help=meaning, on_click=_choose, args=(list(keys),))
        if view.scheme.key not in schemes:
            st.button(
                f"Add {say.name(view.scheme)}", icon=":material/add:", on_click=_choose,
                args=([*schemes, view.scheme.key],), help="The scheme of the sidebar is measured too.",
            )  # fmt: skip
    st.multiselect(
        f"Schemes ({len(schemes)})", list(dict.fromkeys([*catalogue(), *schemes])), key=KEY, bind="query-params",
        accept_new_options=True, placeholder="Choose schemes, or type a key such as int4-asym-b48:clip=mse",
        help="Any scheme key may be typed, several with spaces between them, and tables such as "
        "`down_proj=int8-sym-b32;*=int4-asym-b32`.",
    )  # fmt: skip
    return tuple(schemes)


def _choose(keys: list[str]) -> None:
    st.session_state[KEY] = keys


def _asked() -> list[str]:
    """What the visitor chose, or the link asks for, or the first view."""
    state = st.session_state
    texts = state[KEY] if KEY in state else st.query_params.get_all(KEY) or DEFAULT_SCHEMES
    found: dict[str, None] = {}
    for text in texts:
        # Rules of a table may have spaces after their semicolons; keys beside one another have them too.
        for part in text.replace("; ", ";").split():
            try:
                found[str(Mixture.parse(part))] = None
            except QuantvizError as problem:
                say.notice(f"{problem} It is left out.")
    if len(found) > MOST:
        st.warning(f"{len(found):,} schemes were asked for; the first {MOST} are measured.", icon=":material/info:")
    return list(found)[:MOST]
