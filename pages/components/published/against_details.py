"""The details of a comparison of files: all metrics, code, data, and the table of every tensor."""

from __future__ import annotations

from functools import partial

import streamlit as st

from quantviz.evaluation.export import metrics_table
from quantviz.metrics import METRICS, value_text
from quantviz.published.beside import Against, Pair, Pairs, against_dict, in_short
from quantviz.text.wording import plural

from .. import say
from ..link.address import put
from ..link.state import ANOTHER_TENSOR
from ..shared.snippet import ref_in_script
from ..shared.tables import all_metrics, metric_headings, table
from ..shared.take_along import DATA, PYTHON, downloads, link_note, more

_COLUMNS = ("bits_per_weight", "sqnr_db", "relative_l2_error", "max_abs_error")


def details(a: Against, original: str, file: str) -> None:
    more("against_details", {
        "All metrics": lambda: all_metrics(a.evaluation, "against_metrics"),
        PYTHON: lambda: st.code(against_snippet(a.pair, original, file), language="python", wrap_lines=True),
        DATA: lambda: _data(a, original, file),
    })  # fmt: skip


def _data(a: Against, original: str, file: str) -> None:
    document = {"original": original, "file": file, **against_dict(a)}
    downloads((a.pair.original, a.evaluation.scheme), document, metrics_table(a.evaluation))
    link_note(original, file)


def against_snippet(pair: Pair, original: str, file: str) -> str:
    """A script that makes the comparison."""
    return (
        "import quantviz as qv\n"
        "\n"
        f"original = qv.open_model({ref_in_script(original)!r})\n"
        f"file = qv.open_model({ref_in_script(file)!r})\n"
        f"a = qv.published.against(original, file, qv.published.pair_up(original, file).of({pair.label!r}))\n"
        "print(qv.published.sentence(a))\n"
        "for name, value in a.evaluation.metrics.items():\n"
        '    print(f"{qv.METRICS[name].label}: {value:.6g} {qv.METRICS[name].unit}")\n'
        "qv.figures.weights(a.evaluation).show()\n"
        "qv.figures.errors(a.evaluation).show()\n"
    )


def all_tensors(found: list[Against | tuple[Pair, str]], pairs: Pairs, swapped: bool) -> None:
    """The table of all tensors; ticking a row opens its tensor. swapped: whether the sidebar holds the file."""
    rows = [_row(a) for a in found]
    order = ["tensor", "in the file", "type", "plain quantization", *_COLUMNS]
    headings = metric_headings(METRICS[name] for name in _COLUMNS)
    st.caption("Tick a row to open that tensor.")
    plainly = "How much of the file equals, byte for byte, what plain quantization of the original gives; of packed "
    plainly += "codes, whether they lose less, as much or more than plain rounding under the scheme that is named; of "
    plainly += "EXL3 and AQLM, than the best codes that a search finds, of a large tensor for a sample."
    table(
        {name: [row.get(name) for row in rows] for name in order}, {n: partial(value_text, n) for n in _COLUMNS},
        "against_table", headings | {"plain quantization": st.column_config.TextColumn(help=plainly)},
        on_select=lambda: _take(found, swapped), selection_mode="single-row", height=420,
    )  # fmt: skip
    told = [a.requantized for a in found if isinstance(a, Against) and a.requantized]
    if told:
        same = sum(r.same for r in told)
        say.text(f"Plain quantization gives exactly the bytes of {same:,} of {plural(len(found), 'tensor')}.")
    for names, where in ((pairs.only_original, "the original"), (pairs.only_file, "the file")):
        if names:
            more = f" and {len(names) - 6:,} more" if len(names) > 6 else ""
            say.caption(f"Only in {where}: {', '.join(names[:6])}{more}.")


def _row(a: Against | tuple[Pair, str]) -> dict:
    if not isinstance(a, Against):
        return {"tensor": a[0].label, "in the file": a[0].place.name, "plain quantization": a[1]}
    place = a.pair.place
    where = place.name if place.expert is None else f"{place.name}[{place.expert}]"
    metrics = {name: a.evaluation.metrics[name] for name in _COLUMNS}
    return {"tensor": a.pair.label, "in the file": where, "type": a.evaluation.scheme, **metrics,
            "plain quantization": in_short(a)}  # fmt: skip


def _take(found: list[Against | tuple[Pair, str]], swapped: bool) -> None:
    rows = st.session_state["against_table"]["selection"]["rows"]
    if rows:
        a = found[rows[0]]
        pair = a.pair if isinstance(a, Against) else a[0]
        put(tensor=pair.place.name if swapped else pair.original, **ANOTHER_TENSOR)
