"""Links and Back: an address opened afresh, and reached by Back, shows what it says; one change is one step."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
REF = "random:normal?rows=64&cols=128&outliers=0.001"
# What links set: page -> settings, each with the least, the greatest or another value of every control.
OUTLIERS = "edit=inject&inject_count=1&inject_magnitude=0.01&beyond=2&bits=2", "edit=remove&remove_sigmas=0.1&beyond=30"
SETTINGS = {"": ("axis=linear&range=all&block=1%2C1&scheme=int4-sym-b64", "pinned=none"), "outliers": OUTLIERS,
            "number_formats": ("number_format=int2&line_axis=linear", "block_type=q8_0")}  # fmt: skip


def at_rest(page: Page) -> None:
    page.wait_for_timeout(500)
    expect(page.locator('[data-test-script-state="notRunning"]')).to_be_attached()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def seen(page: Page) -> list[str]:
    """Figures, and what every field of the page and the sidebar says."""
    at_rest(page)
    figures = page.get_by_test_id("stMetricValue").all_inner_texts()
    return figures + page.evaluate("[...document.querySelectorAll('input')].map(field => field.value)")


@pytest.mark.parametrize(("path", "asked"), [(path, asked) for path, each in SETTINGS.items() for asked in each])
def test_a_link_shows_afresh_and_on_back_what_it_says(page, address, path, asked):
    page.goto(f"{address}/{path}?{urlencode({'ref': REF})}&{asked}")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    at_rest(page)
    expect(page.get_by_test_id("stAlert").filter(has_text="The link asks for")).to_have_count(0)
    first, url = seen(page), page.url
    page.get_by_test_id("stSidebar").get_by_role("link", name="Compare", exact=True).click()
    page.wait_for_url(f"{address}/compare**")
    at_rest(page)
    page.go_back()
    page.wait_for_url(url)
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    assert seen(page) == first


def test_one_change_is_one_step_back(page, address):
    page.goto(f"{address}/?{urlencode({'ref': REF})}")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    at_rest(page)
    begun, side = page.evaluate("history.length"), page.get_by_test_id("stSidebar")
    side.get_by_text("Demo", exact=True).click()
    page.wait_for_url("**ref=demo**")
    box = side.get_by_role("textbox", name="Scheme key")
    at_rest(page)
    box.fill("nf4-b64")
    box.press("Enter")
    page.wait_for_url("**scheme=nf4-b64**")
    at_rest(page)
    assert page.evaluate("history.length") == begun + 2
    page.go_back()
    expect(box).to_have_value("int4-sym-tensor")
    page.go_back()
    expect(side.get_by_role("textbox", name="Reference")).to_have_value(REF)
