"""What the commands print: one JSON document, a table, a line of progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..text.printable import printable
from .terminal import CLEARED


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
    """Columns padded to their widest cell; those numbered in `right` are right-aligned."""
    lines = [[printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    to_right = set(right)
    for line in lines:
        cells = (c.rjust(w) if i in to_right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        print("  ".join(cells).rstrip())


def print_metrics(evaluations: Sequence[Any]) -> None:
    """A line a metric, a column an evaluation."""
    from ..metrics import BETTER, METRICS, value_text

    lines = [
        (m.label, *(value_text(name, e.metrics[name]) if name in e.metrics else "-" for e in evaluations),
         "" if m.direction == "neither" else BETTER[m.direction])
        for name, m in METRICS.items() if any(name in e.metrics for e in evaluations)
    ]  # fmt: skip
    print_table(("metric", *(e.scheme for e in evaluations), ""), lines, right=range(1, len(evaluations) + 1))


class ProgressLine:
    """One line on standard error that says how far the work is, when that is a terminal; it leaves nothing behind."""

    INTERVAL = 0.1  # seconds between two redraws

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._show("")

    def of(self, what: str) -> Callable[[int, int], None]:
        """A progress(done, total) that shows `what`."""

        def show(done: int, total: int) -> None:
            now = time.monotonic()
            if now >= self._next:
                self._next = now + self.INTERVAL
                self._show(f"{printable(what)}: {done:,} of {total:,}")

        return show

    def _show(self, text: str) -> None:
        if self._shown:
            try:
                print(CLEARED + text, end="", file=sys.stderr, flush=True)
            except OSError:  # the terminal was closed
                self._shown = False
