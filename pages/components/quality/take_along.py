"""Everything to take along from Quality: the Python, the command line, the data, the link."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from quantviz.quality.data import HALF_OF_DEMO
from quantviz.quality.model.layers import DEFAULT_TARGETS
from quantviz.quality.results import QualityResult, SuperWeights
from quantviz.quality.tables import as_record, quality_table

from ..shared.snippet import TOKEN_NOTE
from ..shared.take_along import COMMAND, DATA, PYTHON, downloads, link_note, more
from .state import Ask

TEXT_FILE, CALIBRATION_FILE = "text.txt", "calibration.txt"
CALIBRATED = "What schemes that use data are calibrated on"


def take_along(
    ask: Ask, schemes: tuple[str, ...], results: Sequence[QualityResult], supers: list[SuperWeights]
) -> None:
    more("quality_more", {
        PYTHON: lambda: st.code(quality_snippet(ask, schemes), language="python", wrap_lines=True),
        COMMAND: lambda: st.code(quality_command(ask, schemes), language="bash", wrap_lines=True),
        DATA: lambda: _data(ask, results, supers),
    })  # fmt: skip


def quality_snippet(ask: Ask, schemes: Sequence[str]) -> str:
    """A script that measures the same; the token, if any, stays out of it."""
    lines = [
        *(["from pathlib import Path", ""] if ask.text.digest or ask.data.text.digest else []),
        "import quantviz as qv",
        "",
        *_token_note(ask),
    ]
    given = [f"tokens={ask.tokens}", f"context={ask.context}", f"method={ask.method!r}"]
    if ask.text.digest:
        lines.append(f"# The text that was measured, in the current folder as {TEXT_FILE}.")
        given.insert(0, f"text=Path({TEXT_FILE!r}).read_text()")
    using = any(map(ask.data.used_by, schemes))
    if using:
        text = f"text=Path({CALIBRATION_FILE!r}).read_text(), " if ask.data.text.digest else ""
        lines.append(f"# {CALIBRATED}{f', in the current folder as {CALIBRATION_FILE}' if text else ''}.")
        given.append(
            f"calibrating=qv.Calibrating({text}tokens={ask.data.tokens}, propagate={ask.data.propagate}, "
            f"imatrix={ask.data.imatrix})"
        )
    if ask.targets != DEFAULT_TARGETS:
        given.append(f"targets={list(ask.targets)!r}")
    lines += [
        f"schemes = {list(schemes)!r}",
        f"arriving = qv.measure_quality({ask.source.ref!r}, schemes, {', '.join(given)})",
        'results = [r for r in arriving if getattr(r, "complete", False)]',
        "print(qv.quality_table(results).to_string())",
        "for v in qv.quality_verdicts(results):",
        '    print(f"Claim {v.claim} {v.finding}: {v.summary}")',
        "qv.figures.quality.ratios(results).show()",
        "qv.figures.quality.divergences(results).show()",
    ]
    return "\n".join(lines) + "\n"


def quality_command(ask: Ask, schemes: Sequence[str]) -> str:
    """The command line that measures the same."""
    words = ["python", "-m", "quantviz", "quality", ask.source.ref, *schemes]
    if ask.text.digest:
        words += ["--text", TEXT_FILE]
    words += ["--tokens", str(ask.tokens or 0), "--context", str(ask.context), "--method", ask.method]
    if any(map(ask.data.used_by, schemes)):
        if ask.data.text.digest:
            words += ["--calibration-text", CALIBRATION_FILE]
        words += ["--calibration-tokens", str(ask.data.tokens or 0)]
        words += [] if ask.data.propagate else ["--no-propagate"]
        words += ["--imatrix"] if ask.data.imatrix else []
    if ask.targets != DEFAULT_TARGETS:
        words += ["--targets", ",".join(ask.targets)]
    return "\n".join([*_token_note(ask), shlex.join([*words, "--json"])])


def _token_note(ask: Ask) -> list[str]:
    if ask.source.ref.startswith("hf:") and ask.token:
        return [TOKEN_NOTE]
    return []


def _data(ask: Ask, results: Sequence[QualityResult], supers: list[SuperWeights]) -> None:
    document = {
        "ref": ask.source.ref, "tokens": ask.tokens, "context": ask.context, "method": ask.method,
        "layers": list(ask.targets), "text": ask.text.digest or "the demo's test book",
        "calibration_text": ask.data.text.digest or HALF_OF_DEMO, "calibration_tokens": ask.data.tokens,
        "propagate": ask.data.propagate, "imatrix": ask.data.imatrix,
        "results": [as_record(r) for r in results],
        "largest_weights": [
            {"count": s.count, "ratio": s.ratio, "random_ratios": s.random_ratios, "largest": s.largest} for s in supers
        ],
    }  # fmt: skip
    frame = quality_table(results)
    downloads(
        ("quality", ask.source.ref.rsplit("/", 1)[-1]), document,
        (frame.columns, frame.itertuples(index=False, name=None)),
    )  # fmt: skip
    own = (("Text", ask.text, TEXT_FILE), ("Calibration text", ask.data.text, CALIBRATION_FILE))
    for label, text, file in own:
        if text.digest:
            st.download_button(
                label, text.content or "", file, "text/plain", icon=":material/download:", on_click="ignore",
                help="As the Python and the command line above expect it.",
            )  # fmt: skip
    if ask.text.digest or ask.data.text.digest:
        st.caption("The address bar holds this view; your text stays on the server until that ends.")
    else:
        link_note(ask.source.ref)
