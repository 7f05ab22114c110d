"""Everything to take along from the outlier laboratory: code, data, pictures, the link."""

from __future__ import annotations

import streamlit as st

from quantviz.evaluation import Evaluation
from quantviz.outliers import export

from ..selection import View
from ..shared.snippet import given_to_evaluate, importance_loading, opening
from ..shared.take_along import DATA, PYTHON, downloads, link_note, more
from ..shared.typeset import of_view
from . import laboratory
from .sections import chosen_bits, symmetry_of


def details_section(view: View, before: Evaluation, after: Evaluation | None) -> None:
    more("outlier_details", {PYTHON: lambda: _python(view), DATA: lambda: _data(view, before, after)})


def _python(view: View) -> None:
    st.code(
        outlier_snippet(view, chosen_bits(view), st.session_state.get("beyond", 6.0)),
        language="python",
        wrap_lines=True,
    )


def outlier_snippet(view: View, bits: int, sigmas: float) -> str:
    """A script that reproduces the view; the token, if any, stays out of it."""
    edit = view.at.edit
    lines = [
        "import quantviz as qv",
        "",
        *opening(view),
        *importance_loading(view.importance),
        f"scheme = {view.scheme.key!r}",
    ]
    by, given = ", importance=importance" if view.importance else "", given_to_evaluate(view.importance)
    drawn = ["    qv.figures.weights(r),"]
    if edit:
        lines += [
            f"before = qv.evaluate(w, scheme{given})",
            f"w = qv.outliers.apply(w, qv.outliers.{edit!r}, before.statistics)",
        ]
        drawn = ["    *qv.figures.outliers.before_and_after(before, r),"]
    lines += [
        f"r = qv.evaluate(w, scheme{given})",
        f"carried = qv.outliers.attribute(w, scheme, r.statistics{by})",
        f"points = qv.outliers.block_size_sweep(w, {bits}, statistics=r.statistics)",
        f"growing = qv.outliers.magnitude_sweep(w, {bits}, {symmetry_of(view)!r})",
        f"treated = qv.outliers.treat(w, scheme, r.statistics{by})",
        "",
        "for t in treated:",
        "    if t.metrics:",
        "        print(f\"{t.cure.name}: {t.metrics['sqnr_db']:.2f} dB, {t.metrics['bits_per_weight']:.3f} bits\")",
        "",
        "drawn = [",
        *drawn,
        "    qv.figures.outliers.bands(carried),",
        f"    qv.figures.outliers.block_sides(carried, {sigmas}),",
        "    qv.figures.outliers.channels(carried),",
        "    qv.figures.outliers.block_sizes(points),",
        "    qv.figures.outliers.magnitudes(growing),",
        "    qv.figures.outliers.cures(treated),",
        "]",
        "for figure in drawn:",
        "    if figure is not None:",
        "        figure.show()",
    ]
    return "\n".join(lines) + "\n"


def _data(view: View, before: Evaluation, after: Evaluation | None) -> None:
    bits = chosen_bits(view)
    tasks = (
        laboratory.attribution(view), laboratory.block_sizes(view, bits),
        laboratory.magnitudes(view, bits, symmetry_of(view)), laboratory.cures(view),
    )  # fmt: skip
    found = [task.result() for task in tasks]
    if any(result is None for result in found):
        return
    carried, points, growing, treated = found
    document = {
        **of_view(view), "scheme": view.scheme.key,
        "importance": view.importance and view.importance.file,
        "edit": export.edit_dict(view.at.edit), "before": before.metrics, "after": after and after.metrics,
        "attribution": export.attribution_dict(carried, st.session_state.get("beyond", 6.0)),
        "block_sizes": export.points_dict(points), "magnitudes": export.magnitudes_dict(growing),
        "cures": export.cures_dict(treated),
    }  # fmt: skip
    downloads(
        ("outliers", view.at.tensor, view.scheme.key), document, export.schemes_table(points, treated),
        "Every scheme of the block sizes and of the cures, with its metrics.",
    )  # fmt: skip
    link_note(view.at.source.ref, uploads=view.importance is not None)
