"""What several browser tests do and look for."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import urlencode

from playwright.sync_api import Page, TimeoutError, expect

UNNAMED_CHARTS = """
[...document.querySelectorAll('[data-testid=stPlotlyChart]')]
  .filter(c => !c.querySelector('[aria-label], [alt]') && !c.getAttribute('aria-label')).length
"""


def go(page: Page, address: str, **view: str) -> None:
    page.goto(f"{address}/?{urlencode(view)}")
    settled(page)


def settled(page: Page) -> None:
    """Until a figure is there and the script is at rest."""
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_attached()
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible()


def metric(page: Page, label: str) -> str:
    box = page.get_by_test_id("stMetric").filter(has_text=label).first
    return box.get_by_test_id("stMetricValue").inner_text()


def number(text: str) -> float:
    return float(re.search(r"-?[\d.]+", text.replace("−", "-"))[0])


def choose(page: Page, label: str, option: str) -> None:
    """Picks an option of a list in the sidebar. A list that opens while the page still moves closes at once."""
    box = page.get_by_test_id("stSidebar").get_by_role("combobox", name=re.compile(f"{label}$"))
    wanted = page.get_by_role("option", name=option, exact=True)
    for _ in range(5):
        box.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        box.click()
        with contextlib.suppress(TimeoutError):
            return wanted.click(timeout=4000)
        page.keyboard.press("Escape")
    raise AssertionError(f"The list {label} does not stay open.")


def assert_fits_and_is_described(page: Page) -> None:
    """Nothing spills over the window's side, and every chart has alternative text."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(UNNAMED_CHARTS) == 0, "every chart has alternative text"
