"""Figures follow the hand in a real browser: redrawn in place and once, keeping their zoom; and what if they cannot."""

from __future__ import annotations

import base64
import random
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect
from plotly.graph_objects import Bar, Figure

from pages.components.shared import charts
from quantviz.figures import to_bytes
from quantviz.figures.style import ORIGINAL, figure, legend

from .actions import go, settled

pytestmark = pytest.mark.browser
SMALL = "random:normal?rows=64&cols=512&outliers=0.01"
TEN = [f"int{bits}-{kind}-b{block}" for block in (32, 64) for bits in (4, 3, 8) for kind in ("sym", "asym")][:10]
DRAWN = """() => {
  window.drawn = {};
  for (const plot of document.querySelectorAll('.js-plotly-plot')) {
    const key = plot.closest('[class*=st-key-figure_]').className.match(/st-key-(figure_\\w+)/)[1];
    plot.on('plotly_afterplot', () => window.drawn[key] = (window.drawn[key] ?? 0) + 1);
  }
}"""
ALL_SHOW = "scheme => document.querySelector('.st-key-figure_weights [role=img]').ariaLabel.includes(scheme + ',')"
RANGE = "document.querySelector('.st-key-figure_weights .js-plotly-plot')._fullLayout.xaxis.range"
TRACE = RANGE.replace("_fullLayout.xaxis.range", "_fullData[0]")
WIDTH = f"{RANGE}[1] - {RANGE}[0]"
# The CRC-32 of each inflated text, so that no large ones are handed over.
INFLATED = """async ([packed, sizes]) => {
  const {inflate} = await window.ours;
  const crc = bytes => {
    let sum = -1;
    for (const byte of bytes) {
      sum ^= byte;
      for (let i = 0; i < 8; i++) sum = sum >>> 1 ^ 0xEDB88320 & -(sum & 1);
    }
    return ~sum >>> 0;
  };
  return packed.map((text, i) => crc(inflate(Uint8Array.from(atob(text), c => c.charCodeAt(0)), sizes[i])));
}"""
# Shows a figure, or one and then the other in its place, and takes it away at once; gives how often Plotly drew.
PASSING = """async packets => {
  const {show, remove} = await window.qvFigures;
  const sent = packets.map(packet => Uint8Array.from(atob(packet), c => c.charCodeAt(0)));
  let drawn = 0;
  for (const times of [1, 2]) {
    const parentElement = document.body.appendChild(document.createElement('div'));
    for (const data of sent.slice(0, times)) {
      show({parentElement, data, setTriggerValue() {}});
      drawn += parentElement.querySelectorAll('.main-svg').length > 0;
    }
    remove(parentElement);
    parentElement.remove();
  }
  await new Promise(done => setTimeout(done, 300));
  return drawn;
}"""
# Shows a figure so many pixels wide; gives its rows of legend, and whether all end inside it.
NARROW = """async ([packet, width]) => {
  const {show, remove} = await window.qvFigures;
  const parentElement = document.querySelector('.qv-figure').parentElement.appendChild(document.createElement('div'));
  parentElement.style.width = `${width}px`;
  show({parentElement, data: Uint8Array.from(atob(packet), c => c.charCodeAt(0)), setTriggerValue() {}});
  await new Promise(done => setTimeout(done, 200));
  const rows = [...parentElement.querySelectorAll('.annotation-text')].map(row => row.getBoundingClientRect());
  const right = parentElement.getBoundingClientRect().right, top = parentElement.getBoundingClientRect().top;
  remove(parentElement);
  parentElement.remove();
  return [rows.length, rows.every(row => row.right <= right && row.top >= top)];
}"""
# How wide the first figure is while the page is printed, and after.
PRINTED = """() => ['beforeprint', 'afterprint'].map(now => {
  dispatchEvent(new Event(now));
  return document.querySelector('.qv-figure .main-svg').getBoundingClientRect().width;
})"""
PAPER = 645
FIGURES = ["block", "codes", "errors", "map", "weights"]


