"""From a format to a block type, down to one weight's arithmetic, and its layout drawn, in a real browser."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from .actions import assert_fits_and_is_described, choose

pytestmark = pytest.mark.browser
SMALL = "random:normal?rows=256&cols=512&outliers=0.001"


def test_a_block_type_is_chosen_and_spelled_out(page, address):
    page.goto(f"{address}/?{urlencode({'ref': SMALL, 'scheme': 'int4-sym-b64', 'pinned': 'int4-sym-b64'})}")
    expect(page.get_by_role("heading", name="weight under int4-sym-b64")).to_be_visible()
    choose(page, "Family", "GGUF")
    page.wait_for_url(re.compile("scheme=q4_k"))
    expect(page.get_by_role("heading", name="weight under q4_k")).to_be_visible()
    expect(page.get_by_text("each 32 weights have a scale and minimum of their own")).to_be_visible()
    expect(page.get_by_text(re.compile("Against the pinned int4-sym-b64: .* more SQNR"))).to_be_visible()


def test_a_layout_and_what_it_was_compared_with_are_drawn(page, address):
    page.goto(f"{address}/number_formats?block_type=q6_k")
    drawn = page.locator(".st-key-figure_block_layout")
    expect(drawn.get_by_text("scales", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"As q4_k|Groups of 16: value"))).to_be_visible()
    page.get_by_text(re.compile(r"Are these ggml's own bytes\? (\d+) of \1 checks hold")).click()
    expect(page.get_by_text("Rows quantized here and by ggml")).to_be_visible()
    assert_fits_and_is_described(page)
