"""The paths people take through Explore, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .actions import assert_fits_and_is_described, choose, go, heading, metric, number
from .conftest import REPO

pytestmark = pytest.mark.browser
SMALL = "random:normal?rows=512&cols=1024&outliers=0.001"


def test_the_default_view_draws_every_figure(page, address):
    page.goto(f"{address}/explore")
    heading(page, "weight under int4-sym-tensor")
    expect(page.locator(".js-plotly-plot .main-svg").nth(3)).to_be_attached()
    expect(page.get_by_text(re.compile("set the scale of the whole tensor"))).to_be_visible()
    assert number(metric(page, "Zeroed")) > 50
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_smaller_blocks_cure_it_and_the_address_follows(page, address):
    go(page, address, ref=SMALL)
    before = number(metric(page, "SQNR"))
    choose(page, "Granularity", "b64")
    heading(page, "weight under int4-sym-b64")
    page.wait_for_url(re.compile("scheme=int4-sym-b64"))
    assert number(metric(page, "SQNR")) > before + 5
    page.get_by_test_id("stSidebar").get_by_text("asym", exact=True).click()
    heading(page, "weight under int4-asym-b64")


def test_a_typed_key_with_a_typo_suggests_and_changes_nothing(page, address):
    go(page, address, ref=SMALL, scheme="int4-sym-b64")
    box = page.get_by_role("textbox", name="Scheme key")
    box.fill("int4-aysm-b64")
    box.press("Enter")
    expect(page.get_by_test_id("stAlert").filter(has_text="int4-asym-b64")).to_be_visible()
    heading(page, "weight under int4-sym-b64")


def test_pinning_shows_the_difference(page, address):
    go(page, address, ref=SMALL, scheme="int8-sym-b64", pinned="none")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_url(re.compile("pinned=int8-sym-b64"))
    choose(page, "Granularity", "tensor")
    expect(page.get_by_text("Against the pinned int8-sym-b64")).to_be_visible()


def test_a_block_opens_and_the_link_restores_it(page, address):
    go(page, address, ref=SMALL, scheme="int4-sym-b64", block="3,5")
    where = "Block 3, 5"
    expect(page.get_by_text(where).first).to_be_attached()
    other = page.context.new_page()
    other.goto(page.url)
    heading(other, "weight under int4-sym-b64")
    expect(other.get_by_text(where).first).to_be_attached()


def test_a_click_on_the_map_opens_a_block(page, address):
    go(page, address, ref=SMALL, scheme="int4-sym-b64")
    area = page.locator(".st-key-figure_map .js-plotly-plot .nsewdrag")
    area.scroll_into_view_if_needed()
    place = {"x": 0.3 * area.bounding_box()["width"], "y": 0.4 * area.bounding_box()["height"]}
    area.hover(position=place)
    label = page.locator(".st-key-figure_map .hovertext").filter(has_text="click to open")
    expect(label).to_be_visible()
    block = re.search(r"block (\d+,\d+)", label.text_content())[1]
    area.click(position=place, delay=50)
    expect(page.get_by_role("textbox", name="Block")).to_have_value(block)
    expect(page.get_by_text(f"Block {block.replace(',', ', ')}").first).to_be_attached()


def test_a_wrong_link_falls_back_with_a_notice(page, address):
    go(page, address, ref=SMALL, scheme="int4-sym-b6")
    expect(page.get_by_test_id("stAppViewContainer")).to_contain_text("weight under int4-sym-b6")
    go(page, address, ref=SMALL, scheme="int44")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("instead")


def test_a_hub_repository_opens_by_name(page, address, hub):
    go(page, address, ref=SMALL, scheme="int4-sym-b64")
    page.get_by_test_id("stSidebar").get_by_text("Hub", exact=True).click()
    box = page.get_by_role("textbox", name="Repository")
    box.fill(REPO)
    box.press("Enter")
    heading(page, "model.layers.0.mlp.up_proj.weight under int4-sym-b64")
    page.wait_for_url(re.compile("tiny-model"))
    box.fill("someone/absent")
    box.press("Enter")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("no repository")


def test_nothing_spills_over_in_either_theme(page, address):
    go(page, address, ref=SMALL, scheme="int4-sym-b64")
    assert_fits_and_is_described(page)


def test_number_formats_flips_a_bit_from_the_keyboard(page, address):
    page.goto(f"{address}/number_formats?number_format=fp8_e4m3&number_value=0.1")
    value = page.get_by_test_id("stMetricValue").first
    expect(value).to_have_text("0.1015625")
    bit = page.locator(".st-key-bit_code_7 button").first
    bit.focus()
    page.keyboard.press("Enter")
    expect(value).to_have_text("-0.1015625")
