"""Learn in a real browser: controls moved with the keyboard, numbers that follow, chapters one after the other."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from pages.components.learn.chapters import CHAPTERS as _CHAPTERS

from .actions import heading
from .conftest import PATIENCE

pytestmark = pytest.mark.browser
CHAPTERS = list(_CHAPTERS)
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


def at_rest(page: Page) -> None:
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(page.get_by_test_id("stMain").get_by_test_id("stProgress")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_chapters_follow_one_another_and_nothing_scrolls_sideways_on_a_phone(page: Page, address: str):
    """With the keyboard alone: to the answer, and on to the next chapter."""
    page.set_default_timeout(PATIENCE)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/learn")
    main = page.get_by_test_id("stMain")
    for i, title in enumerate(CHAPTERS):
        expect(main.get_by_role("radio", name=title)).to_be_checked()
        at_rest(page)
        answer = main.get_by_role("switch", name="Show the answer")
        answer.focus()
        page.keyboard.press("Space")
        expect(answer).to_be_checked()
        at_rest(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), title
        assert main.get_by_test_id("stPageLink").count() > 1, title
        assert main.get_by_test_id("stMarkdownBadge").or_(main.get_by_text("Claim ")).count(), title
        if i + 1 < len(CHAPTERS):
            main.get_by_role("button", name=CHAPTERS[i + 1]).focus()
            page.keyboard.press("Enter")


def test_a_class_sees_large_type_and_keys_turn_the_chapters(page: Page, address: str):
    page.set_default_timeout(PATIENCE)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto(f"{address}/learn?{urlencode({'chapter': CHAPTERS[3], 'present': 1, 'learn_sigmas': 20})}")
    heading(page, CHAPTERS[3])
    expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    expect(page.locator(".js-plotly-plot .xtick text").first).to_have_css("font-size", "19.2px")  # 12 on other screens
    expect(page.get_by_text("Here are 128").first).to_have_css("font-size", "24px")
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("ArrowRight")  # a slider keeps its arrows
    page.wait_for_url("**learn_sigmas=21**")
    link = page.get_by_role("link", name="Link to this chapter as it stands")
    expect(link).to_have_attribute("href", re.compile("^(?!.*present).*learn_sigmas=21"))
    page.keyboard.press("PageDown")
    heading(page, CHAPTERS[4])
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    heading(page, CHAPTERS[3])
    expect(slider).to_have_value("21")
    page.keyboard.press("Escape")
    heading(page, "Learn")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
