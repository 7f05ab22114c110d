"""Chapter 7: why fewer bytes are faster, and when they are not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import streamlit as st

from quantviz import figures
from quantviz.lessons import speed
from quantviz.text.wording import number, size
from quantviz.throughput import Doing, Report
from quantviz.throughput.roofline import Ceiling

from .. import say
from ..link import choices
from ..shared.tables import table
from ..shared.verdict import card
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult
from .parts import lead_on, question
from .presenting import show

_reports: BoundedCache[Report] = BoundedCache(4, lambda _: 1)


@st.fragment
def draw() -> None:
    st.markdown(
        "To write one word, a model reads every weight once. On most devices memory is slower than arithmetic, so the "
        "**bandwidth**, bytes a second, sets a ceiling: *tokens a second ≤ bandwidth / bytes of the weights*. Half the "
        "bytes, twice the ceiling. Codes have to be turned back into numbers on the way, which takes time of its own."
    )
    model = choices.one_of(
        st.select_slider, "Model, in weights", "learn_model", list(speed.MODELS), "8b"
    )  # fmt: skip
    task = _task()
    report = task.ready
    found = speed.allowed(model, report)
    show(figures.lessons.tokens_allowed(found), "learn_ceilings")
    say.text(_in_words(found))
    here = "" if report is None else ", and of this machine as measured"
    say.caption(
        f"By the bandwidth in each maker's data sheet{here}; the tokens are computed. Pale: the weights do not fit "
        "into its memory."
    )
    if report is None:
        st.markdown("**What this machine gives** is measured on a model of half a billion weights: some ten seconds.")
        if not task.known:
            st.button("Measure this machine", type="primary", icon=":material/speed:", on_click=task.begin)
        elif task.result() is not None:
            st.rerun()  # the figure above was drawn without it
    else:
        _measured(report)
    question(
        "Why can 2 bits a weight be slower than 4?",
        lambda: say.text(
            "The bytes halve, the number of codes to turn back does not: once unpacking takes longer than reading, the "
            "ceiling of memory is no longer what holds the machine back."
        ),
        "speed",
    )
    with st.container(border=True):
        card(speed.verdict(report))
    lead_on("Measure every scheme", "throughput", throughput_model=model)


def _in_words(found: Sequence[Ceiling]) -> str:
    """Of this machine where it was measured, else of the first device."""
    own = [c for c in found if c.measured] or [c for c in found if c.device == found[0].device]
    told = ", ".join(f"{number(c.tokens_per_s, 3)} in {c.scheme}" for c in own)
    return f"{own[0].device}, which reads {size(own[0].bytes_per_s)}/s, writes at most so many tokens a second: {told}."


def _task() -> KeptResult:
    def make(job: Job) -> Report:
        report, told = Report(), job.step("preparing", "rounds")
        with closing(speed.measured()) as events:
            for event in events:
                report = report.take(event)
                if isinstance(event, Doing):
                    told(event.done, event.total)
        return report

    return KeptResult(("learn speed",), "Speed of this machine", make, _reports)


def _measured(report: Report) -> None:
    card = report.card
    st.markdown("**What this machine gives**")
    if card is not None and card.copy_bytes_per_s:
        say.caption(f"{card.name}: copies {size(card.copy_bytes_per_s)}/s. A model of half a billion weights:")
    done = [m for m in report.of("decode") if m.tokens_per_s]
    table(
        {"scheme": [m.scheme for m in done], "tokens a second": [number(m.tokens_per_s, 3) for m in done],
         "memory": [size(m.memory_bytes or 0) for m in done]},
        {}, "learn_speeds", height="content",
    )  # fmt: skip
