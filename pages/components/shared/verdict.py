"""A claim of the article with what measurements say about it."""

from __future__ import annotations

import streamlit as st

from quantviz.quality.results import Verdict

from .. import say

_BADGES = {
    "holds": (":material/check_circle:", "green"),
    "does not hold": (":material/cancel:", "red"),
    "holds in part": (":material/contrast:", "orange"),
    "holds where it can be told": (":material/check_circle:", "green"),
    "does not hold where it can be told": (":material/cancel:", "red"),
    "cannot tell": (":material/help:", "gray"),
}


def card(verdict: Verdict) -> None:
    """Finding, statement, summary and evidence."""
    icon, color = _BADGES[verdict.finding]
    finding = "cannot be decided" if verdict.finding == "cannot tell" else verdict.finding
    st.badge(f"Claim {verdict.claim} {say.plain(finding)}", icon=icon, color=color)
    say.bold(f"“{verdict.statement}”")
    say.text(verdict.summary)
    if verdict.evidence:
        say.points(verdict.evidence)
    if verdict.known:
        say.caption(verdict.known)
