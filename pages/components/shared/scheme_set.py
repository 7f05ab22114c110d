"""A set of schemes: chosen, typed, or a preset; the address holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.schemes import Scheme, catalogue
from quantviz.schemes.presets import AS_SERVED, FOUR_BITS, PRESETS, SERVED, preset

from .. import say
from ..link import choices
from ..link.address import put
from ..selection import View

MOST = 256  # schemes at a time
_HELP = "Any scheme key may be typed, several with spaces between them. The pinned scheme is always compared."


def scheme_set(view: View, first: Sequence[str] = (), key: str = "schemes") -> tuple[Scheme, ...]:
    """Draws the controls. Gives the schemes chosen, each once, and the pinned one; none if none was chosen.

    first: keys of the set to begin with; the 4-bit formats if none are given. key: of what is chosen.
    """
    shape = view.rows, view.info.cols
    sets = {name: (meaning, preset(name, shape)) for name, meaning in PRESETS.items()}
    keys = scheme_chooser(view, key, sets, first or preset(FOUR_BITS, shape), split_keys, MOST, _HELP)
    schemes = [Scheme.parse(key) for key in keys]
    return tuple(dict.fromkeys([view.pinned, *schemes] if view.pinned and schemes else schemes))


def scheme_chooser(
    view: View,
    key: str,
    sets: dict[str, tuple[str, Sequence[str]]],
    first: Sequence[str],
    parts: Callable[[str], list[str]],
    most: int,
    help: str,
    parse: Callable[[str], object] = Scheme.parse,
    beside: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[str]:
    """Draws the presets, each with its meaning, and the list. Gives canonical keys, each once.

    parts: splits what was typed into schemes. parse: reads one of them; its text is the canonical key.
    beside: name of a preset -> other choices that it makes.
    """

    def check(texts: list[str]) -> tuple[list[str], list[str]]:
        found, problems = {}, []
        for part in (part for text in texts for part in parts(text)):
            try:
                found[str(parse(part))] = None
            except QuantvizError as problem:
                problems.append(f"{problem} It is left out.")
        return list(found), problems

    above = st.container(horizontal=True, vertical_alignment="bottom")
    keys = choices.some_of(
        st.multiselect, lambda chosen: f"Schemes ({len(chosen)})", key, catalogue(), first, check=check, help=help,
        most=most, placeholder="Choose schemes, or type a key such as int4-asym-b48:clip=mse",
    )  # fmt: skip
    with above:
        for name, (meaning, members) in sets.items():
            st.button(
                say.name(name), key=f"{key}_set_{name}", help=say.plain(meaning), on_click=_choose,
                args=(key, members, beside.get(name, {})),
            )  # fmt: skip
        if view.scheme.key not in keys:
            st.button(
                f"Add {say.name(view.scheme)}", icon=":material/add:", on_click=_choose,
                args=(key, [*keys, view.scheme.key]), help="The scheme of the sidebar joins the others.",
            )  # fmt: skip
    return keys


def _choose(key: str, schemes: Sequence[str], beside: Mapping[str, str] = MappingProxyType({})) -> None:
    put(**{key: schemes, **beside})


def split_keys(text: str) -> list[str]:
    """What was typed, as keys: with spaces or semicolons between them."""
    return text.replace(";", " ").split()


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
