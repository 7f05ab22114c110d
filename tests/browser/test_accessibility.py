"""Every page has a title and one first heading, asks no other host, and breaks no rule of WCAG 2.2 AA that axe-core can
check, light on a phone or dark and wide; none is excepted."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from .actions import THEMES, has_run, page_without_figures

pytestmark = pytest.mark.browser
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
SMALL = "random:normal?rows=64&cols=256&outliers=0.01"
FEW = ["int4-sym-b64", "q4_0"]
TITLES = {
    "learn": "Learn", "explore": "Explore", "compare": "Compare", "outliers": "Outliers", "quality": "Quality",
    "whole_model": "Whole model", "published_files": "Published files", "throughput": "Throughput",
    "number_formats": "Number formats", "glossary": "Glossary",
}  # fmt: skip
# Each page with results on it, and quick: (path, what its address says).
VIEWS: list[tuple[str, dict]] = [
    ("learn", {}),
    ("learn", {"chapter": "3 Rounding to integers"}),
    ("learn", {"chapter": "4 One outlier", "present": "1"}),
    ("learn", {"chapter": "6 What a model does"}),
    ("explore", {"ref": SMALL}),
    ("compare", {"ref": SMALL, "schemes": FEW}),
    ("outliers", {"ref": SMALL, "edit": "inject"}),
    ("quality", {"measured": "int4-asym-b32", "tokens": "256", "context": "128", "length": "10"}),
    ("whole_model", {"ref": SMALL}),
    ("published_files", {"ref": "demo", "gguf": "Named mixes"}),
    ("throughput", {"schemes": FEW}),
    ("number_formats", {}),
    ("glossary", {}),
]
FIGURES = "explore"  # where they are drawn too: that takes most of the time
PHONE, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 1000}
LOOKS = (("light", PHONE), ("dark", WIDE))  # on a phone the sidebar is closed
WITH_SIDEBAR = ("light", WIDE)  # of one page: all have the same
WITH_CODE = ("light", {"width": 1920, "height": 1080})  # what is out of sight, axe-core does not look at
MORE = {FIGURES: (WITH_SIDEBAR,), "number_formats": (WITH_CODE,)}


def test_no_page_breaks_a_rule_of_wcag_or_asks_another_host(lasting: BrowserContext, page: Page, address: str):
    window, axe, broken, asked = page_without_figures(lasting), Axe(), [], []
    for at in (window, page):
        at.on("request", lambda request: asked.append(request.url))
    assert {path for path, _ in VIEWS} == set(TITLES)
    for path, said in VIEWS:
        at = page if path == FIGURES else window
        at.set_viewport_size(WIDE)
        at.goto(f"{address}/{path}?{urlencode(said, doseq=True)}")
        expect(at.get_by_role("heading", level=1)).to_have_count(1)
        expect(at).to_have_title(f"{TITLES[path]} · quantviz")
        if "present" not in said:
            expect(at.get_by_test_id("stSidebar").get_by_role("link", name="Number formats")).to_be_visible()
        expect(at.locator("[data-testid=stMain] [data-testid=stProgress]")).to_have_count(0)
        has_run(at)
        expect(at.locator("[data-stale=true]")).to_have_count(0)  # what is about to change is paler than it stays
        for theme, size in (*LOOKS, *MORE.get(path, ())):
            at.emulate_media(color_scheme=theme)
            at.set_viewport_size(size)
            expect(at.get_by_test_id("stApp")).to_have_css("background-color", THEMES[theme])
            closed = at.locator('[data-testid="stSidebar"][data-collapsed="true"]')
            expect(closed).to_have_count(int(size == PHONE))
            found = axe.run(at, options=RULES).response["violations"]
            broken += [(path, said, theme, v["id"], node["html"][:200]) for v in found for node in v["nodes"]]
    window.close()
    assert broken == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:", "ws:"))] == []
