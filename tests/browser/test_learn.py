"""Learn in a real browser: controls moved with the keyboard, numbers that follow, chapters one after the other."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from .conftest import PATIENCE

pytestmark = pytest.mark.browser
# Chapter -> label of its slider, and what is read before and after a press of the arrow.
MOVED = {
    "1 What a weight costs": ("Weights of the model, in billions", "8 billion weights", "14 billion weights"),
    "3 Rounding to integers": ("Number 1", "Scale 0.127143", "Scale 0.125714"),
    "4 One outlier": ("How far out the outlier lies", "38 of 127 become zero", "of 127 become zero"),
    "5 Blocks": ("Weights a block", "int4-sym-b64: error", "int4-sym-b32: error"),
}


def test_a_slider_moved_with_the_keyboard_changes_the_numbers(page: Page, address: str):
    page.set_default_timeout(PATIENCE)
    for chapter, (label, before, after) in MOVED.items():
        page.goto(f"{address}/learn?{urlencode({'chapter': chapter})}")
        main = page.get_by_test_id("stMain")
        expect(main.get_by_text(before).first).to_be_visible()
        slider = main.get_by_role("slider", name=label).first
        was = slider.get_attribute("aria-valuenow")
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(slider).not_to_have_attribute("aria-valuenow", was)
        expect(main.get_by_text(after).first).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_chapters_follow_one_another_and_nothing_scrolls_sideways_on_a_phone(page: Page, address: str):
    page.set_default_timeout(PATIENCE)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/learn")
    for title in ("2 How a float is built", "3 Rounding to integers"):
        page.get_by_test_id("stMain").get_by_role("button", name=title).last.click()
        page.wait_for_url(lambda url, title=title: urlencode({"chapter": title}) in url)
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