def test_zoom_stays_over_ten_changes_of_scheme_and_each_figure_is_drawn_once_a_change(page: Page, address: str):
    go(page, address, ref=SMALL, scheme="int2-sym-b32")
    expect(page.get_by_role("button", name="draw them without it")).to_have_count(0)
    expect(page.locator(".js-plotly-plot .main-svg .xtick").nth(8)).to_be_attached()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length === 5")
    area = page.locator(".st-key-figure_weights .nsewdrag")
    area.scroll_into_view_if_needed()
    box, whole = area.bounding_box(), page.evaluate(WIDTH)
    across = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], across)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], across, steps=4)
    page.mouse.up()
    page.wait_for_function(f"{WIDTH} < {whole / 2}")
    zoomed = page.evaluate(RANGE)
    page.evaluate(DRAWN)
    key = page.get_by_test_id("stSidebar").get_by_role("textbox", name="Scheme key")
    for scheme in TEN:
        page.evaluate("window.drawn = {}")
        key.fill(scheme)
        key.press("Enter")
        page.wait_for_function(ALL_SHOW, arg=scheme)
        page.wait_for_function("Object.keys(window.drawn).length === 5")
        settled(page)
        page.wait_for_timeout(150)
        assert page.evaluate("window.drawn") == {f"figure_{name}": 1 for name in FIGURES}, scheme
        assert page.evaluate(RANGE) == zoomed
    legend = page.locator(".st-key-figure_weights .annotation-text").first
    legend.click(position={"x": 30, "y": 8})
    page.wait_for_function(f"{TRACE}.visible === false")
    key.fill("nf4-b64")
    key.press("Enter")
    page.wait_for_function(ALL_SHOW, arg="nf4-b64")
    assert page.evaluate(f"[{TRACE}.name, {TRACE}.visible]") == ["original", False]
    page.locator(".st-key-figure_weights .qv-figure").hover()
    page.locator(".st-key-figure_weights").get_by_role("button", name="Show all").click()
    page.wait_for_function(f"{WIDTH} > {whole * 0.99} && {TRACE}.visible === true")


def test_figures_follow_a_slider_by_a_sample_and_the_page_where_it_rests(page: Page, address: str):
    go(page, address, ref="random:normal?rows=512&cols=2048&outliers=0.001", scheme="int4-sym-b64")
    slider = page.get_by_role("slider", name="Block")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=5)
    expect(page.get_by_text(re.compile("int4-sym-tensor, sample of [0-9.]+% of the rows"))).to_be_visible()
    page.wait_for_function(ALL_SHOW, arg="int4-sym-tensor")
    expect(page.get_by_role("heading", name="weight under int4-sym-b64")).to_be_visible()
    page.mouse.up()
    expect(page.get_by_role("heading", name="weight under int4-sym-tensor")).to_be_visible()
    expect(page.get_by_text("sample of")).to_have_count(0)
    page.get_by_label("What the slider turns").select_option("Outlier magnitude")
    slider = page.get_by_role("slider", name="Outlier magnitude")
    slider.dispatch_event("pointerdown")  # held: a key alone may rest before its sample is there
    slider.press("ArrowLeft")
    expect(page.get_by_text(re.compile("int4-sym-tensor, sample of"))).to_be_visible()
    slider.dispatch_event("pointerup")
    page.wait_for_url(re.compile("magnitude%3D17"))
    settled(page)


