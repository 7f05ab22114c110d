"""From a key on a control of Learn to the figure that follows it, in a real browser: python tests/benchmarks/learn.py

A round begins when the key goes down and ends when the chapter's figure has been drawn with other data; of a chapter
whose control moves words alone, when they have changed. The machine should have nothing else to do; if it has, the
figures are upper bounds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, TimeoutError, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from app_server import CHROMIUM, FLAGS, running_app  # noqa: E402

ROUNDS = 8
PATIENCE = 60_000  # milliseconds
# Chapter -> the role and name of its control, and where what follows it stands.
FIGURES = ".js-plotly-plot .main-svg"
CONTROLS = {
    "1 What a weight costs": ("slider", "Weights of the model, in billions", FIGURES),
    "2 How a float is built": ("button", "mantissa bit 0", "[data-testid=stMarkdownContainer]"),
    "3 Rounding to integers": ("slider", "Number 2", FIGURES),
    "4 One outlier": ("slider", "How far out the outlier lies, in standard deviations", FIGURES),
    "5 Blocks": ("slider", "Weights a block", FIGURES),
    "6 What a model does": ("slider", "Bits a weight, in blocks of 32", FIGURES),
    "7 Speed": ("slider", "Model, in weights", FIGURES),
    "8 What people ship": ("radio", "k-quants", FIGURES),
    "9 Which to use": ("slider", "Weights of the model, in billions", "li"),
}
# Notes when what stands at a selector is other than when the last key went down.
WATCH = """
selector => {
  const shows = () => [...document.querySelectorAll('[data-testid=stMain] ' + selector)].map(e => e.innerHTML).join();
  let before = null;
  window.addEventListener('keydown', () => { before = shows(); window.began = performance.now(); window.ended = 0; },
    true);
  const look = () => {
    const now = before !== null && !window.ended && shows();
    if (now && now !== before) window.ended = performance.now();
    requestAnimationFrame(look);
  };
  look();
}
"""


def moved(page: Page, chapter: str) -> list[float]:
    """Milliseconds of each round; the first, which loads what is needed, is left out."""
    role, name, selector = CONTROLS[chapter]
    control = page.get_by_test_id("stMain").get_by_role(role, name=name).first
    control.focus()
    page.evaluate(WATCH, selector)
    times = []
    for i in range(ROUNDS + 1):
        if role != "button":
            page.keyboard.press("ArrowLeft" if i % 4 > 1 else "ArrowRight")
        if role != "slider":
            page.keyboard.press("Space")
        page.wait_for_function("window.ended > 0", timeout=PATIENCE)
        times.append(page.evaluate("window.ended - window.began"))
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        page.wait_for_timeout(600)
    return times[1:]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        with running_app(Path(folder) / "app.log") as address:
            for chapter in CONTROLS:
                page.goto(f"{address}/learn?chapter={quote(chapter)}")
                page.wait_for_selector("h1")
                page.wait_for_timeout(1500)
                main_has_progress = page.locator("[data-testid=stMain] [data-testid=stProgress]")
                main_has_progress.first.wait_for(state="detached", timeout=PATIENCE)
                page.wait_for_timeout(1500)
                try:
                    times = moved(page, chapter)
                except TimeoutError:
                    print(f"{chapter}: the page did not change", flush=True)
                    continue
                print(f"{chapter}: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f}",
                      flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
