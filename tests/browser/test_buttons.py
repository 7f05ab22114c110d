"""Every button, choice, switch, link and fold of every page is pressed: none of them may break the page.

With data, and without: with a reference that is wrong and a model that is not there. What can be
pressed is looked for anew after each press, so a new control is pressed without a word here.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Error, Locator, Page, expect

from .actions import page_without_figures
from .conftest import PATIENCE

pytestmark = pytest.mark.browser
SMALL = "random:normal?rows=64&cols=256&outliers=0.01"
MOST = 150  # presses of one page: more is a button that makes buttons
# Those of the other pages are pressed without a browser: tests/pages/test_links.
PAGES = "quality", "published_files", "throughput"
WITH_MODEL = "", "published_files"
FEW = {"schemes": ["int4-sym-b64", "mxfp4"]}
# What keeps each page quick.
QUICK: dict[str, dict] = {
    "compare": FEW, "outliers": {"edit": "inject"},
    "whole_model": {"schemes": ["int4-sym-b64", "int8-sym-b32"]},
    "quality": {"measured": "int4-asym-b32", "tokens": "256", "context": "128", "length": "10",
                "calibration_tokens": "256"},
    "throughput": FEW | {"workloads": "evaluate", "tensor_shape": "64x256", "rounds": "3", "seconds": "1"},
}  # fmt: skip
ABSENT = {"ref": "hf:someone/absent", "model": "hf:someone/absent", "beside": "hf:someone/absent"}
LONG = re.compile(r"^(Start|Measure|Collect|Write|Set the largest|Compare (all|every)|Evaluate)")
LOADING = 180_000  # milliseconds: a machine on which nothing is loaded imports torch and transformers in one press
SOON = 400  # milliseconds after which anything else that goes on is stopped too

# Presses the first thing that can be pressed and was not; gives its name. What belongs to Streamlit's own frame is left
# out: tools of charts and tables, question marks, arrows that open a list, and the bar at the top.
PRESS = """
([pressed, roots]) => {
  const own = [
    'button[data-testid^="stBaseButton-"]:not([data-testid$="headerNoPadding"]):not([data-testid$="Toolbar"])',
    '[data-testid=stButtonGroup] button', '[role=switch]', 'summary', '[data-testid=stPopoverButton]',
    'button[data-testid^=stNumberInputStep]', 'button[data-testid=stNumberInputClearButton]',
    'button[aria-label="Clear all"]', 'button[aria-label^="Remove "]',
  ].join();
  const name = e => {
    const copy = (e.closest('label') || e).cloneNode(true);
    copy.querySelectorAll('[data-testid=stIconMaterial]').forEach(icon => icon.remove());
    const field = e.closest('[data-testid=stNumberInput], [data-testid=stMultiSelect], [data-testid=stButtonGroup]');
    const of = field?.querySelector('[data-testid=stWidgetLabel]')?.textContent.replace(/ [(].*/, '');
    const said = e.ariaLabel || copy.textContent.trim() || e.closest('[class*=st-key-]')?.className || 'nameless';
    return (of ? of + ': ' : '') + said.replace(/^Remove .*/, 'Remove one');
  };
  const isShown = e => e.matches('[role=switch]')
    || e.getClientRects().length && e.checkVisibility({visibilityProperty: true});
  // From the foot up: what results offer is pressed before the controls above change them.
  const found = roots.flatMap(root => [...document.querySelectorAll(root)])
    .flatMap(at => [...at.querySelectorAll(own)].reverse()).filter(e => isShown(e) && !e.disabled)
    .map(e => [name(e), e]).filter(([said]) => !/(^|: )Help( |$)/.test(said) && !pressed.includes(said));
  found.sort(([, a], [, b]) => (a.ariaChecked === 'true') - (b.ariaChecked === 'true'));  // what is chosen comes last
  found[0]?.[1].click();
  return found[0]?.[0];
}
"""
# Says at once what must never be seen, so that nothing is missed between two looks.
WATCH = """
new MutationObserver(() => document.querySelectorAll('[data-testid=stException]:not([data-told])').forEach(e => {
  e.dataset.told = 1;
  window.foundFault(e.innerText);
})).observe(document, {childList: true, subtree: true});
"""
# What was pressed shows as a run that has begun; where it has not soon, the page needed none.
BEGUN = """
async () => {
  const idle = () => document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]');
  for (const end = performance.now() + 120; idle() && performance.now() < end;)
    await new Promise(done => setTimeout(done, 10));
}
"""
AT_REST = """
() => document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
  && document.querySelector('[data-testid=stMain] :is(h1, h2, [data-testid=stAlert])')
