"""The article's claims about language models, decided on the demo model at a press."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import streamlit as st

from quantviz.lessons import on_a_model
from quantviz.quality.results import QualityResult, SuperWeights
from quantviz.quality.verdicts import quality_verdicts

from .. import say
from ..link import choices
from ..shared.verdict import card
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult, collect, steps

DEFAULT_TOKENS = "2048"
_found: BoundedCache[list] = BoundedCache(100, lambda _: 1)


def model_claims(*numbers: int) -> None:
    """A card for each of these claims among 5, 6 and 7, and a button that measures what decides them."""
    _decided("rounded", "Rounded models", numbers, on_a_model.under_schemes)


def largest_claim() -> None:
    """The card of claim 9, and the button that sets the largest weights to zero."""
    _decided("largest", "Without the largest weights", (9,), on_a_model.without_largest)


def _decided(name: str, title: str, numbers: Sequence[int], measure: Callable[..., Iterator[Any]]) -> None:
    with st.container(border=True):
        tokens = int(choices.one_of(
            st.select_slider, "Tokens of text to decide it on", "learn_tokens", [f"{n:d}" for n in on_a_model.TOKENS],
            DEFAULT_TOKENS, help="More text takes longer, and leaves less doubt.",
        ))  # fmt: skip

        def make(job: Job) -> list:
            return collect(job, measure(tokens, progress=steps(job, "tokens")))

        task = KeptResult(("learn", name, tokens), title, make, _found, heavy=True)
        if task.known:
            found = task.result(meanwhile=lambda job: _cards(numbers, list(job.found)))
            if found is None:
                return
        else:
            found = []
            st.button("Measure it here", key=f"measure_{name}", icon=":material/play_arrow:", on_click=task.begin)
        _cards(numbers, found)
        say.caption(
            f"The demo model reads {tokens:,} tokens of a book that it was not trained on; ± is one standard error. "
            "Another model or text gives other figures: Quality measures them."
        )


def _cards(numbers: Sequence[int], found: Sequence[Any]) -> None:
    results = [r for r in found if isinstance(r, QualityResult)]
    supers = [s for s in found if isinstance(s, SuperWeights)]
    for verdict in quality_verdicts(results, supers):
        if verdict.claim in numbers:
            card(verdict)
