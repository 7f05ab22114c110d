"""Links and Back: an address opened afresh, and reached by Back, shows what it says; one change is one step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from pages.components.link.address import NAMES, PAGES, SIDEBAR
from tests.sources.gguf_builder import demo

from .actions import has_run, heading, page_without_figures

pytestmark = pytest.mark.browser
REF = "random:normal?rows=64&cols=128&outliers=0.001"
FILE = "a file of GGUF"
LAYER = "model.layers.1.mlp.down_proj.weight"
ABSENT = "hf:someone/absent"  # a model that takes no time to measure
SHORT = {"measured": "int4-asym-b32", "tokens": "512", "context": "128"}

# Page -> groups of controls that are seen together, each key of the address with its default, least, greatest and
# another value, as far as there are such, None where the address has no word for it; then what it has besides.
SETTINGS: dict[str, list[tuple[dict[str, tuple], dict]]] = {
    "learn": [
        ({"chapter": ("1 What a weight costs",), "learn_size": ("70", "0.5"), "present": ("false",)}, {}),
        ({"learn_format": ("fp4_e2m1",), "learn_value": ("-1.3",)}, {"chapter": "2 How a float is built"}),
        ({**{f"learn_n{i}": (("-1", "1") if i % 2 else ("0", "0.37")) for i in range(1, 7)}, "learn_bits": ("2", "8"),
          "learn_symmetry": ("asymmetric", "symmetric")}, {"chapter": "3 Rounding to integers"}),
        ({"learn_sigmas": ("100", "0")}, {"chapter": "4 One outlier"}),
        ({"learn_block": ("16", "all"), "learn_codes": ("asymmetric",)}, {"chapter": "5 Blocks"}),
        ({"learn_sentence": ("The earth was without",), "learn_model_bits": ("2",),
          "learn_model_codes": ("asymmetric",), "learn_tokens": ("512",)},
         {"chapter": "6 What a model does"}),
        ({"learn_model": ("70b",)}, {"chapter": "7 Speed"}),
        ({"learn_shipped": ("AWQ",)}, {"chapter": "8 What people ship"}),
        ({"learn_weights": ("70",), "learn_gigabytes": ("1", "2000"), "learn_runtime": ("MLX on a Mac",),
          "learn_wish": ("as fast as stays usable",)}, {"chapter": "9 Which to use"}),
    ],
    "explore": [
        ({"ref": (REF, "random:student_t?rows=1&cols=1", "random:uniform?rows=512&cols=256&seed=99"),
          "scheme": ("int4-sym-tensor", "int1-sym-tensor", "fp32", "int4-asym-b48:clip=mse"),
          "pinned": ("int4-sym-b64", "none", "fp32", "nf4-b64"), "axis": ("log", "linear"),
          "range": ("±6σ", "all")}, {}),
        ({"tensor": ("model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight", LAYER),
          "rows": ("", "0:1", "0:64", "3:60"), "block": ("", "0,0", "0,1")}, {"ref": "demo", "scheme": "int4-sym-b32"}),
        ({"stored": ("0, 0", "7, 3")}, {"ref": FILE}),
    ],
    "compare": [
        ({"schemes": ("", "int4-sym-b64", ("nf4-b64", "q4_0", "int8-sym-tensor:keep=1%"))}, {}),
        ({"tensors": ("model.layers.*.self_attn.k_proj.weight", (LAYER, "model.embed_tokens.weight")),
          "tensors_metric": ("sqnr_db", "rmse"), "tensors_against": ("nothing", "pinned", "median")},
         {"ref": "demo", "rows": "0:8", "schemes": "nf4-b64"}),
    ],
    "outliers": [
        ({"edit": ("as it is",)}, {}),
        ({"inject_count": ("8", "1", "1000000000000", "65"), "inject_magnitude": ("20", "0.01", "1000000000", "5"),
          "inject_where": ("spread", "input channel", "output channel"), "beyond": ("6", "2", "30", "7.5"),
          "inject_channel": ("", "0", "63", "5"), "inject_seed": ("0", "9007199254740991", "3"),
          "bits": ("4", "2", "8", "5")}, {"edit": "inject"}),
        ({"remove_sigmas": ("6", "0.1", "1000000", "2.5"), "remove_how": ("zero", "clip"),
          "along": ("block size", "bits per weight"),
          "swept": ("relative_l2_error", "mean_relative_error", "rmse", "sqnr_db")}, {"edit": "remove"}),
        ({"remove_by": ("largest",), "remove_percent": ("0.1", "1e-06", "99", "12.5")}, {"edit": "remove"}),
    ],
    "quality": [
        ({"model": (ABSENT,), "text": ("demo", "own"), "text_id": ("", "0" * 64),
          "tokens": ("4096", "1", "all", "100000000"), "context": ("512", "1", "1048576", "100"),
          "method": ("llama.cpp", "sliding"), "layers": ("linear", ("linear", "embeddings"), "layers.*.mlp"),
          "measured": ("", "int8-sym-b32", ("down_proj=int8-sym-b32;*=int4-asym-b32", "nf4-b64"))}, {}),
        ({"calibration_text": ("demo", "own"), "calibration_id": ("", "0" * 64),
          "calibration_tokens": ("4096", "1", "all", "100000000"), "inputs": ("quantized", "stored"),
          "imatrix": ("false", "true")}, {}),
        ({"prompt": ("In the beginning", "x"), "length": ("40", "10", "120")}, SHORT),
    ],
    "published_files": [
        ({"gguf": ("File against original", "Several files", "Named mixes"), "beside": ("", ABSENT),
          "files": ("", (ABSENT, "demo"))}, {"ref": "demo"}),
        ({"mix": ("Q4_K_M", "Q4_0", "MXFP4_MOE", "IQ1_S"), "mix_importance": ("false", "true")},
         {"ref": "demo", "gguf": "Named mixes"}),
    ],
    "whole_model": [
        ({"sweep_schemes": (("int4-asym-b32", "int8-sym-b32"),), "sample": ("all weights", "10%"),
          "shown": ("int4-asym-b32", "int8-sym-b32"), "metric": ("sqnr_db", "relative_l2_error"),
          "cell": ("", "0,mlp down"), "kl_by": ("tensor", "layer"), "plan_bits": ("6.5", "5"),
          "plan_damage": ("weights",), "plan_shared": ("", ("qkv", "gate-up")), "plan_kept": ("", "embed_tokens"),
          "plan_floor": ("any", "6 bits"), "recipe": ("quantviz", "torchao")}, {"ref": "demo"}),
    ],
    "throughput": [
        ({"workloads": ("decode", "", ("quantize", "linear")), "device": ("cpu", "reference"),
          "batch": ("1", "4096", "7"), "throughput_model": ("0.5b", "70b"),
          "throughput_schemes": ("", "bf16", ("int4-sym-b64", "q4_0")), "tensor_shape": ("", "1x1", "64x256"),
          "layer": ("", "32x32", "64x256"), "rounds": (None, "1", "1000"), "seconds": (None, "1", "600")}, {}),
    ],
    "number_formats": [
        ({"number_format": ("fp8_e4m3", "int1", "fp32", "mxfp4"), "number_value": ("", "0", "-1e30", "0b01"),
          "number_scale": ("", "2^-9", "448"), "line_formats": ("", "int2", ("fp8_e5m2", "fp4_e2m1", "nf4", "int8")),
          "line_window": ("all", "±8", "close-up"), "line_axis": ("logarithmic", "linear"),
          "block_type": ("q4_k", "q8_0", "tq1_0"),
          "packed_format": ("GPTQ int4 g32", "MLX int4 g32", "GPTQ int8 g32")}, {}),
    ],
    "glossary": [({"term": ("", "sqnr_db", "scale")}, {})],
}  # fmt: skip


def _views() -> Iterator[tuple[str, dict]]:
    """(page, what its address says), so that each value of each control is in one of them."""
    for page, groups in SETTINGS.items():
        for controls, besides in groups:
            for i in range(max(map(len, controls.values()))):
                said = {key: values[i % len(values)] for key, values in controls.items()}
                said = besides | said
                yield page, {NAMES.get(key, key): value for key, value in said.items() if value is not None}


def test_every_control_is_in_the_table():
    there = {key for groups in SETTINGS.values() for controls, _ in groups for key in controls}
    assert there == {*SIDEBAR, *(key for keys in PAGES.values() for key in keys)}


@pytest.fixture
def window(lasting: BrowserContext) -> Iterator[Page]:
    """A window of its own: a browser counts no more than fifty steps back."""
    page = page_without_figures(lasting)
    yield page
    page.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo(tmp_path_factory.mktemp("gguf") / "demo.gguf")


# What all controls and figures say, as soon as it is what is wanted; else once it stays so while the page is at rest.
SEEN = """
async wanted => {
  const look = () => JSON.stringify([...document.querySelectorAll('[data-testid=stMain], [data-testid=stSidebar]')]
    .flatMap(at => [
      ...[...at.querySelectorAll('input:not([type=file]), textarea')]
        .map(e => e.type === 'checkbox' ? e.checked : e.value),
      ...[...at.querySelectorAll('[aria-checked=true], [aria-pressed=true], [data-testid=stMetricValue],' +
        '[data-testid=stAlert], [data-testid=stSelectbox], h1, h2, h3')].map(e => e.innerText),
      ...[...at.querySelectorAll('button[aria-label^="Remove "]')].map(e => e.ariaLabel)]));
  const atRest = () => document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
    && document.querySelector('[data-testid=stMain] :is(h1, h2, [data-testid=stAlert])')
    && document.querySelector('input')
    && !document.querySelector('[data-testid=stSkeleton], [data-testid=stMain] [data-testid=stProgress]');
  let now = null, since = performance.now();
  for (const end = since + 60000; performance.now() < end; await new Promise(done => setTimeout(done, 50))) {
    const before = now;
    now = look();
    if (now !== before || !atRest()) since = performance.now();
    if (atRest() && now === wanted || performance.now() - since > (wanted ? 10000 : 600)) break;
  }
  return now;
}
"""


def at_rest(page: Page) -> None:
    page.wait_for_timeout(100)
    page.wait_for_selector("[data-testid=stMain] :is(h1, h2, [data-testid=stAlert])")
    expect(page.locator("[data-testid=stMain] [data-testid=stProgress]")).to_have_count(0)
    has_run(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def seen(page: Page, wanted: str | None = None) -> str:
    """What all controls and figures say, once it stays so; waits longer for what is `wanted`."""
    page.wait_for_selector("[data-testid=stMain] :is(h1, h2, [data-testid=stAlert])")
    now = page.evaluate(SEEN, wanted)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return now


def side_link(page: Page, path: str):
    title = path.replace("_", " ").replace("gguf", "GGUF")
    return page.get_by_test_id("stSidebar").get_by_role("link", name=title[:1].upper() + title[1:], exact=True)


def query(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query, keep_blank_values=True)


def _in_browser(path: str) -> list[dict]:
    """The views of a page that a browser opens: the last of each group. tests/pages/test_links opens all."""
    groups = SETTINGS[path]
    sizes = [max(map(len, controls.values())) for controls, _ in groups]
    views = [said for page, said in _views() if page == path]
    ends = [sum(sizes[: i + 1]) - 1 for i in range(len(sizes))]
    return [views[end] for i, end in enumerate(ends) if i in CHAPTERS or path != "learn"]


CHAPTERS = (0, 2, 8)  # of Learn that a browser opens
# Pages that a browser opens: what writes a link and reads it is the same on all of them.
BROWSED = ("explore", "outliers", "quality", "learn")


@pytest.mark.parametrize("path", BROWSED)
def test_a_link_shows_afresh_and_on_back_what_it_says(window, address, file, path):
    """Nothing of the link is left out, and Back is one step to what it showed."""
    at = "" if path == "explore" else path
    other = "published_files"  # the page that is drawn soonest
    for said in _in_browser(path):
        said = {"ref": REF} | said | ({"ref": str(file)} if said.get("ref") == FILE else {})
        link = urlencode(said, doseq=True)
        window.goto(f"{address}/{at}?{link}")
        first, steps = seen(window), window.evaluate("history.length")
        assert "The link asks for" not in window.get_by_test_id("stMain").inner_text(), said
        side_link(window, other).click()
        window.wait_for_url(f"{address}/{other}**")
        at_rest(window)
        assert window.evaluate("history.length") == steps + 1, said
        kept = query(side_link(window, path).get_attribute("href"))
        assert kept == query("?" + link)
        window.go_back()
        window.wait_for_url(f"{address}/{at}?**")
        assert seen(window, first) == first, said


def test_the_bare_address_is_learn_at_first_and_explore_for_whoever_returns(page, address):
    side = page.get_by_test_id("stSidebar")
    for _ in range(2):  # who has only looked at it finds it again
        page.goto(address)
        heading(page, "Learn")
    side.get_by_role("link", name="Explore", exact=True).click()
    page.wait_for_url(f"{address}/explore")
    heading(page, "weight under int4-sym-tensor")
    at_rest(page)
    page.go_back()
    heading(page, "Learn")
    for path, title in {
        "": "Explore", "?learn_size=70": "Learn", "explore": "Explore", "?rows=0:64": "Explore", "learn": "Learn",
        "gguf_files": "Published files",
    }.items():  # fmt: skip
        page.goto(f"{address}/{path}")
        expect(page).to_have_title(f"{title} · quantviz")
        expect(page.get_by_text("Page not found")).to_have_count(0)


def test_a_choice_that_two_pages_share_is_one_step_and_goes_along(window, address):
    window.goto(f"{address}/?{urlencode({'ref': REF, 'range': 'all'})}")
    at_rest(window)
    begun, range_ = window.evaluate("history.length"), window.get_by_role("radiogroup", name="Range")
    range_.get_by_text("±6σ").click()
    window.wait_for_url(lambda url: "range" not in query(url))
    at_rest(window)
    side_link(window, "explore").click()  # the page's own link changes nothing
    at_rest(window)
    assert "range" not in query(window.url)
    side_link(window, "outliers").click()
    window.wait_for_url("**/outliers?**")
    at_rest(window)
    assert window.evaluate("history.length") == begun + 2
    assert "range" not in query(window.url)
    expect(range_.get_by_role("radio", name="±6σ")).to_be_checked()


def two_changes(page: Page, address: str) -> tuple[int, Locator, Locator]:
    """Another source, then another scheme. Gives the steps of the history before, and the boxes of both."""
    page.goto(f"{address}/?{urlencode({'ref': REF})}")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    at_rest(page)
    begun, side = page.evaluate("history.length"), page.get_by_test_id("stSidebar")
    source, scheme = (side.get_by_role("textbox", name=label) for label in ("Reference", "Scheme key"))
    side.get_by_text("Demo", exact=True).click()
    page.wait_for_url("**ref=demo**")
    at_rest(page)
    scheme.fill("nf4-b64")
    scheme.press("Enter")
    page.wait_for_url("**scheme=nf4-b64**")
    at_rest(page)
    return begun, source, scheme


def test_one_change_is_one_step_back(page, address):
    begun, source, scheme = two_changes(page, address)
    assert page.evaluate("history.length") == begun + 2
    page.go_back()
    expect(scheme).to_have_value("int4-sym-tensor")
    page.go_back()
    expect(source).to_have_value(REF)


def test_back_pressed_twice_in_a_hurry_is_two_steps_back(page, address):
    """The second press finds controls that still show what the first one left: no choice of the visitor's."""
    _, source, scheme = two_changes(page, address)
    slower = page.context.new_cdp_session(page)
    slower.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.evaluate("() => { history.back(); setTimeout(() => history.back(), 150) }")
    expect(source).to_have_value(REF)
    expect(scheme).to_have_value("int4-sym-tensor")
    assert query(page.url) == {"ref": [REF]}


