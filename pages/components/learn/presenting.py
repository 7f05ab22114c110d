"""The view for a class: large type, no sidebar, keys that turn to the next chapter and back."""

from __future__ import annotations

from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from quantviz.figures.style import enlarged

from ..link import choices
from ..link.address import chosen_text
from ..shared.charts import chart

LARGER = 1.6  # what figures are enlarged by; type grows with the width of the window: by as much at 1,920 pixels
BEFORE, AFTER, END = "chapter_before", "chapter_after", "chapter_end"  # the buttons that keys press

_RULES = """
<style>
  :root { font-size: clamp(16px, 1.25vw, 32px) !important; }
  [data-testid="stSidebar"], [data-testid="stExpandSidebarButton"], [data-testid="stHeader"] { display: none; }
  [data-testid="stMainBlockContainer"] { padding-top: 1.2rem; }
  .st-key-chapter_keys { display: none; }
</style>
"""
# Arrows are left to a control that takes them itself; the keys of a presenter's remote turn the page in any case.
_KEYS = """
export default function () {
  const buttons = {ArrowRight: 'after', PageDown: 'after', ArrowLeft: 'before', PageUp: 'before', Escape: 'end'};
  const writes = 'textarea, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio])';
  const moves = 'input, canvas, [role=slider], [role=radio], [role=option], [role=combobox], [role=grid]';
  const turn = event => {
    const name = buttons[event.key], at = document.activeElement;
    if (!name || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || at?.matches(writes)) return;
    if (event.key.startsWith('Arrow') && at?.matches(moves)) return;
    if (event.key === 'Escape' && document.querySelector('[role=listbox], [role=dialog], [role=tooltip]')) return;
    const button = document.querySelector(`.st-key-chapter_${name} button`);
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    button.click();
  };
  window.addEventListener('keydown', turn, true);
  return () => window.removeEventListener('keydown', turn, true);
}
"""


def presents() -> bool:
    """Whether the page is shown to a class."""
    return chosen_text("present") in ("true", "1")


def present_switch(on: Any) -> None:
    choices.toggle(
        "For a class", "present", on=on,
        help="Larger type and figures, no sidebar. Arrow keys and Page Up or Down turn to the next chapter and back; "
        "Escape ends it.",
    )  # fmt: skip


def switch_on() -> None:
    """The type and the keys of this view."""
    st.html(_RULES)
    with st.container(key="chapter_keys"):
        _keys()()


@st.cache_resource(show_spinner=False)
def _keys() -> Any:
    return st.components.v2.component("chapter_keys", js=_KEYS)


def show(fig: Figure, key: str) -> None:
    """Draws a figure, larger before a class."""
    chart(enlarged(fig, LARGER) if presents() else fig, key)