def test_a_figure_goes_quietly_while_it_is_drawn_keeps_its_legend_inside_and_fits_on_paper(page: Page, address: str):
    go(page, address, ref=SMALL, scheme="int4-sym-b32")
    expect(page.locator(".qv-figure .main-svg").first).to_be_attached()
    bars = [to_bytes(Figure(Bar(y=[1, 2, height])), alt="three bars") for height in (3, 4)]
    assert page.evaluate(PASSING, [base64.b64encode(packet).decode() for packet in bars]) == 3
    assert not page.problems
    entries = [("solid", ORIGINAL, f"name {i} of <a> & line") for i in range(4)]
    packet = to_bytes(figure([Bar(y=[1, 2])], "two bars", "x", "y", annotations=[legend(*entries)]), alt="two bars")
    found = [page.evaluate(NARROW, [base64.b64encode(packet).decode(), width]) for width in (900, 420, 240)]
    assert found == [[1, True], [2, True], [4, True]]
    on_paper, on_screen = page.evaluate(PRINTED)
    assert on_paper < PAPER < on_screen  # pixels; an upright page has no more
    page.emulate_media(media="print")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()


def test_the_script_reads_what_was_compressed(page: Page):
    ours = (Path(charts.__file__).parent / "browser" / "inflate.js").read_text("utf-8")
    load = "s => { window.ours = import(URL.createObjectURL(new Blob([s], {type: 'text/javascript'}))) }"
    page.evaluate(load, ours)
    rng = random.Random(0)
    kinds = [
        rng.randbytes,
        lambda n: b"x" * n,
        lambda n: bytes(rng.choices(b"abc", k=n)),
        lambda n: (b'{"a":1,' * n)[:n],
    ]
    cases = [(kind(size), level) for size in (0, 1, 300, 70_000) for kind in kinds for level in (0, 1, 9)]
    packed = [base64.b64encode(zlib.compress(data, level)).decode() for data, level in cases]
    fixed = zlib.compressobj(9, strategy=zlib.Z_FIXED)
    cases.append((b"as it is told", 9))
    packed.append(base64.b64encode(fixed.compress(cases[-1][0]) + fixed.flush()).decode())
    found = page.evaluate(INFLATED, [packed, [len(data) for data, _ in cases]])
    assert found == [zlib.crc32(data) for data, _ in cases]


def test_where_the_script_is_blocked_the_page_says_so_and_draws_without_it(page: Page, address: str):
    page.route("**/component/**", lambda route: route.abort())
    go(page, address, ref=SMALL, scheme="int4-sym-b32")
    expect(page.get_by_text("blocks the script that redraws figures in place")).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(5)
    expect(page.locator(".qv-figure")).to_have_count(0)


def test_a_figure_for_a_paper_is_dark_on_white_with_a_caption(page, address, tmp_path):
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    go(page, address, ref=SMALL, scheme="int4-sym-b64")
    figure = page.locator(".qv-figure").first
    expect(figure.locator(".main-svg").first).to_be_attached()
    figure.hover()
    figure.get_by_role("button", name="Save for a paper").click()
    asked = page.locator("dialog.qv-paper")
    asked.get_by_label("Kind").select_option("SVG")
    asked.get_by_label("Width").fill("80")
    asked.get_by_label("Height").fill("60")
    asked.get_by_label("Title").fill("a <b> & c")
    expect(asked.get_by_label("Caption")).to_have_value(re.compile("under int4-sym-b64, quantviz "))
    with page.expect_download() as saved:
        asked.get_by_role("button", name="Save").click()
    assert saved.value.suggested_filename.endswith("int4-sym-b64.svg")
    saved.value.save_as(tmp_path / "figure.svg")
    drawn = ElementTree.parse(tmp_path / "figure.svg").getroot()
    text = "".join(drawn.itertext())
    assert (drawn.get("width"), drawn.get("height")) == ("80mm", "60mm")
    assert "a <b> & c" in text and "under int4-sym-b64" in text and "font/woff2;base64" in text
    ground = next(node for node in drawn.iter("{http://www.w3.org/2000/svg}rect"))
    assert "fill: rgb(255, 255, 255)" in ground.get("style")


def test_where_no_script_runs_at_all_a_button_draws_without_it(page: Page, address: str):
    page.add_init_script("URL.createObjectURL = () => 'blob:nothing'")
    page.goto(f"{address}/number_formats")
    page.get_by_role("button", name="draw them without it").click()
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    expect(page.get_by_text("blocks the script that redraws figures in place")).to_be_visible()
