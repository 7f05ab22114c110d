"""How the app looks to different eyes and hands: contrast, both themes, a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from .actions import THEMES, pick, settled
from .conftest import PATIENCE

pytestmark = pytest.mark.browser

SMALL = "ref=random:normal%3Frows%3D64%26cols%3D256"
# Whether the first figure has been drawn in the colours of a theme.
DRAWN_IN = """isDark => {
  const ink = getComputedStyle(document.querySelector('.js-plotly-plot .ytitle')).fill.match(/[\\d.]+/g).map(Number);
  return (ink[0] > 128) === isDark;
}"""
READABLE = 4.5  # WCAG 2.2, 1.4.3: contrast of text to its ground

# Contrast of what is written in the first element that a selector finds, its opacity and ground included.
CONTRAST = """selector => {
  const element = document.querySelector(selector), style = getComputedStyle(element);
  const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  let alpha = 1, ground = null;
  for (let n = element; n; n = n.parentElement) {
    alpha *= Number(getComputedStyle(n).opacity);
    const background = getComputedStyle(n).backgroundColor;
    if (!ground && background !== 'rgba(0, 0, 0, 0)') ground = rgb(background);
  }
  const ink = rgb(element instanceof SVGElement ? style.fill : style.color);
  const light = colour => colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const seen = ink.map((c, i) => alpha * c + (1 - alpha) * ground[i]);
  const [high, low] = [light(seen), light(ground)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}"""


def opened(page: Page, address: str, path: str = "") -> Page:
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}/{path}?{SMALL}")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    return page


def test_small_print_and_the_words_of_figures_can_be_read_and_the_theme_can_be_switched(page: Page, address: str):
    page.emulate_media(color_scheme="light")
    settled(opened(page, address))
    for theme, ground in THEMES.items():
        page.emulate_media(color_scheme=theme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", ground)
        page.wait_for_function(DRAWN_IN, arg=theme == "dark")
        for selector in (
            '[data-testid="stMain"] [data-testid="stCaptionContainer"] p', ".js-plotly-plot .xtick text",
            ".js-plotly-plot .ytitle", ".js-plotly-plot .annotation-text",
        ):  # fmt: skip
            assert page.evaluate(CONTRAST, selector) >= READABLE, selector
    page.emulate_media(color_scheme="light")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", THEMES["light"])
    pick(page, page.get_by_test_id("stMainMenu").get_by_role("button"), page.get_by_role("menuitemradio", name="Dark"))
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", THEMES["dark"])


def test_on_a_phone_nothing_lies_on_a_legend_and_nothing_runs_out_of_the_screen(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = opened(context.new_page(), address)
    settled(page)
    figure = page.locator(".qv-figure").first
    more, save = (figure.get_by_role("button", name=name) for name in ("Tools of the figure", "Save as a picture"))
    expect(more).to_be_visible()
    expect(save).not_to_be_visible()
    more.tap()
    expect(save).to_be_visible()
    bar, legend = (figure.locator(at).first.bounding_box() for at in (".qv-bar", ".annotation-text"))
    assert bar["y"] > legend["y"] + legend["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


# What is cut off of links, and headings that the bar of a table lies on: by their texts.
HIDDEN = """() => {
  const main = document.querySelector('[data-testid=stMain]'), shown = at => [...main.querySelectorAll(at)];
  const cut = shown('[data-testid=stPageLink] p').filter(e => e.scrollWidth > e.clientWidth);
  const bars = shown('[data-testid=stElementToolbar]').map(e => e.getBoundingClientRect());
  const words = shown('h1, h2, h3, h4, [data-testid=stCaptionContainer] p, [data-testid=stMarkdownContainer] > p');
  const under = words.filter(e => {
    const range = document.createRange();
    range.selectNodeContents(e);
    return [...range.getClientRects()].some(a => bars.some(b =>
      a.width && b.width && a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1));
  });
  return [...cut, ...under].map(e => e.innerText);
}"""


def test_on_a_phone_links_are_whole_and_the_bars_of_tables_lie_on_no_words(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    schemes = "schemes=int4-asym-b32&schemes=int8-sym-b32"
    page.goto(f"{address}/whole_model?ref=demo&{schemes}&cell=1,mlp+down")
    expect(page.get_by_role("link", name="Open model.layers.1.mlp.down_proj.weight in Explore")).to_be_visible()
    expect(page.locator("[data-testid=stMain] [data-testid=stElementToolbar]").nth(2)).to_be_attached()
    assert page.evaluate(HIDDEN) == []
    page.goto(f"{address}/compare?{SMALL}&schemes=int4-sym-b64&schemes=mxfp4")
    settled(page)
    expect(page.get_by_role("heading", name="Every metric")).to_be_visible()
    assert page.evaluate(HIDDEN) == []
    context.close()


# Pairs of lines of a figure's annotations that lie on one another, each cut where its own box ends.
OVER_ONE_ANOTHER = """selector => {
  const lines = [...document.querySelectorAll(selector)].flatMap(note => {
    const box = note.querySelector('.bg').getBoundingClientRect();
    const texts = [...note.querySelectorAll('tspan.line')];
    return (texts.length ? texts : [note.querySelector('text')]).map(e => {
      const {left, right, top, bottom} = e.getBoundingClientRect();
      return {left, right: Math.min(right, box.right), top, bottom, text: e.textContent};
    });
  });
  return lines.flatMap((a, i) => lines.slice(0, i).filter(b =>
    a.left < b.right && b.left < a.right && a.top < b.bottom - 4 && b.top < a.bottom - 4).map(b => [a.text, b.text]));
}"""


@pytest.mark.parametrize("width", [390, 1280])
def test_titles_of_panels_do_not_lie_on_one_another(page: Page, address: str, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}/compare?{SMALL}&schemes=int4-asym-b64:clip%3D99.9&schemes=int8-sym-b64&pinned=int4-sym-b64")
    settled(page)
    panels = page.locator(".st-key-figure_histograms .annotation")
    expect(panels.first).to_be_attached()
    assert page.evaluate(OVER_ONE_ANOTHER, ".st-key-figure_histograms .annotation") == []