"""
# Whether something goes on; stops it where asked.
STOP = """
stop => {
  const main = document.querySelector('[data-testid=stMain]');
  const buttons = [...main.querySelectorAll('button')]
    .filter(e => /^Stop( it)?$/.test(e.innerText.trim().split('\\n').pop()));
  const enabled = buttons.filter(e => !e.disabled);
  if (stop) enabled[0]?.click();
  return buttons.length > 0 || main.querySelector('[data-testid=stProgress]') !== null;
}
"""
MAIN = ["[data-testid=stPopoverBody]", "[data-testid=stDialog]", "[data-testid=stMain]"]


@pytest.fixture(scope="module")
def window(lasting: BrowserContext, address: str) -> Iterator[Page]:
    """One window for all pages, which notes every fault."""
    page = page_without_figures(lasting)
    page.faults = []
    page.expose_function("foundFault", lambda said: page.faults.append(said))
    page.add_init_script(WATCH)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("request", lambda request: _is_foreign(request.url, address) and page.faults.append(request.url))
    yield page
    page.close()


def _is_foreign(url: str, address: str) -> bool:
    return not url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))


def at_rest(page: Page) -> None:
    page.evaluate(BEGUN)
    page.wait_for_function(AT_REST, timeout=LOADING)


def in_progress(page: Page):
    return page.locator("[data-testid=stMain] [data-testid=stProgress]")


def open_page(page: Page, address: str, path: str, **view) -> None:
    page.goto(f"{address}/{path}?{urlencode(view, doseq=True)}")
    at_rest(page)
    expect(in_progress(page)).to_have_count(0)
    at_rest(page)
    assert not page.faults


def press_all(page: Page, roots: list[str]) -> list[str]:
    """Names of what was pressed, one after another; stops at the first fault. Every page has something to press."""
    pressed: list[str] = []
    while not page.faults and (name := _press_next(page, pressed, roots)):
        pressed.append(name)
        assert len(pressed) < MOST, pressed
        at_rest(page)
        _stop(page, after=0 if LONG.match(name) else SOON)
        if page.get_by_test_id("stDialog").count():
            page.keyboard.press("Escape")
    assert not page.faults, f"{page.faults.pop()}\nafter {pressed}"
    return pressed


def _press_next(page: Page, pressed: list[str], roots: list[str]) -> str | None:
    """The name of what was pressed; None where nothing is left on a page that stays as it is."""
    if not pressed:
        return page.wait_for_function(PRESS, arg=[pressed, roots], timeout=LOADING).json_value()
    if name := page.evaluate(PRESS, [pressed, roots]):
        return name
    page.wait_for_timeout(SOON)  # between two runs of its script a page may be at rest for a moment
    at_rest(page)
    return page.evaluate(PRESS, [pressed, roots])


def _stop(page: Page, after: int) -> None:
    """What goes on is stopped, on a page at rest, which is at rest afterwards."""
    waited = 0
    while page.evaluate(STOP, waited >= after):
        page.wait_for_timeout(200)
        waited += 200
        assert waited < PATIENCE, "It does not stop."
    if waited:
        at_rest(page)


@pytest.mark.parametrize("path", PAGES)
def test_every_button_of_a_page_with_a_random_tensor(window, address, path):
    open_page(window, address, path, ref=SMALL, **QUICK.get(path, {}))
    press_all(window, MAIN)


@pytest.mark.parametrize("path", ["", "published_files"], ids=lambda path: path or "explore")
def test_every_button_of_a_page_with_a_model(window, address, path):
    open_page(window, address, path, ref="demo", beside="demo", gguf="Named mixes", **QUICK.get(path, {}))
    press_all(window, MAIN)


@pytest.mark.parametrize("path", WITH_MODEL, ids=lambda path: path or "explore")
def test_every_button_of_a_page_whose_models_are_not_there(window, address, path):
    open_page(window, address, path, **{"ref": SMALL} | QUICK.get(path, {}) | ABSENT)
    reference = window.get_by_role("textbox", name="Reference")
    reference.fill("hf:someone/absent")
    reference.press("Enter")
    expect(window.get_by_test_id("stAlert").filter(has_text="someone/absent").first).to_be_visible()
    press_all(window, MAIN)


def test_a_walk_over_all_pages_and_back_keeps_what_is_chosen(window, address):
    open_page(window, address, "", ref=SMALL, scheme="int4-sym-b32", measured="int4-asym-b32", tokens="256")
    names = ["Explore", "Compare", "Outliers", "Quality", "Published files", "Throughput", "Number formats"]
    for name in [*names[1:], *names[-2::-1]]:
        window.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
        expect(window).to_have_title(f"{name} · quantviz")
        at_rest(window)
        asked = parse_qs(urlsplit(window.url).query)
        assert (asked["ref"], asked["scheme"]) == ([SMALL], ["int4-sym-b32"])
        assert not window.faults, f"{window.faults.pop()}\n{name}"


def _tick(table: Locator, shown: Locator) -> None:
    """Ticks the first row of a table, until what that shows is there: on a page that moves a click lands elsewhere."""
    for _ in range(4):
        with contextlib.suppress(Error):  # the table may be drawn anew in the meantime
            table.scroll_into_view_if_needed()
            table.click(position={"x": 20, "y": 52})
            return shown.wait_for(timeout=PATIENCE / 4)
    raise AssertionError(f"{shown} does not show what a row of {table} is.")


@pytest.mark.parametrize(("path", "named"), [("compare", "schemes"), ("quality", "measured")])
def test_a_row_opens_its_scheme_in_explore(window, address, path, named):
    view = {"tensor": "model.layers.1.mlp.down_proj.weight", **QUICK[path], named: ["nf4-b64", "int4-asym-b32"]}
    open_page(window, address, path, ref="demo", **view)
    link = window.get_by_test_id("stMain").get_by_role("link", name=re.compile("^Open .* in Explore"))
    _tick(window.get_by_test_id("stDataFrame").first, link)
    scheme = re.search("Open (.*) in Explore", link.inner_text())[1]
    link.click()
    expect(window.get_by_role("heading", name=f"{view['tensor']} under {scheme}", exact=True)).to_be_visible()
    asked = parse_qs(urlsplit(window.url).query)
    assert urlsplit(window.url).path == "/explore" and asked["ref"] == ["demo"]
    assert (asked["scheme"], asked["tensor"]) == ([scheme], [view["tensor"]])
    at_rest(window)
    assert not window.faults
