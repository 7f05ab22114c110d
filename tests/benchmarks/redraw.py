"""From a control's change to redrawn figures, in a real browser: python tests/benchmarks/redraw.py

The layer has 4096 × 4096 weights. A round begins when an option of the granularity list is clicked, and ends
after the last figure of the page has been drawn with the new scheme's numbers. Each scheme is new to the server, so
nothing comes from a cache but the tensor and its statistics. Then the first page of a fresh server is timed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from app_server import CHROMIUM, FLAGS, running_app  # noqa: E402

CHANGES = ["b32", "b128", "channel", "b16", "b256", "tensor", "b64"]
FORMATS = ["int4", "int3", "int8"]

# A figure counts as drawn when Plotly says so; the round is over when none was drawn for QUIET milliseconds.
QUIET = 250
WATCH = """
() => {
  window.drawn = [];
  window.addEventListener('pointerup', () => { window.drawn = []; window.began = performance.now(); }, true);
  const seen = new WeakSet();
  const watch = () => {
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
      if (seen.has(plot) || !plot.on) continue;
      seen.add(plot);
      plot.on('plotly_afterplot', () => window.drawn.push(performance.now()));
    }
  };
  watch();
  new MutationObserver(watch).observe(document.body, { childList: true, subtree: true });
}
"""
SETTLED = f"() => window.drawn.length > 2 && performance.now() - Math.max(...window.drawn) > {QUIET}"


def settle(page: Page) -> None:
    """Waits until the script has run and the page has come to rest."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(2000)


def redraw(page: Page, granularity: str) -> tuple[float, int]:
    """(milliseconds from the click on an option to the last figure drawn, how often one was drawn)"""
    box = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Granularity")
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # a list that opens while the sidebar still scrolls closes at once
    box.click()
    option = page.get_by_role("option", name=granularity, exact=True)
    option.wait_for()
    option.click()
    page.wait_for_function(SETTLED, timeout=60_000)
    return page.evaluate("Math.max(...window.drawn) - window.began"), page.evaluate("window.drawn.length")


def first_page(page: Page, address: str) -> float:
    """Seconds from opening the address to the first figure."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(".js-plotly-plot .main-svg", state="attached", timeout=60_000)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with running_app(Path(folder) / "app.log") as address:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            print(f"first page of a fresh server: {first_page(page, address):.1f} s", flush=True)
            times = []
            for format in FORMATS:
                page.goto(f"{address}/?scheme={format}-sym-b64&pinned=none&ref=random:normal?outliers=0.001")
                page.wait_for_selector(".js-plotly-plot .main-svg", state="attached", timeout=60_000)
                settle(page)
                page.evaluate(WATCH)
                for granularity in CHANGES[:-1]:
                    took, figures = redraw(page, granularity)
                    times.append(took)
                    print(f"  {format}-sym-{granularity}: {took:.0f} ms, {figures} figures drawn", flush=True)
            print(
                f"control to redrawn figures, 16.8M weights: median {statistics.median(times):.0f} ms over {len(times)}"
            )


if __name__ == "__main__":
    main()
