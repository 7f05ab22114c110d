"""The table of a workload, one line a scheme; what could not be measured, and why."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from quantviz.text.wording import count, decimals, number, share, size
from quantviz.throughput import MULTIPLIES, Measurement, Report
from quantviz.throughput.results import UNSTEADY

from .. import say
from ..shared.tables import BEST, as_styler, table

_BASELINE = "background-color: rgba(128, 128, 128, 0.18)"
_FAILED = "background-color: rgba(228, 102, 42, 0.30)"

_HIGHER, _LOWER = "\n\nHigher is better.", "\n\nLower is better."
_FACTOR = "`median of {0} / median`, of the same rounds; 1 is as fast." + _HIGHER
# Column -> (heading, formula and direction, how a value is written).
COLUMNS = {
    "tokens_per_s": ("Tokens/s", "`batch / median`" + _HIGHER, partial(number, fixed=True)),
    "speedup_over_bf16": ("× bf16", _FACTOR.format("bf16"), partial(decimals, places=2)),
    "speedup_over_fp32": ("× fp32", _FACTOR.format("fp32"), partial(decimals, places=2)),
    "weights_per_s": ("Weights/s, millions", "`weights / median`" + _HIGHER, lambda v: number(v / 1e6, 3)),
    "median_s": (
        "Median, ms", "Time of one call, the median of all rounds." + _LOWER, lambda v: number(1e3 * v, fixed=True),
    ),
    "spread": ("Spread", "`(slowest − fastest) / median`: how far to trust the median." + _LOWER, share),
    "bytes_per_s": ("Bytes/s", "Bytes that have to be read and written, a second." + _HIGHER, lambda v: f"{size(v)}/s"),
    "share_of_copy": (
        "Of copy", "`bytes/s / copy bandwidth` of the same run. Reading alone may pass 100%." + _HIGHER, share,
    ),
    "memory_bytes": ("Memory", "What the weights take on the device, as packed." + _LOWER, size),
    "relative_error": (
        "Check", "`‖y − ŷ‖ / ‖ŷ‖` against the same in float64, or the share of codes that differ. Checked before "
        "anything is timed; a check that fails voids the timing.", partial(number, digits=2),
    ),
    "repeats": ("Timed", "How many calls were timed; a round times several short ones.", count),
}  # fmt: skip
_OF_MULTIPLIES = ("tokens_per_s", "speedup_over_bf16", "speedup_over_fp32")
_BETTER = {"tokens_per_s": "max", "speedup_over_bf16": "max", "weights_per_s": "max", "median_s": "min"}


def workload_table(report: Report, workload: str, live: bool = False) -> None:
    measured = report.of(workload)
    if not measured:
        return
    wrong = [m.scheme for m in measured if m.correct is False]
    frame = pd.DataFrame([_row(m) for m in measured])
    shown = [name for name in COLUMNS if frame[name].notna().any()]
    if workload not in MULTIPLIES:
        shown.sort(key=lambda name: name in _OF_MULTIPLIES)
    frame = frame[["scheme", *shown, "kernel"]]
    how = {name: COLUMNS[name][2] for name in shown}
    styled = as_styler(frame, how).apply(_marks, axis=None, wrong=wrong)
    headings = {name: st.column_config.Column(COLUMNS[name][0], help=COLUMNS[name][1]) for name in shown}
    headings |= {
        "scheme": st.column_config.Column("Scheme", pinned=True),
        "kernel": st.column_config.Column("Computed by", width="medium", help="The kernel, in a few words."),
    }
    table(styled, how, f"throughput_table_{'live' if live else 'done'}", headings, height="content")
    if wrong:
        say.error(f"{', '.join(wrong)} gave a wrong result in the check, so its time does not count.")
    if any(m.unsteady for m in measured):
        st.caption(UNSTEADY)
    said = [f"{m.scheme}: {notice}" for m in measured for notice in m.notices]
    if said:
        with st.expander("How it was measured", icon=":material/info:"):
            say.points(said)


def _row(m: Measurement) -> dict:
    found = {name: getattr(m, name, None) for name in ("scheme", *COLUMNS, "kernel")}
    timed = m.median_s is not None
    return found | {"spread": (m.max_s - m.min_s) / m.median_s if timed else None, "repeats": m.repeats or None}


def _marks(frame: pd.DataFrame, wrong: list[str]) -> pd.DataFrame:
    marks = pd.DataFrame("", index=frame.index, columns=frame.columns)
    for name, best in _BETTER.items():
        if name in frame and frame[name].nunique() > 1:
            marks.loc[frame[name] == getattr(frame[name], best)(), name] = BEST
    marks.loc[frame.scheme == "bf16", "scheme"] = _BASELINE
    marks.loc[frame.scheme.isin(wrong), "scheme"] = _FAILED
    return marks


def refused(report: Report, workload: str) -> None:
    """What this workload could not measure; schemes with one reason together."""
    reasons: dict[str, list[str]] = {}
    for r in report.refused:
        if r.workload == workload:
            reasons.setdefault(r.reason, []).append(r.scheme)
    if not reasons:
        return
    many = sum(map(len, reasons.values()))
    with st.expander(f"{many:,} not measured in this workload, and why", icon=":material/block:"):
        for reason, schemes in reasons.items():
            st.markdown(f"- **{say.plain(', '.join(schemes))}**: {say.plain(reason)}")
