"""Figures follow the hand in a real browser: redrawn in place and once, keeping their zoom; and what if they cannot."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .actions import go, settled

pytestmark = pytest.mark.browser
SMALL = "random:normal?rows=64&cols=512&outliers=0.01"
TEN = [f"int{bits}-{kind}-b{block}" for block in (32, 64) for bits in (4, 3, 8) for kind in ("sym", "asym")][:10]
DRAWN = """() => {
  window.drawn = {};
  for (const plot of document.querySelectorAll('.js-plotly-plot')) {
    const key = plot.closest('[class*=st-key-figure_]').className.match(/st-key-(figure_\\w+)/)[1];
    plot.on('plotly_afterplot', () => window.drawn[key] = (window.drawn[key] ?? 0) + 1);
  }
}"""
ALL_SHOW = "scheme => document.querySelector('.st-key-figure_weights [role=img]').ariaLabel.includes(scheme + ',')"
RANGE = "document.querySelector('.st-key-figure_weights .js-plotly-plot')._fullLayout.xaxis.range"
WIDTH = f"{RANGE}[1] - {RANGE}[0]"
FIGURES = ["block", "codes", "errors", "map", "weights"]


def test_zoom_stays_over_ten_changes_of_scheme_and_each_figure_is_drawn_once_a_change(page: Page, address: str):
    go(page, address, ref=SMALL, scheme="int2-sym-b32")
    expect(page.locator(".js-plotly-plot .main-svg .xtick").nth(8)).to_be_attached()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 5")
    area = page.locator(".st-key-figure_weights .nsewdrag")
    area.scroll_into_view_if_needed()
    box, whole = area.bounding_box(), page.evaluate(WIDTH)
    across = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], across)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], across, steps=4)
    page.mouse.up()
    page.wait_for_function(f"{WIDTH} < {whole / 2}")
    zoomed = page.evaluate(RANGE)
    page.evaluate(DRAWN)
    key = page.get_by_test_id("stSidebar").get_by_role("textbox", name="Scheme key")
    for scheme in TEN:
        page.evaluate("window.drawn = {}")
        key.fill(scheme)
        key.press("Enter")
        page.wait_for_function(ALL_SHOW, arg=scheme)
        page.wait_for_function("Object.keys(window.drawn).length === 5")
        settled(page)
        page.wait_for_timeout(150)
        assert page.evaluate("window.drawn") == {f"figure_{name}": 1 for name in FIGURES}, scheme
        assert page.evaluate(RANGE) == zoomed
    page.locator(".st-key-figure_weights .qv-figure").hover()
    page.locator(".st-key-figure_weights").get_by_role("button", name="Show all").click()
    page.wait_for_function(f"{WIDTH} > {whole * 0.99}")


def test_where_the_script_is_blocked_the_page_says_so_and_draws_without_it(page: Page, address: str):
    page.route("**/component/**", lambda route: route.abort())
    go(page, address, ref=SMALL, scheme="int4-sym-b32")
    expect(page.get_by_text("blocks the script that redraws figures in place")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(5)
    expect(page.locator(".qv-figure")).to_have_count(0)
