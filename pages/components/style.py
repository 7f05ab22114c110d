"""The few rules of appearance that Streamlit's theme has no setting for."""

from __future__ import annotations

import streamlit as st

_RULES = """
<style>
  /* The page begins near the top and uses the width. */
  [data-testid="stMainBlockContainer"] { padding: 3rem 2.5rem 4rem; max-width: 110rem; }
  /* Room for the controls, two side by side. */
  @media (min-width: 768px) { [data-testid="stSidebar"][data-collapsed="false"] { min-width: 22rem; } }
  /* Long names of metrics wrap instead of being cut off. */
  [data-testid="stMetricLabel"] p { white-space: normal; line-height: 1.2; }
  [data-testid="stMetricLabel"] { align-items: flex-start; min-height: 2.3rem; }
</style>
"""


def style() -> None:
    st.html(_RULES)
