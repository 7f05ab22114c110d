"""The path of Quality in a real browser: drawn live, judged, continued, and found again."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from .actions import assert_fits_and_is_described

pytestmark = pytest.mark.browser
PATIENCE = 300_000  # milliseconds: the libraries load, and a language model is measured
FEW = ("int8-sym-b32", "int4-asym-b32", "int2-asym-tensor")
QUICK = {"measured": FEW, "tokens": "512", "context": "128", "length": "10"}


def open_page(page: Page, address: str, **view: object) -> None:
    page.goto(f"{address}/quality?{urlencode({**QUICK, **view}, doseq=True)}")
    drawn(page, "ratios")


def drawn(page: Page, figure: str) -> None:
    expect(page.locator(f".st-key-figure_{figure} .main-svg").first).to_be_attached(timeout=PATIENCE)


def test_the_demo_is_measured_judged_and_continued_and_found_again(page, address):
    open_page(page, address)
    drawn(page, "divergences")
    for claim in (5, 6, 7, 9):
        expect(page.get_by_text(re.compile(f"Claim {claim} ")).first).to_be_visible()
    passages = page.locator(".qv-passages")
    expect(passages.get_by_role("listitem")).to_have_count(1 + len(FEW), timeout=PATIENCE)
    worst = passages.get_by_role("listitem").filter(has_text=FEW[-1]).locator("mark").first
    expect(worst).to_be_visible()
    assert "underline" in worst.evaluate("mark => getComputedStyle(mark).textDecorationLine"), "not by colour alone"
    drawn(page, "super_weights")
    drawn(page, "fragility")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.reload()
    drawn(page, "ratios")
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Every metric")).to_be_visible()
    page.get_by_role("link", name="Quality").click()
    drawn(page, "ratios")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    page.wait_for_url(re.compile("tokens=512"))


def test_activations_are_collected_and_weigh_another_page(page, address):
    open_page(page, address)
    page.get_by_role("button", name="Collect from this text").click(timeout=PATIENCE)
    drawn(page, "layer_errors")
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Importance and inputs")).click()
    assert download.value.suggested_filename == "importance-demo.safetensors"
    page.get_by_role("button", name="Use on other pages").click()
    page.get_by_test_id("stMain").get_by_role("link", name="Compare").click()
    expect(page.get_by_text(re.compile("Importance from importance-demo.safetensors"))).to_be_visible()
    page.wait_for_url(re.compile("ref=demo"))


def test_nothing_spills_over_in_either_theme(page, address):
    open_page(page, address)
    drawn(page, "fragility")
    assert_fits_and_is_described(page)
