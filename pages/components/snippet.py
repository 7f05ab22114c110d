"""The Python that computes and draws what the page shows."""

from __future__ import annotations

from pathlib import PurePath

from .state import View
from .tensor_controls import UPLOAD


def snippet(view: View, block: tuple[int, int], axis: str = "log", full: bool = False) -> str:
    """A script that reproduces the view; the token, if any, stays out of it."""
    ref, rows = view.at.source.ref, view.at.rows
    lines = [
        "import quantviz as qv",
        "from quantviz import figures",
        "from quantviz.uniform_rounding import expected_errors",
        "",
    ]
    if ref.startswith("hf:") and view.token:
        lines.append("# A gated or private model needs a token: set HF_TOKEN, or run `hf auth login`.")
    if ref.startswith(UPLOAD):
        ref = PurePath(ref.removeprefix(UPLOAD)).name
        lines.append("# The file that was uploaded, in the current folder.")
    selection = f", rows=({rows[0]}, {rows[1]})" if rows else ""
    lines += [
        f"model = qv.open_model({ref!r})",
        f"w = model.open({view.at.tensor!r}{selection})",
        f"scheme = qv.Scheme.parse({view.scheme.key!r})",
        "r = qv.evaluate(w, scheme)",
    ]
    against = ""
    if view.pinned and view.pinned != view.scheme:
        lines.append(f"pinned = qv.evaluate(w, {view.pinned.key!r}, statistics=r.statistics)")
        against = ", pinned"
    lines += [
        "expected = expected_errors(w, scheme, r.statistics, r.code_counts, figures.error_bins(r)[0])",
        f"block = qv.inspect_block(w, scheme, {block[0]}, {block[1]}, statistics=r.statistics)",
        "",
        "for name, value in r.metrics.items():",
        '    print(f"{qv.METRICS[name].label}: {value:.6g} {qv.METRICS[name].unit}")',
        "",
        "drawn = [",
        f"    figures.weights(r{against}, axis={axis!r}{', full=True' if full else ''}),",
        f"    figures.errors(r, expected, axis={axis!r}),",
        "    figures.code_usage(r),",
        f"    figures.error_map(r, {block}),",
        "    figures.block(block),",
        "]",
        "for figure in drawn:",
        "    if figure is not None:",
        "        figure.show()",
    ]
    return "\n".join(lines) + "\n"
