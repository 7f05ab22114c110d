"""The path from a bad scheme to a better one of the same size, in a real browser."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from .actions import assert_fits_and_is_described, has_run

pytestmark = pytest.mark.browser
SMALL = "random:normal?rows=512&cols=1024&outliers=0.001"


def go(page: Page, address: str, schemes: list[str], **view: str) -> None:
    asked = [("ref", SMALL), *view.items(), *(("schemes", key) for key in schemes)]
    page.goto(f"{address}/compare?{urlencode(asked)}")
    settled(page)


def settled(page: Page) -> None:
    """Until both figures are there and the script is at rest."""
    expect(page.locator(".js-plotly-plot .main-svg").nth(1)).to_be_attached()
    has_run(page)


def test_a_comparison_says_what_is_better_at_the_same_size_and_the_link_restores_it(page, address):
    go(page, address, ["int4-sym-b64", "mxfp4", "nf4-b64"], pinned="int4-sym-b64")
    said = page.get_by_text(re.compile("At no more than 4.250 bits, mxfp4 reaches"))
    expect(said).to_be_visible()
    expect(page.locator(".st-key-figure_trade_off").get_by_text("int4-sym-b64 (pinned)")).to_be_visible()
    page.get_by_role("button", name="4-bit formats").click()
    page.wait_for_url(re.compile("schemes=nvfp4"))
    expect(page.get_by_text(re.compile("Of 15 schemes"))).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text(re.compile("Of 15 schemes"))).to_be_visible()


def test_a_typed_key_joins_and_a_wrong_one_is_said(page, address):
    go(page, address, ["int4-sym-b64"], pinned="none")
    box = page.get_by_role("combobox", name=re.compile(r"^(Selected .*)?Schemes"))
    box.fill("int4-asym-b48")
    box.press("Enter")
    box.press("Escape")  # the list of schemes stays open over the page
    page.wait_for_url(re.compile("schemes=int4-asym-b48"))
    expect(page.get_by_text(re.compile("Of 2 schemes"))).to_be_visible()
    box.fill("int4-aysm-b64")
    box.press("Enter")
    expect(page.get_by_test_id("stAlert").filter(has_text="It is left out.")).to_be_visible()


def test_nothing_spills_over_and_figures_have_words(page, address):
    go(page, address, ["int4-sym-b64", "mxfp4", "nf4-b64"], pinned="int4-sym-b64")
    page.get_by_test_id("stDataFrame").first.hover()
    choice = page.get_by_role("radio", name="Against the pinned").bounding_box()
    bar = page.get_by_test_id("stElementToolbar").first.bounding_box()
    assert choice["x"] + choice["width"] <= bar["x"], "the table's toolbar lies over the choice above it"
    assert_fits_and_is_described(page)
