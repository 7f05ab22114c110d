"""Everything to take along from a measurement of speed: code, the command, data, pictures, the link."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st

from quantviz.throughput import Plan, Report

from ..shared.charts import picture_setting
from ..shared.take_along import COMMAND, DATA, PYTHON, downloads, more


def speed_snippet(plan: Plan) -> str:
    """A script that measures what the page measures."""
    lines = [
        "import quantviz as qv",
        "",
        "plan = qv.throughput.Plan.make(",
        *(f"    {name}={value!r}," for name, value in _arguments(plan).items()),
        ")",
        "report, arrived = qv.throughput.Report(), []",
        "for event in qv.throughput.run(plan):",
        "    report = report.take(event)",
        "    if isinstance(event, qv.throughput.Measurement):",
        "        arrived.append(event)",
        "",
        "for m in report.measurements:",
        "    if m.median_s is not None:",
        '        print(f"{m.workload} {m.scheme}: {1e3 * m.median_s:.4g} ms, {m.share_of_copy:.0%} of a copy")',
        "for refused in report.refused:",
        '    print(f"{refused.workload} {refused.scheme}: {refused.reason}")',
        f"for workload in {plan.workloads!r}:",
        "    qv.figures.throughput.rounds(arrived, report.card, workload).show()",
    ]
    return "\n".join(lines) + "\n"


def _arguments(plan: Plan) -> dict[str, object]:
    """What Plan.make was told, presets and references as the text that names them."""
    return {
        "device": plan.device, "workloads": plan.workloads, "schemes": plan.schemes, "tensor": plan.tensor,
        "layer": plan.layer, "batch": plan.batch, "model": plan.model.key,
        "rounds": plan.rounds, "seconds": plan.seconds,
    }  # fmt: skip


def speed_command(plan: Plan) -> str:
    """The command that measures the same; it leaves `plan.seconds` at the device's default."""
    options = [
        ("device", plan.device), *(("workload", name) for name in plan.workloads),
        *(("scheme", key) for key in plan.schemes), ("model", plan.model.key), ("shape", _times(plan.layer)),
        ("tensor", _times(plan.tensor)), ("batch", plan.batch), ("rounds", plan.rounds),
    ]  # fmt: skip
    written = [f"--{name} {shlex.quote(str(value))}" for name, value in options]
    return " \\\n    ".join(["python -m quantviz throughput", *written])


def _times(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"


def take_along(plan: Plan, report: Report | None) -> None:
    more("throughput_more", {
        PYTHON: lambda: st.code(speed_snippet(plan), language="python", wrap_lines=True),
        COMMAND: lambda: _command(plan),
        DATA: lambda: _data(report),
    })  # fmt: skip


def _command(plan: Plan) -> None:
    st.code(speed_command(plan), language="bash", wrap_lines=True)
    st.caption("With --json it prints one JSON document: the device's card and every measurement.")


def _data(report: Report | None) -> None:
    if report is not None and report.measurements:
        table = pd.DataFrame([m.record() for m in report.measurements])
        downloads(("throughput",), report.document(), (table.columns, table.itertuples(index=False, name=None)))
    else:
        picture_setting()
        st.caption("Figures to save are here once something has been measured.")
    st.markdown("The address bar holds what is measured, not the figures: anyone who opens it can measure the same.")
