"""Names in files, names of files and values of links are shown as text: no link, picture, formula or request."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Page

from tests.sources.builders import safetensors, weights

from .actions import has_run

PICTURE, LINK, FORMULA = "![x](http://evil.example/t.png)", "[click](http://evil.example/a)", "$x^2$"
HOSTILE = f"{PICTURE} {LINK} {FORMULA} :red[r] :material/home: http://evil.example www.evil.example <b>b</b>"
TAG = '<a href="http://evil.example">t</a><img src="http://evil.example/i.png">'
LINKS = {  # page -> values of its link
    "": ("scheme", "pinned", "tensor", "rows", "ref", "block", "axis", "range"),
    "compare": ("schemes", "scheme", "pinned"),
    "outliers": ("edit", "inject_count", "inject_where", "remove_sigmas", "bits", "swept", "beyond"),
    "quality": ("model", "layers", "schemes", "tokens", "context", "method", "text"),
    "published_files": ("beside", "mix", "gguf", "files"),
    "whole_model": ("schemes", "sample", "shown", "metric", "cell", "bits", "plan_kept", "plan_shared", "recipe"),
    "learn": ("chapter", "learn_size", "learn_value", "learn_sentence", "learn_shipped", "learn_runtime"),
    "throughput": ("model", "workloads", "schemes", "device", "rounds", "tensor", "layer"),
    "number_formats": (
        "number_format",
        "number_value",
        "number_scale",
        "line_formats",
        "line_window",
        "block_type",
        "packed_format",
    ),
    "glossary": ("term",),
}
# What of the page itself may be a link: the navigation, to this app under the same address.
MADE = """
() => [...document.querySelectorAll(
    'a[href*="evil"], [data-testid=stMain] a[href^="http"], img[src*="evil"], .katex, [data-testid=stException]'
)].filter(e => e.host !== location.host)
  .map(e => (e.closest('[data-testid]') || e).dataset.testid + ': ' + e.outerHTML.slice(0, 200))
"""

pytestmark = pytest.mark.browser


@pytest.fixture
def watched(page: Page) -> Page:
    """A page that notes what it asks other hosts for."""
    page.foreign = []
    page.on("request", lambda r: page.foreign.append(r.url) if "evil" in urlsplit(r.url).netloc else None)
    return page


def assert_only_text(page: Page) -> None:
    has_run(page)
    page.wait_for_timeout(300)
    assert not page.evaluate(MADE)
    assert not page.foreign


@pytest.mark.parametrize("path", LINKS, ids=lambda path: path or "explore")
def test_values_of_a_link_are_text(watched: Page, address: str, path: str):
    link = {"ref": "random:normal?rows=64&cols=256"} | dict.fromkeys(LINKS[path], HOSTILE)
    watched.goto(f"{address}/{path}?{urlencode(link)}")
    watched.wait_for_selector("[data-testid=stMain] [data-testid=stAlert], [data-testid=stMain] h1")
    assert_only_text(watched)


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose folder, tensors, metadata and configuration all try."""
    folder = tmp_path_factory.mktemp("files") / f"{LINK.replace('/', '')} $x^2$"
    folder.mkdir()
    names = {f"{PICTURE} {FORMULA}": weights(64, 256, 1), f"{LINK}{TAG}": weights(64, 256, 2)}
    (folder / "model.safetensors").write_bytes(safetensors(names))
    (folder / "config.json").write_text(json.dumps({"model_type": PICTURE, "architectures": [LINK]}), "utf-8")
    return folder


@pytest.mark.parametrize(
    "path", ["", "compare", "outliers", "published_files", "quality"], ids=lambda path: path or "explore"
)
def test_names_in_a_file_and_of_a_file_are_text(watched: Page, address: str, hostile_folder: Path, path: str):
    link = {
        "ref": str(hostile_folder),
        "tensor": f"{PICTURE} {FORMULA}",
        "model": str(hostile_folder),
        "gguf": "Named mixes",
    }
    watched.goto(f"{address}/{path}?{urlencode(link)}")
    watched.get_by_text(PICTURE, exact=False).or_(watched.get_by_text("click", exact=False)).first.wait_for()
    assert_only_text(watched)
