"""Learn in a real browser: controls moved with the keyboard, numbers that follow, chapters one after the other."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

from pages.components.learn.chapters import CHAPTERS as _CHAPTERS

from .actions import FIGURES_HAVE_THEIR_WIDTH, heading
from .conftest import PATIENCE

pytestmark = pytest.mark.browser
CHAPTERS = list(_CHAPTERS)
# Chapter -> role and name of a control, the key that moves it, and the numbers that follow it.
MOVED = {
    "1 What a weight costs": ("slider", "Weights of the model, in billions", "ArrowRight", r"4 bytes take [0-9.]+ GB"),
    "2 How a float is built": ("button", "mantissa bit 0", "Space", r"becomes [0-9.]+:"),
    "3 Rounding to integers": ("slider", "Number 1", "ArrowRight", r"Scale 0\.[0-9]+"),
    "4 One outlier": ("slider", "How far out the outlier lies", "ArrowRight", r"lose [0-9.]+% of"),
    "5 Blocks": ("slider", "Weights a block", "ArrowLeft", r"error [0-9.]+% of ‖x‖ at [0-9.]+ bits"),
    "6 What a model does": ("slider", "Bits a weight", "ArrowRight", r"KL divergence\s+[0-9.]+"),
    "7 Speed": ("slider", "Model, in weights", "ArrowRight", r"second: [0-9.,]+ in bf16"),
    "8 What people ship": ("radio", "FP8", "Space", r"You meet it in: .*"),
    "9 Which to use": ("slider", "Weights of the model, in billions", "ArrowRight", r"bits a weight, [0-9.]+ GB"),
}
TABS = 80  # more than there are places to go to in a chapter
WIDE, PHONE = {"width": 1280, "height": 1000}, {"width": 390, "height": 844}


def reach(page: Page, wanted: Locator, key: str) -> None:
    """Goes on until the keyboard is there."""
    for _ in range(TABS):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {wanted}.")


def moved(page: Page, main: Locator, chapter: str, way: str) -> None:
    """Moves the chapter's control, which `way` leads to, and waits until other numbers stand there."""
    role, name, key, numbers = MOVED[chapter]
    expect(main).to_contain_text(re.compile(numbers), use_inner_text=True)
    before = re.search(numbers, main.inner_text())[0]
    reach(page, main.get_by_role(role, name=name).first, way)  # a group is one stop: from behind, its last
    page.keyboard.press(key)
    expect(main).not_to_contain_text(before, use_inner_text=True)
    assert re.search(numbers, main.inner_text()), chapter


def test_the_keyboard_alone_goes_through_all_chapters_and_nothing_scrolls_sideways(page: Page, address: str):
    page.set_default_timeout(PATIENCE)
    page.set_viewport_size(WIDE)
    page.goto(f"{address}/learn?learn_gigabytes=64")
    main = page.get_by_test_id("stMain")
    answer = main.get_by_role("switch", name="Show the answer")
    for before, title in zip([None, *CHAPTERS], CHAPTERS, strict=False):
        if before:
            reach(page, main.get_by_role("button", name=title), "Tab")
            page.keyboard.press("Enter")
        expect(main.get_by_role("radio", name=title)).to_be_checked()
        moved(page, main, title, "Shift+Tab" if before else "Tab")
        reach(page, answer, "Tab")
        page.keyboard.press("Space")
        expect(answer).to_be_checked()
        for size in (PHONE, WIDE):
            page.set_viewport_size(size)
            page.wait_for_function(FIGURES_HAVE_THEIR_WIDTH)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (title, size)
        expect(main.get_by_test_id("stPageLink").nth(1), title).to_be_attached()
        expect(main.get_by_test_id("stMarkdownBadge").or_(main.get_by_text("Claim ")).first, title).to_be_attached()
        expect(page.get_by_test_id("stException")).to_have_count(0)


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
