"""After a measurement: claim 8, speed beside error, and what the memory of named devices would allow."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from quantviz import figures
from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import refusal
from quantviz.schemes import Scheme
from quantviz.text.wording import number, shape, size
from quantviz.throughput import MULTIPLIES, Measurement, Plan, Report
from quantviz.throughput.claim import STATEMENT, speed_verdict
from quantviz.throughput.roofline import Ceiling, ceilings, without_ceiling

from .. import say
from ..selection import View
from ..shared.charts import chart
from ..shared.results import outcomes
from ..work import cached

SIGNS = {
    "holds": (st.success, ":material/check_circle:"), "partly": (st.warning, ":material/rule:"),
    "fails": (st.error, ":material/cancel:"), "cannot tell": (st.info, ":material/help:"),
    "not measured": (st.info, ":material/help:"),
}  # fmt: skip
BESIDE = "Speed beside error"
HOST = r"https?://(?:www\.)?([^/]+)"  # of a source, all that a link shows
MEASURED_BANDWIDTH = "measured in this run"
REACHED = "measured here"


def claim_section(report: Report) -> None:
    """Draws claim 8 and the verdict of this run's measurements."""
    found = speed_verdict(report.measurements)
    say.subheader(
        "Claim 8, on this machine",
        help="Tokens/s of the decode step over those of bf16 in the same run, or of fp32 where that is faster.",
    )
    show, icon = SIGNS[found.state]
    show(f"“{STATEMENT}”  \n**{say.plain(found.sentence)}**", icon=icon)


def error_and_speed_section(view: View, report: Report) -> None:
    """Speed of the schemes as measured, error of the same schemes on the tensor of the sidebar."""
    measured = _with_tokens(report)
    if not measured:
        return
    known = sqnr_known(view, report)
    if known is None:
        st.subheader(BESIDE)
        try:
            outcomes(view, tuple(Scheme.parse(m.scheme) for m in measured), None)
        except QuantvizError as problem:
            say.error(problem)
        known = sqnr_known(view, report)
    if known is not None:
        error_and_speed(view, report, known)


def _with_tokens(report: Report) -> tuple[Measurement, ...]:
    """The lines of the decode step, or else of the linear layer; none where neither was timed."""
    timed = [w for w in reversed(MULTIPLIES) if any(m.median_s for m in report.of(w))]
    return report.of(timed[0]) if timed else ()


def sqnr_known(view: View, report: Report) -> dict[str, float] | None:
    """SQNR of every scheme of `_with_tokens` on the sidebar's tensor, as far as it can have one; None until all are
    computed, or where nothing was timed. It computes nothing, so it takes no time from a measurement."""
    size = view.rows, view.info.cols
    found = {m.scheme: cached.compared(view.at, m.scheme, None) for m in _with_tokens(report)}
    found = {key: e for key, e in found.items() if e or not refusal(Scheme.parse(key), size)}
    if not found or None in found.values():
        return None
    return {key: e.metrics["sqnr_db"] for key, e in found.items()}


def error_and_speed(view: View, report: Report, sqnr: dict[str, float]) -> None:
    st.subheader(BESIDE, help="Speed as measured here; SQNR of the same scheme on the tensor of the sidebar.")
    measured = _with_tokens(report)
    chart(figures.throughput.error_and_speed(measured, sqnr), "error_and_speed")
    say.caption(
        f"Speed of {measured[0].workload}; SQNR on {view.info.name}, {shape((view.rows, view.info.cols))}, of "
        f"{view.at.source.ref}. " + figures.throughput.without_place(measured, sqnr)
    )


def roofline_section(plan: Plan, report: Report | None) -> None:
    """What bandwidth alone allows, on devices by name and on this one."""
    card = report.card if report else None
    say.subheader(
        "Tokens/s that memory allows: computed, not measured",
        help="`tokens/s ≤ batch · bandwidth / bytes of weights`\n\nA ceiling: no kernel beats it, few come near. It "
        "leaves out the cache of keys and values, which is read beside the weights and outweighs them in a long "
        "context. "
        "Bandwidths are the makers' figures; that of this device is measured.",
    )  # fmt: skip
    schemes = ("bf16", *plan.schemes)
    try:
        rows = ceilings(plan.model, schemes, card, plan.batch)
    except QuantvizError as problem:
        say.caption(problem)
        return
    _roofline_table(rows, report)
    left_out = without_ceiling(plan.model, schemes)
    if left_out:
        first, why = next(iter(left_out.items()))
        say.caption(f"Left out, as this model's layers cannot have them: {', '.join(left_out)}. {first}: {why}")


def _roofline_table(rows: list[Ceiling], report: Report | None) -> None:
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        line = lines.setdefault(row.device, {"device": row.device, "bandwidth": f"{size(row.bytes_per_s)}/s"})
        line[row.scheme] = "does not fit" if row.fits is False else _tokens(row.tokens_per_s)
        line["source"] = MEASURED_BANDWIDTH if row.measured else row.source
    measured = {m.scheme: _tokens(m.tokens_per_s) for m in report.of("decode") if m.tokens_per_s} if report else {}
    if measured:
        lines[REACHED] = {"device": REACHED, "bandwidth": "", **measured, "source": "the decode step of this run"}
    frame = pd.DataFrame(list(lines.values()))
    schemes = [name for name in frame if name not in ("device", "bandwidth", "source")]
    st.dataframe(
        frame[["device", "bandwidth", *schemes, "source"]], hide_index=True, height="content", key="roofline",
        column_config={"device": st.column_config.Column("Device", pinned=True),
                       "bandwidth": st.column_config.Column("Bandwidth"),
                       "source": st.column_config.LinkColumn("Bandwidth from", display_text=HOST)},
    )  # fmt: skip


def _tokens(value: float) -> str:
    return number(value, 3)
