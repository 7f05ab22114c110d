"""What several browser tests do and look for."""

from __future__ import annotations

import base64
import contextlib
import re
from urllib.parse import urlencode

from playwright.sync_api import BrowserContext, Error, Locator, Page, expect

WIDTHS = 1280, 1920
THEMES = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 21, 28)"}  # and the ground of each
FIGURES_HAVE_THEIR_WIDTH = """
() => [...document.querySelectorAll('.js-plotly-plot')].filter(e => e.checkVisibility()).every(figure => {
  const drawn = figure.querySelector('.main-svg')?.getBoundingClientRect().width;
  return Math.abs(drawn - figure.closest('.qv-figure').getBoundingClientRect().width) < 2;
})
"""
UNNAMED_CHARTS = """
[...document.querySelectorAll('.qv-figure, .js-plotly-plot')]
  .filter(c => !c.closest('.qv-figure')?.querySelector('[role=img]').ariaLabel).length
"""


def page_without_figures(context: BrowserContext) -> Page:
    """A page that draws no figures: drawing takes most of a browser's time, and figures have tests of their own.

    Playwright's own routes would switch the browser's cache off, and all scripts would be compiled at every visit.
    """
    page = context.new_page()
    session = context.new_cdp_session(page)
    nothing = {
        "responseCode": 200,
        "responseHeaders": [{"name": "Content-Type", "value": "text/javascript"}],
        "body": base64.b64encode(b"export const begin = async () => ({show() {}, remove() {}})").decode(),
    }
    session.on(
        "Fetch.requestPaused",
        lambda asked: session.send("Fetch.fulfillRequest", nothing | {"requestId": asked["requestId"]}),
    )
    session.send("Fetch.enable", {"patterns": [{"urlPattern": "*/figure.js?*"}]})
    return page


def go(page: Page, address: str, **view: str) -> None:
    page.goto(f"{address}/?{urlencode(view)}")
    settled(page)


def settled(page: Page) -> None:
    """Until a figure is there and the script is at rest."""
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_attached()
    has_run(page)


def has_run(page: Page) -> None:
    """Until the script is at rest, so that the page has been drawn whole."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible()


def metric(page: Page, label: str) -> str:
    box = page.get_by_test_id("stMetric").filter(has_text=label).first
    return box.get_by_test_id("stMetricValue").inner_text()


def number(text: str) -> float:
    return float(re.search(r"-?[\d.]+", text.replace("−", "-"))[0])


def choose(page: Page, label: str, option: str) -> None:
    """Picks an option of a list in the sidebar."""
    box = page.get_by_test_id("stSidebar").get_by_role("combobox", name=re.compile(f"{label}$"))
    pick(page, box, page.get_by_role("option", name=option, exact=True))


def pick(page: Page, opener: Locator, wanted: Locator) -> None:
    """Opens a list or menu and clicks on what it offers. One that opens while the page still moves closes at once, and
    one that is drawn anew meanwhile is looked for again."""
    for _ in range(5):
        with contextlib.suppress(Error):
            opener.scroll_into_view_if_needed()
            page.wait_for_timeout(300)
            opener.click()
            return wanted.click(timeout=4000)
        page.keyboard.press("Escape")
    raise AssertionError(f"{opener} does not stay open, or does not offer {wanted}.")


def assert_fits_and_is_described(page: Page) -> None:
    """Nothing spills over the side of a window of either width or theme, and every chart has alternative text."""
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", THEMES[theme])
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_function(FIGURES_HAVE_THEIR_WIDTH)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (theme, width)
    assert page.evaluate(UNNAMED_CHARTS) == 0, "every chart has alternative text"
