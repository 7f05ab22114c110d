"""Many visitors at once on one server, each with a tensor of its own: waits, errors, foreign data, memory.

    python -m tests.load                       100 windows, ten minutes
    python -m tests.load --windows 20 --cold   a server that has just started
    python -m tests.load --changes 5000        that many changes of the scheme, then everybody leaves

Every answer is held against the figure that quantviz itself gives for that window's tensor and scheme, so that what one
window is shown of another's counts as an error.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import quantviz as qv
from quantviz.metrics import METRICS, value_text
from tests.browser.app_server import running_app

from .window import Window

SCHEMES = ("int4-sym-tensor", "int4-sym-b64", "int4-asym-b32", "int8-sym-channel", "nf4-b64", "mxfp4", "q4_0",
           "fp8_e4m3-b128x128")  # fmt: skip
HELD = "sqnr_db"  # the figure by which an answer is known
PATIENCE = 120.0  # seconds until a wait counts as an error
# Seconds after everybody has left: Streamlit keeps a window for two minutes, quantviz what can be had again.
LEAVING = 150


@dataclass
class Report:
    waits: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: int = 0
    nbytes: int = 0


def ref_of(number: int, rows: int, cols: int) -> str:
    return f"random:normal?rows={rows}&cols={cols}&seed={number}"


def expected(number: int, rows: int, cols: int) -> dict[str, str]:
    """What the page shows of this window's tensor, by scheme."""
    stored = qv.open_model(ref_of(number, rows, cols)).open("weight")
    return {key: value_text(HELD, qv.evaluate(stored, key, detail="metrics").metrics[HELD]) for key in SCHEMES}


async def visit(address: str, number: int, right: dict[str, str], args, report: Report, until: Iterator[bool]) -> None:
    """One window: opens Explore, then changes the scheme until `until` says that it is enough."""
    choices, first, window = random.Random(number), True, None
    for go_on in until:
        if not go_on:
            break
        scheme = choices.choice(SCHEMES)
        query = urlencode({"ref": ref_of(number, args.rows, args.cols), "scheme": scheme, "pinned": "none"})
        began = time.monotonic()
        try:
            window = window or await Window.on(address)
            seen = await window.show(query, PATIENCE, navigates=not first)
        except Exception as problem:
            report.errors.append(f"window {number}, {scheme}: {type(problem).__name__} {problem}")
            with suppress(Exception):
                await window.close()
            window, first = None, True
            continue
        first = False
        report.waits.append(time.monotonic() - began)
        report.nbytes += seen.nbytes
        report.errors += [f"window {number}, {scheme}: {p}" for p in seen.problems]
        shown = seen.metrics.get(METRICS[HELD].label)
        if not seen.problems and shown != right[scheme]:
            report.foreign += 1
            report.errors.append(f"window {number}, {scheme}: shows {shown}, not {right[scheme]}")
        await asyncio.sleep(args.pause * choices.random() * 2)
    if window:
        await window.close()


def memory(pid: int) -> str:
    """Resident memory and open files of a process, from /proc."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return f"{resident / 1024:,.0f} MB, {len(list(Path(f'/proc/{pid}/fd').iterdir()))} files open"


async def load(address: str, pid: int, right: list[dict[str, str]], args) -> None:
    report, began = Report(), time.monotonic()
    print(f"before anybody comes: {memory(pid)}", flush=True)
    left = args.changes

    def until() -> Iterator[bool]:
        nonlocal left
        while True:
            if args.changes:
                left -= 1
                yield left >= 0
            else:
                yield time.monotonic() - began < 60 * args.minutes

    async def tell() -> None:
        while True:
            await asyncio.sleep(args.every)
            print(f"{time.monotonic() - began:5.0f} s: {len(report.waits):,} answers, {len(report.errors)} errors, "
                  f"{memory(pid)}", flush=True)  # fmt: skip

    telling = asyncio.create_task(tell())
    await asyncio.gather(*(visit(address, n, right[n], args, report, until()) for n in range(args.windows)))
    telling.cancel()
    seconds = time.monotonic() - began
    waits = sorted(report.waits)
    print(f"{args.windows} windows, {len(waits):,} answers in {seconds:.0f} s: {len(waits) / seconds:.1f} a second, "
          f"{report.nbytes / max(1, len(waits)) / 1e3:.0f} kB each")  # fmt: skip
    if waits:
        print(f"wait: median {statistics.median(waits):.2f} s, 95% {waits[int(0.95 * len(waits))]:.2f} s, "
              f"worst {waits[-1]:.2f} s")  # fmt: skip
    print(f"errors: {len(report.errors)}, data of another window: {report.foreign}")
    for error in report.errors[:20]:
        print("  ", error)
    print(f"at the end: {memory(pid)}", flush=True)
    if not args.cold:
        await asyncio.sleep(LEAVING)
        await warm(address)  # a window that comes makes Streamlit look through those that it keeps
        await asyncio.sleep(LEAVING)
        print(f"{LEAVING} s after all have left, another came, and left too: {memory(pid)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--changes", type=int, default=0, help="in all windows together, instead of minutes")
    parser.add_argument("--cold", action="store_true", help="all come at once to a server that has just started")
    parser.add_argument("--pause", type=float, default=2, help="mean seconds between an answer and the next change")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--cols", type=int, default=1024)
    parser.add_argument("--every", type=float, default=60, help="seconds between two lines of progress")
    args = parser.parse_args()
    right = [expected(n, args.rows, args.cols) for n in range(args.windows)]
    log = Path(tempfile.mkstemp(prefix="quantviz-load-", suffix=".log")[1])
    print(f"the server's log: {log}", flush=True)
    with running_app(log) as server:
        if not args.cold:
            asyncio.run(warm(server))
        asyncio.run(load(server, server.pid, right, args))


async def warm(address: str) -> None:
    """One visitor sees every scheme; the first to do so has the kernels compiled."""
    window = await Window.on(address)
    for i, scheme in enumerate(SCHEMES):
        await window.show(f"ref={ref_of(0, 64, 1024).replace('&', '%26')}&scheme={scheme}", 300, navigates=i > 0)
    await window.close()


if __name__ == "__main__":
    main()
