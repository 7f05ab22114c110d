"""Speed measured live in a real browser: started, seen to arrive, stopped; and ended by a window that is closed."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from pages.components.work.jobs import GRACE

from .actions import assert_fits_and_is_described, has_run

pytestmark = pytest.mark.browser
REF = "random:normal?rows=128&cols=256&outliers=0.001"
# Small, and long enough to be stopped.
SMALL = {"ref": REF, "device": "cpu", "workloads": "linear", "layer": "128x256", "tensor_shape": "128x256",
         "pinned": "none", "rounds": "1000", "seconds": "300"}  # fmt: skip
# Milliseconds: where other processes want the same cores, torch's threads wait long for each other.
MEASURING = 240_000


def open_page(page: Page, address: str, **view: str) -> None:
    asked = [*(SMALL | view).items(), ("schemes", "bf16"), ("schemes", "int4-sym-b64")]
    page.goto(f"{address}/throughput?{urlencode(asked)}")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    has_run(page)


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def drawn(page: Page, figure: str) -> None:
    expect(page.locator(f".st-key-figure_{figure} .main-svg").first).to_be_attached(timeout=MEASURING)


def test_figures_arrive_after_start_and_stop_keeps_them(page, address):
    open_page(page, address)
    expect(page.get_by_text("Nothing is measured before you press it")).to_be_visible()
    expect(page.get_by_text("computed, not measured")).to_be_visible()
    button(page, "Start").click()
    drawn(page, "rounds_live")
    expect(page.locator(".st-key-figure_rounds_live").get_by_text("copy bandwidth").first).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)  # whoever opens the link while it runs sees the same run
    drawn(other, "rounds_live")
    button(page, "Stop").click()
    expect(page.get_by_text("ended early: stopped by a visitor")).to_be_visible()
    for figure in ("rounds_done", "error_and_speed"):
        drawn(page, figure)
    expect(button(page, "Measure again")).to_be_visible()
    expect(other.get_by_text("ended early: stopped by a visitor")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_second_plan_waits_and_a_closed_window_makes_room(page, address):
    first = page.context.new_page()
    open_page(first, address, workloads="evaluate")
    button(first, "Start").click()
    drawn(first, "rounds_live")
    open_page(page, address, workloads="quantize")
    button(page, "Start").click()
    expect(page.get_by_text(re.compile("Someone else measures on this device: evaluate"))).to_be_visible()
    expect(page.locator(".st-key-figure_rounds_live")).to_have_count(0)
    first.close()
    page.wait_for_timeout(1000 * GRACE)
    drawn(page, "rounds_live")
    button(page, "Stop").click()
    expect(button(page, "Measure again")).to_be_visible()


def test_nothing_spills_over_and_figures_have_words(page, address):
    open_page(page, address, rounds="3", workloads="decode", model="sidebar", ref="demo")
    button(page, "Start").click()
    drawn(page, "error_and_speed")
    assert_fits_and_is_described(page)
