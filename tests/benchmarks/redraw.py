"""From a control's change to redrawn figures, in a real browser: python tests/benchmarks/redraw.py

The layer has 4096 × 4096 weights. A round begins when an option of the granularity list is clicked. The new numbers
stand when the last figure that shows something new has been drawn: of those in the window, and of all on the page.
Drawings that show nothing new are counted, and so are the bytes that the server sends. Each scheme is new to the
server, so nothing comes from a cache but the tensor and its statistics. Before that, the first page of a fresh server
is timed; after it, how often a figure follows a slider that is dragged without a pause; then the same changes on a bare
page, whose five figures show random numbers: what Streamlit itself takes on this machine, where it draws each figure
anew, and once more at its exact width.
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

CHANGES = ["b32", "b128", "channel", "b16", "b256", "tensor"]
FORMATS = ["int4", "int3", "int8"]

# A figure counts as drawn when Plotly says so, and as new when its data (a sample of them) or its range differ from
# what it showed before; the round is over when none was drawn for QUIET milliseconds.
QUIET = 250
DRAGGED = 10  # seconds
SWEEPS = 4  # from end to end a second: over so many places that the hand is never what is waited for
WATCH = """
() => {
  window.drawn = [];
  window.addEventListener('pointerup', () => { window.drawn = []; window.began = performance.now(); }, true);
  const shown = new WeakMap();
  const sample = (_, v) => (ArrayBuffer.isView(v) || (Array.isArray(v) && v.length > 20))
    ? [v.length, ...[0, 0.25, 0.5, 0.6, 1].map(part => v[Math.trunc(part * (v.length - 1))])] : v;
  const watch = () => {
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
      if (shown.has(plot) || !plot.on) continue;
      shown.set(plot, '');
      plot.on('plotly_afterplot', () => {
        const now = performance.now(), shows = JSON.stringify([plot.data, plot.layout.xaxis?.range], sample);
        const {top, bottom} = plot.getBoundingClientRect();
        window.drawn.push([now, shows !== shown.get(plot), bottom > 0 && top < innerHeight]);
        shown.set(plot, shows);
      });
    }
  };
  watch();
  new MutationObserver(watch).observe(document.body, { childList: true, subtree: true });
}
"""
LAST = "Math.max(...window.drawn.map(([at]) => at))"
LAST_NEW = "Math.max(...window.drawn.map(([at, isNew]) => isNew ? at : 0))"
LAST_SEEN = "Math.max(...window.drawn.map(([at, isNew, isSeen]) => isNew && isSeen ? at : 0))"
POLL = 100  # milliseconds between looks at whether the round is over: at every frame they would slow the page
SETTLED = f"() => window.drawn.length > 2 && performance.now() - {LAST} > {QUIET}"


def settle(page: Page) -> None:
    """Waits until the script has run and the page has come to rest."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(2000)


class Sent:
    """Counts the bytes that come through the websockets of a page."""

    def __init__(self, page: Page) -> None:
        self.total = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, payload: str | bytes) -> None:
        self.total += len(payload)


def redraw(page: Page, granularity: str, sent: Sent) -> tuple[float, ...]:
    """Milliseconds from the click on an option until the new numbers stand in the window, until they do on the whole
    page, until the last drawing; how many drawings there were, how many of them showed nothing new; bytes sent."""
    box = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Granularity")
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # a list that opens while the sidebar still scrolls closes at once
    box.click()
    option = page.get_by_role("option", name=granularity, exact=True)
    option.wait_for()
    before = sent.total
    option.click()
    page.wait_for_function(SETTLED, timeout=60_000, polling=POLL)
    ends = ", ".join(f"{end} - window.began" for end in (LAST_SEEN, LAST_NEW, LAST))
    drawings = "window.drawn.length, window.drawn.filter(([, isNew]) => !isNew).length"
    return *page.evaluate(f"[{ends}, {drawings}]"), sent.total - before


def first_page(page: Page, address: str) -> float:
    """Seconds from opening the address to the first figure."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(".js-plotly-plot .main-svg", state="attached", timeout=60_000)
    return time.perf_counter() - began


def _told(found: list[float]) -> str:
    seen, new, last, drawings, idle, sent = found
    return (
        f"in the window {seen:.0f} ms, on the page {new:.0f} ms, last drawing {last:.0f} ms; "
        f"{drawings:.0f} drawings, {idle:.0f} of nothing new; {sent / 1024:.0f} KiB"
    )


def redraws(page: Page, scheme: str, sent: Sent) -> list[tuple[float, ...]]:
    """A round for each granularity, from the page as it is."""
    page.wait_for_selector(".js-plotly-plot .main-svg", state="attached", timeout=60_000)
    settle(page)
    page.evaluate(WATCH)
    times = []
    for granularity in CHANGES:
        times.append(redraw(page, granularity, sent))
        print(f"  {scheme}-{granularity}: {_told(times[-1])}", flush=True)
    return times


def follows(page: Page) -> float:
    """How often a second the figure shows something new while a slider is dragged to and fro."""
    box = page.get_by_role("slider", name="Block").bounding_box()
    across = box["y"] + box["height"] / 2

    def to(part: float) -> None:
        page.mouse.move(box["x"] + part * box["width"], across)

    to(0.5)
    page.mouse.down()
    to(0.1)
    page.wait_for_timeout(2000)  # until the sample has been read
    page.evaluate("window.drawn = []")
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < DRAGGED:
        to(0.1 + 0.8 * abs(1 - SWEEPS * passed % 2))
        page.wait_for_timeout(15)
    drawn = page.evaluate("window.drawn.filter(([, isNew]) => isNew).length")
    page.mouse.up()
    settle(page)
    return drawn / DRAGGED


def medians(what: str, times: list[tuple[float, ...]]) -> list[float]:
    found = [statistics.median(column) for column in zip(*times, strict=True)]
    print(f"{what}, medians of {len(times)}: {_told(found)}", flush=True)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        sent = Sent(page)
        with running_app(Path(folder) / "app.log") as address:
            print(f"first page of a fresh server: {first_page(page, address):.1f} s", flush=True)
            times = []
            for format in FORMATS:
                page.goto(f"{address}/?scheme={format}-sym-b64&pinned=none&ref=random:normal?outliers=0.001")
                times += redraws(page, f"{format}-sym", sent)
            print(f"a slider that is dragged: {follows(page):.1f} times a second", flush=True)
            ours = medians("control to new numbers, 16.8M weights", times)
        with running_app(Path(folder) / "bare.log", "tests/benchmarks/bare_page.py") as address:
            times = []
            for number in range(2):
                page.goto(address)
                times += redraws(page, f"bare {number}", sent)
            bare = medians("a bare page", times)
        ratios = [own / theirs for own, theirs in zip(ours, bare, strict=True)]
        print(f"of the bare page's time: in the window {ratios[0]:.2f}, on the page {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
