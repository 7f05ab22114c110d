"""The Python that computes and draws what the page shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from quantviz.sources.picture import is_picture

from ..selection import SMALL, UPLOAD, Importance, View

OUTPUT_FIGURES = ("channels(output)", 'tokens(output, "before")', 'tokens(output, "after")', "carriers(output)")
STORY_FIGURES = ("weights(story, 0)", "handed(story, 0)", "columns(story)")
TOKEN_NOTE = "# A gated or private model needs a token: set HF_TOKEN, or run `hf auth login`."


def tensor_snippet(
    view: View,
    block: tuple[int, int],
    importance: Importance | None = None,
    axis: str = "log",
    full: bool = False,
    around: tuple[int, int] | None = None,
) -> str:
    """A script that reproduces the view; the token, if any, stays out of it."""
    at = f", around={around}" if around else ""
    solved = importance is not None and bool(importance.python) and view.scheme.uses_data
    at += ", quantized=q" if solved else ""
    weighted, by = (", importance", ", importance=importance") if importance else ("", "")
    given = given_to_evaluate(importance)
    lines = [
        "import quantviz as qv",
        "",
        *opening(view),
        *importance_loading(importance),
        f"scheme = qv.Scheme.parse({view.scheme.key!r})",
        f"r = qv.evaluate(w, scheme{given})",
    ]
    against = ""
    if view.pinned and view.pinned != view.scheme:
        lines.append(f"pinned = qv.evaluate(w, {view.pinned.key!r}{given}, statistics=r.statistics)")
        against = ", pinned"
    lines += [
        f"expected = qv.expected_errors(w, scheme, r.statistics, r.code_counts, qv.figures.error_bins(r)[0]{weighted})",
        *([f"q = qv.quantize(w, scheme{given})"] if solved else []),
        f"block = qv.inspect_block(w, scheme, {block[0]}, {block[1]}, statistics=r.statistics{by}{at})",
        "",
        "for name, value in r.metrics.items():",
        '    print(f"{qv.METRICS[name].label}: {value:.6g} {qv.METRICS[name].unit}")',
        "",
        *_stored(view),
        *_output(view, importance),
        *_story(view, importance),
        "drawn = [",
        f"    qv.figures.weights(r{against}, axis={axis!r}{', full=True' if full else ''}),",
        f"    qv.figures.errors(r, expected, axis={axis!r}),",
        "    qv.figures.code_usage(r),",
        *_whole(view),
        f"    qv.figures.error_map(r, {block}),",
        "    qv.figures.block(block),",
        *(
            ["    qv.figures.stored_codes(c),", "    qv.figures.stored_scales(c),"]
            if view.info.packing or view.info.decoded
            else []
        ),
        *(f"    qv.figures.gptq.{name}," for name in STORY_FIGURES if solved and view.scheme.solver == "gptq"),
        *(f"    qv.figures.inputs.{name}," for name in OUTPUT_FIGURES if importance and importance.python),
        "]",
        "for figure in drawn:",
        "    if figure is not None:",
        "        figure.show()",
    ]
    return "\n".join(lines) + "\n"


def _output(view: View, importance: Importance | None) -> list[str]:
    """The lines that look at a layer from its inputs, where they are known."""
    if importance is None or not importance.python:
        return []
    return ["output = qv.layer_output(w, scheme, calibration, importance)", ""]


def _story(view: View, importance: Importance | None) -> list[str]:
    """The lines that follow GPTQ through the row of the block that is drawn."""
    if importance is None or not importance.python or view.scheme.solver != "gptq":
        return []
    return [
        "row, cols = qv.figures.block_window(block)  # within the block: those that are drawn",
        "cols = block.cols[0] + cols.start, block.cols[0] + cols.stop",
        "story = qv.gptq_story(w, scheme, calibration, block.rows[0] + row, cols, importance)",
        "",
    ]


def _stored(view: View) -> list[str]:
    """The lines that read a tensor which its file holds as codes, as it is stored."""
    if not view.info.packing and not view.info.decoded:
        return []
    return [
        "# As it is stored: codes, what groups of weights share, and the first group of them taken apart.",
        "c, first = qv.published.contents(w), qv.published.stored_block(w, 0, 0)",
        "print(qv.published.field_rows(first), qv.published.weight_rows(first))",
        "",
    ]


def _whole(view: View) -> list[str]:
    """The lines that draw all of a tensor: one of a few weights of one block, and a picture."""
    lines = []
    if view.weights <= SMALL:
        lines.append("    qv.figures.weights_on_lines([block]),")
    if is_picture(view.at.source.ref):
        lines.append("    qv.figures.picture_pair(w.numpy(), qv.quantize(w, scheme).dequantize(), str(scheme)),")
    return lines


def comparison_snippet(view: View, keys: list[str], pinned: str | None, importance: Importance | None) -> str:
    """A script that makes the table and the figures of Compare."""
    lines = [
        "import quantviz as qv",
        "",
        *opening(view),
        f"keys = {keys!r}",
    ]
    weighted = given_to_evaluate(importance)
    lines += [
        *importance_loading(importance),
        f"outcomes = list(qv.evaluations(w, keys{weighted}))",
        f"table = qv.tabulate(outcomes)  # as qv.compare(w, keys{weighted}) gives it",
        "print(table.to_string())",
        "print(qv.best(table))",
        "",
        "results = [r for r in outcomes if isinstance(r, qv.Evaluation)]  # the others could not apply",
        "limits = qv.optimal_scalar(results[0].statistics.histogram)",
        f"qv.figures.trade_off(results, {pinned!r}, limits).show()",
        f"qv.figures.histogram_grid(results, {pinned!r}).show()",
    ]
    return "\n".join(lines) + "\n"


def tensors_snippet(
    view: View,
    tensors: Sequence[str],
    keys: list[str],
    drawn: tuple[str, str | None, str | None],
    importance: str | None = None,
) -> str:
    """A script that measures several tensors, and draws them. drawn: the metric, the pinned scheme, against what."""
    metric, pinned, against = drawn
    given = f", rows={view.at.rows}" if view.at.rows else ""
    given += f", importance={PurePath(importance).name!r}" if importance else ""
    lines = [
        "import quantviz as qv",
        "",
        *opening(view)[:-1],
        f"tensors = {list(tensors)!r}",
        f"keys = {keys!r}",
        f"table = qv.compare_tensors(model, tensors, keys{given})",
        "print(table.to_string())",
        f"qv.figures.over_tensors(table, {metric!r}, {pinned!r}, {against!r}).show()",
    ]
    return "\n".join(lines) + "\n"


def given_to_evaluate(importance: Importance | None) -> str:
    """What is known of the layer's inputs, as arguments after the scheme."""
    return "" if not importance else ", importance" + ", calibration=calibration" * bool(importance.python)


def importance_loading(importance: Importance | None) -> list[str]:
    if not importance:
        return []
    if importance.python:
        return [f"calibration = {importance.python}", "importance = calibration.importance"]
    entry = f", {importance.entry!r}" if importance.entry else ""
    return [
        "# The file of importance, in the current folder.",
        f"importance = qv.load_importance({PurePath(importance.file).name!r}{entry})",
    ]


def ref_in_script(ref: str) -> str:
    """A reference as a script has it: a file that was uploaded is taken from the current folder."""
    return PurePath(ref.removeprefix(UPLOAD)).name if ref.startswith(UPLOAD) else ref


def opening(view: View) -> list[str]:
    """The lines that make `w` the tensor of the view."""
    ref, rows, lines = view.at.source.ref, view.at.rows, []
    if ref.startswith("hf:") and view.token:
        lines.append(TOKEN_NOTE)
    if ref.startswith(UPLOAD):
        lines.append("# The file that was uploaded, in the current folder.")
    selection = f", rows=({rows[0]}, {rows[1]})" if rows else ""
    return [*lines, f"model = qv.open_model({ref_in_script(ref)!r})", f"w = model.open({view.at.tensor!r}{selection})"]
