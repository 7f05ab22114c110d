"""Schemes that cannot be applied, in one notice however many they are."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from quantviz.evaluation.comparison import Refusal

from .. import say


def left_out(refused: Iterable[Refusal]) -> None:
    """Draws the notice with the reasons; nothing where no scheme is left out."""
    refused = list(refused)
    if len(refused) == 1:
        say.warning(f"{refused[0].scheme} is left out. {refused[0].reason}")
    elif refused:
        say.warning(f"{len(refused)} schemes are left out: {', '.join(r.scheme for r in refused)}.")
        with st.expander("Why they are left out"):
            say.points(r.reason if r.scheme in r.reason else f"{r.scheme}: {r.reason}" for r in refused)
