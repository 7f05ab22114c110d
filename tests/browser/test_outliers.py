"""The path of the outlier laboratory in a real browser: destroyed, contained, cured, each with its cost in bits."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from .actions import assert_fits_and_is_described

pytestmark = pytest.mark.browser
# 0.1% outliers at 20σ.
SMALL = "random:normal?rows=512&cols=1024&outliers=0.001"


def open_page(page: Page, address: str, **view: str) -> None:
    page.goto(f"{address}/outliers?{urlencode(view)}")
    drawn(page, "cures")


def drawn(page: Page, figure: str) -> None:
    expect(page.locator(f".st-key-figure_{figure} .main-svg").first).to_be_attached()


def test_one_scale_destroys_blocks_contain_and_cures_cure(page, address):
    open_page(page, address, ref=SMALL)
    expect(page.get_by_text("it lies in the weights that share a scale with them")).to_be_visible()
    expect(page.get_by_text(re.compile("one scale for all leaves .* blocks of 64 bring it to")).first).to_be_visible()
    said = page.get_by_text("At about equal bits, ")
    for cure in ("Hadamard rotation", "keep 0.1% apart", "for 0.048 bits a weight more"):
        expect(said).to_contain_text(cure)
    names = page.locator(".st-key-figure_cures").inner_text()
    for cure in ("Hadamard rotation", "keep 0.1% apart", "blocks of 64", "bits"):
        assert cure in names
    for figure in ("before", "bands", "sides", "channels", "block_sizes", "magnitudes"):
        drawn(page, figure)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_injecting_changes_the_address_and_the_link_restores_it(page, address):
    open_page(page, address, ref="random:normal?rows=512&cols=1024", scheme="int4-sym-tensor")
    page.get_by_text("inject", exact=True).click()
    drawn(page, "after")
    page.wait_for_url(re.compile("edit=inject"))
    expect(page.get_by_text(re.compile("of int4-sym-tensor grew"))).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    drawn(other, "after")
    expect(other.get_by_text("524 weights set to ±20σ, spread over the tensor")).to_be_visible()


def test_nothing_spills_over_in_either_theme(page, address):
    open_page(page, address, ref=SMALL, scheme="int4-sym-b64", edit="inject")
    assert_fits_and_is_described(page)
