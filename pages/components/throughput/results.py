"""What a measurement gives: the device's card, the lines over rounds, the table, what bounds each workload."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from quantviz import figures
from quantviz.text.wording import plural, shape, size
from quantviz.throughput import WORKLOADS, Card, Measurement
from quantviz.throughput.roofline import bound

from .. import say
from ..shared.charts import chart
from ..work.runs import Run
from .table import refused, workload_table

ON_CPU = ("cpu", "reference")
SHARED = " This server, and perhaps your browser, use the same processor; the command line measures without them."
LATEST = "latest"
QUANTITIES = {"bandwidth": "GB/s", "speed": "speed", "factor": "× bf16"}


def device_card(card: Card) -> None:
    """Draws the device, its software, and how fast its memory is."""
    unknown = "not yet"
    copy = unknown if card.copy_bytes_per_s is None else f"{size(card.copy_bytes_per_s)}/s"
    read = unknown if card.read_bytes_per_s is None else f"{size(card.read_bytes_per_s)}/s"
    name, memory, moved, taken = st.columns([2.2, 1, 1, 1])
    name.metric(
        "Device",
        say.name(card.name),
        help=f"Called {say.name(card.device)}; quantize, dequantize and evaluate run on {say.name(card.engine)}.",
    )
    memory.metric(
        "Memory", "unknown" if card.memory_bytes is None else size(card.memory_bytes),
        help="In all." if card.free_bytes is None else f"In all; {size(card.free_bytes)} was free when the run began.",
    )  # fmt: skip
    copied = "Bytes read plus bytes written by a plain copy, a second; the median of this run."
    say.metric("Copy", copy, help=copied, on=moved)
    say.metric("Read", read, help="Bytes read by a plain sum, a second; the median of this run.", on=taken)
    facts = [plural(card.threads, "thread")] if card.threads else []
    facts += [f"cache of {size(card.cache_bytes)}, kept cold"] if card.cache_bytes else []
    facts += [f"driver {card.driver}"] if card.driver else []
    facts += [f"{name} {version}" for name, version in card.versions.items()]
    say.caption(" · ".join(facts))


@st.fragment
def results_section(run: Run) -> None:
    results(run)


def results(run: Run, live: bool = False) -> None:
    """One workload at a time; while it runs, the one that is being measured unless the visitor chose another."""
    report = run.report
    if not report.measurements and not report.refused:
        return
    left, right = st.columns([3, 1.3], vertical_alignment="bottom")
    workload = _workload_shown(left, run, live)
    measured = report.of(workload)
    quantity = _quantity_shown(right, any(m.speedup_over_bf16 is not None for m in measured))
    timed = [m for m in measured if m.median_s is not None]
    st.caption(f"**{say.name(workload)}** · {say.plain(f'{WORKLOADS[workload]} {_of_what(measured)}')}")
    with st.container():  # one element, full or empty: what follows keeps its place while figures arrive
        if timed:
            fig = figures.throughput.rounds(run.found, report.card, workload, quantity)
            chart(fig, f"rounds_{'live' if live else 'done'}")
            say.caption(figures.throughput.rounds_note(report.card) + (SHARED if report.card.device in ON_CPU else ""))
            say.text(*_bounds(timed, report.card))
        elif not any(r.workload == workload for r in report.refused):
            st.caption("Nothing of it has been timed.")
    workload_table(report, workload, live)
    refused(report, workload)


def _workload_shown(place: DeltaGenerator, run: Run, live: bool) -> str:
    """Draws the choice among the workloads of the plan, to which a run that goes on adds the latest."""
    workloads = run.plan.workloads
    if live:
        chosen = place.segmented_control(
            "Shown", [LATEST, *workloads], format_func=say.name, key="shown_live", default=LATEST, required=True,
            label_visibility="collapsed",
        )  # fmt: skip
        latest = run.report.measurements[-1].workload if run.report.measurements else workloads[0]
        return latest if chosen == LATEST else chosen
    if st.session_state.get("shown_workload") not in workloads:
        there = [name for name in workloads if run.report.of(name)]
        st.session_state["shown_workload"] = (there or workloads)[-1]  # they end with what matters most
    return place.segmented_control(
        "Shown", workloads, format_func=say.name, key="shown_workload", required=True, label_visibility="collapsed"
    )


def _quantity_shown(place: DeltaGenerator, has_factors: bool) -> str:
    offered = [name for name in QUANTITIES if has_factors or name != "factor"]
    if st.session_state.get("shown_quantity") not in (None, *offered):
        st.session_state["shown_quantity"] = offered[0]
    return place.segmented_control(
        "Lines show", offered, key="shown_quantity", default="bandwidth", required=True, width="stretch",
        format_func=QUANTITIES.get, label_visibility="collapsed", persist_state="session",
    )  # fmt: skip


def _of_what(measured: tuple[Measurement, ...]) -> str:
    """The shape, the batch and the model, as far as there are any."""
    if not measured:
        return ""
    m = measured[0]
    words = [m.model] if m.model else [shape(m.shape)]
    if len(m.shape) == 1:
        words.append(plural(m.shape[0], "weight"))
    if m.batch is not None:
        words.append(f"batch {m.batch}")
    return f"Here: {', '.join(words)}."


def _bounds(timed: list[Measurement], card: Card | None) -> list[str]:
    """What bounds bf16, and what bounds the fastest of the others."""
    if card is None:
        return []
    plain = [m for m in timed if m.scheme == "bf16"]
    others = [m for m in timed if m.scheme != "bf16"]
    shown = [*plain, *([min(others, key=lambda m: m.median_s)] if others else [])]
    return [f"{m.scheme}: {bound(m, card)}" for m in shown]
