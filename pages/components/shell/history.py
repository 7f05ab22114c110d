"""Back and Forward pressed faster than the server answers."""

from __future__ import annotations

from .script import script

# Streamlit takes up the address of the page that an answer is for. Where the visitor has gone on by Back or Forward
# meanwhile, that answer is outdated: its address would be a step of its own, behind which all steps forward are lost.
_KEEPS_STEPS = """
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
"""


def keep_steps() -> None:
    """Until the next click, no answer of the server leads to another page than the one that Back or Forward led to."""
    script("history", _KEEPS_STEPS)