def test_back_and_forward_in_a_hurry_lead_where_they_lead_at_leisure(page, address):
    """Answers that are outdated when they arrive neither change the address nor what a control shows."""
    page.goto(f"{address}/explore?{urlencode({'ref': REF})}")
    at_rest(page)
    side = page.get_by_test_id("stSidebar")
    scheme, pinned = (side.get_by_role("textbox", name=label) for label in ("Scheme key", "Pinned scheme"))
    steps = [page.url]
    for change in (
        lambda: (scheme.fill("nf4-b64"), scheme.press("Enter")),
        lambda: side_link(page, "compare").click(),
        lambda: (pinned.fill("mxfp4"), pinned.press("Enter")),
        lambda: side_link(page, "outliers").click(),
    ):
        change()
        page.wait_for_url(lambda url: url != steps[-1])
        at_rest(page)
        steps.append(page.url)
    at = len(steps) - 1
    for moves in ((-1, -1, -1), (1, 1, 1), (-1, 1), (-1, -1, 1), (1, -1, -1)):
        for move in moves:
            page.evaluate("by => history.go(by)", move)
            page.wait_for_timeout(100)
        at += sum(moves)  # Streamlit may go on saying that it runs, though its last run has ended: not waited for
        expect(page).to_have_title(re.compile(urlsplit(steps[at]).path.strip("/").capitalize()))
        asked = query(steps[at])
        expect(scheme).to_have_value(asked.get("scheme", ["int4-sym-tensor"])[0])
        expect(pinned).to_have_value(asked.get("pinned", ["int4-sym-b64"])[0])
        assert page.url == steps[at]


def test_a_control_that_is_drawn_late_says_what_was_chosen(page, address):
    """The browser has its code only after another run: what the first run told it is gone, and must not be missed."""
    held = []
    page.route("**/TextInput.*.js", lambda route: held.append(route))
    page.goto(f"{address}/?{urlencode({'ref': REF, 'scheme': 'nf4-b64', 'pinned': 'none'})}")
    for range_ in ("all", "±6σ"):
        page.get_by_role("radiogroup", name="Range").get_by_text(range_, exact=True).click()
        page.wait_for_url(lambda url, last=range_ == "±6σ": ("range" in query(url)) != last)
        has_run(page)
    assert held, "the controls are not drawn yet"
    for late in held:
        late.continue_()
    side = page.get_by_test_id("stSidebar")
    expect(side.get_by_role("textbox", name="Scheme key")).to_have_value("nf4-b64")
    page.get_by_role("radiogroup", name="Range").get_by_text("all", exact=True).click()
    page.wait_for_url("**range=all**")
    at_rest(page)
    assert (query(page.url)["scheme"], query(page.url)["pinned"]) == (["nf4-b64"], ["none"])
