"""Throughput: what schemes do to speed on this machine, beside what they do to the weights."""

from __future__ import annotations

import streamlit as st

from pages.components.shell.frame import end_page, opened_view
from pages.components.throughput.controls import idle_card, throughput_controls
from pages.components.throughput.details import take_along
from pages.components.throughput.live import live, outcome, start_controls
from pages.components.throughput.results import device_card, results_section
from pages.components.throughput.sections import claim_section, error_and_speed_section, roofline_section
from pages.components.work import runs

view = opened_view()

st.title("Throughput", anchor=False)
plan = throughput_controls(view)
if plan is None:  # the page says what is missing
    end_page()

run = runs.find(plan)
report = run.report if run else None
if run and not run.over:
    live(view, run)
else:
    start_controls(plan, run)
    device_card(report and report.card or idle_card(plan.device))
if run and run.over:
    outcome(run)
    results_section(run)
    claim_section(report)
    error_and_speed_section(view, report)
roofline_section(plan, report)
take_along(plan, report)
