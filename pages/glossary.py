"""Glossary: every term in a sentence or two, from the declarations that the app computes by."""

from __future__ import annotations

import streamlit as st

from pages.components import say
from pages.components.link import choices
from pages.components.shell.frame import require_app
from quantviz.lessons.glossary import GROUPS, found

LONGEST = 60  # characters to look for

require_app()
st.title("Glossary", anchor=False)
wanted = choices.text(
    "Find a term", "term", placeholder="SQNR, zero point, q4_k …", max_chars=LONGEST,
    help="In names and explanations; the link of a term holds its own name.",
)  # fmt: skip
terms = found(wanted)
if not terms:
    say.info(f"No term has {wanted!r} in it. An empty field shows all.")
for group in GROUPS:
    shown = [term for term in terms if term.group == group]
    if shown:
        say.subheader(group)
        st.markdown(
            "\n".join(
                f"- [**{say.plain(term.name)}**](glossary?term={say.name(term.key)}): {say.plain(term.text)}"
                + (f" `{term.formula}`" if term.formula else "")
                for term in shown
            )
        )
