"""Whole model in a real browser: from an empty page to a downloaded recipe, a cell opened in Explore and back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .actions import UNNAMED_CHARTS
from .conftest import PATIENCE

pytestmark = pytest.mark.browser
SCHEMES = "schemes=int4-asym-b32&schemes=int8-sym-b32&schemes=int3-asym-b32"


def test_from_an_empty_page_to_a_recipe_and_to_explore_and_back(page: Page, address: str, tmp_path: Path):
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}/whole_model?{SCHEMES}")
    page.get_by_role("button", name="Open the demo model").click()
    expect(page.get_by_role("heading", name="The model under each scheme")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="Spend a bit budget")).to_be_visible()
    main = page.get_by_test_id("stMain")
    cell = main.get_by_role("textbox", name="Cell")
    cell.fill("1,mlp down")
    cell.press("Enter")
    expect(main.get_by_text("Layer 1, mlp down")).to_be_visible()
    with page.expect_download() as saved:
        main.get_by_role("button", name="Download the recipe").click()
    saved.value.save_as(tmp_path / "recipe")
    assert "=int" in (tmp_path / "recipe").read_text()
    assert page.evaluate(UNNAMED_CHARTS) == 0
    main.get_by_role("link", name=re.compile("Open model.layers.1.mlp.down_proj.weight in Explore")).first.click()
    expect(page).to_have_title("Explore · quantviz")
    page.go_back()
    expect(main.get_by_text("Layer 1, mlp down")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1920)])
def test_nothing_spills_over(page: Page, address: str, theme: str, width: int):
    page.set_default_timeout(PATIENCE)
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{address}/whole_model?ref=demo&{SCHEMES}")
    expect(page.get_by_role("heading", name="Spend a bit budget")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
