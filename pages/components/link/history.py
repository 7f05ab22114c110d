"""Back and Forward pressed faster than the server answers."""

from __future__ import annotations

import streamlit as st

# Streamlit takes up the address of the page that an answer is for. Where the visitor has gone on by Back or Forward
# meanwhile, that answer is outdated: its address would be a step of its own, behind which all steps forward are lost.
_KEEPS_STEPS = """
<script>
  if (!history.keepsSteps) {
    const push = history.pushState.bind(history);
    let isByHistory = false;
    addEventListener("popstate", () => isByHistory = true);
    addEventListener("click", () => isByHistory = false, true);
    history.keepsSteps = true;
    history.pushState = (state, title, url) => {
      const isAnotherPage = new URL(url, location).pathname !== location.pathname;
      if (!(isByHistory && isAnotherPage)) push(state, title, url);
    };
  }
</script>
"""


def keep_steps() -> None:
    """Until the next click, no answer of the server leads to another page than the one that Back or Forward led to."""
    with st.container(key="history"):  # takes no room: shell/style.py
        st.html(_KEEPS_STEPS, unsafe_allow_javascript=True)
