"""Starting and stopping a measurement, and its progress."""

from __future__ import annotations

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.text.wording import about, duration, listed, plural
from quantviz.throughput import Plan

from .. import say
from ..link.address import changing, notice
from ..selection import View
from ..work import runs
from ..work.runs import Run
from .controls import idle_card
from .results import device_card, results
from .sections import error_and_speed, sqnr_known

POLL = 1.0  # seconds between two drawings, which on a CPU slow down what is measured
STOP = "stop-measuring"


def start_controls(plan: Plan, run: Run | None) -> None:
    """Draws the start button with an estimate, and this visitor's runs of other plans."""
    _elsewhere(plan)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Measure again" if run else "Start", key="start-measuring", type="primary", icon=":material/play_arrow:",
            on_click=_start, args=(plan,),
        )  # fmt: skip
        if run is None:
            st.markdown(
                f"Nothing is measured before you press it. Timing takes about "
                f"{duration(plan.seconds)}; making and checking what is timed comes before that."
            )
    if run is None:
        say.caption(f"{describe(plan)}. It goes on while you look at other pages, and ends when this window is closed.")


def describe(plan: Plan) -> str:
    """What a plan measures, in words."""
    words = f"{listed(plan.workloads)} with {plural(len(plan.schemes), 'scheme')} on {plan.device}"
    return words[:1].upper() + words[1:]


def _start(plan: Plan) -> None:
    with changing():
        try:
            runs.start(plan)
        except QuantvizError as problem:
            notice(str(problem))


def _elsewhere(plan: Plan) -> None:
    """Runs of other plans that this visitor began before the controls were moved, each with a way to stop it."""
    for run in runs.under_way():
        if run.plan == plan or not run.is_mine():
            continue
        run.look()
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/hourglass_top: What you began before goes on: {say.plain(describe(run.plan))}.")
            st.button("Stop it", key=f"other-{run.asked}", on_click=run.stop)


@st.fragment(run_every=POLL)
def live(view: View, run: Run) -> None:
    """Progress, the button that stops, and the figures as they arrive."""
    run.look()
    if run.over:
        st.rerun()
    report = run.report
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Stop", key=STOP, type="primary", icon=":material/stop:", on_click=run.stop, disabled=run.is_stopping)
        if run.is_stopping:
            st.markdown("Stopping, as soon as the call that is being timed is over …")
        elif report.waiting:
            st.markdown(f":material/hourglass_top: {say.plain(report.waiting.sentence)}")
        elif report.doing is None:
            st.markdown("Getting ready …")
        else:
            doing, total = report.doing, report.doing.total
            counted = f", {doing.done} of {total}" if total else " …"
            left = run.seconds_left()
            counted += "" if left is None else f", {about(left)} left of it"
            done, what = min(doing.done / total, 1.0) if total else 0.0, say.plain(f"{doing.what}{counted}")
            st.progress(done, text=what, width="stretch")
    with st.container():
        if report.waiting and not run.is_stopping:
            _elsewhere(run.plan)
            st.caption("One measurement at a time on a device, so that none disturbs another.")
    device_card(report.card or idle_card(run.plan.device))
    results(run, live=True)
    if known := sqnr_known(view, report):
        error_and_speed(view, report, known)


def outcome(run: Run) -> None:
    """Says how a finished run ended."""
    if isinstance(run.problem, QuantvizError):
        say.error(run.problem)
    elif run.problem is not None:
        runs.forget(run.plan)
        raise run.problem
    elif run.why:
        say.info(f"It ended early: {run.why}. What had been measured is below.", ":material/stop_circle:")
