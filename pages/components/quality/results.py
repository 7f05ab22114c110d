"""The results so far: in words, drawn against bits per weight, and in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from quantviz import figures
from quantviz.quality.results import QUALITY_METRICS, QualityResult
from quantviz.quality.tables import quality_table
from quantviz.quality.text.words import added_text, calibration_sentence, metric_text, summary, with_error
from quantviz.text.wording import count, decimals, plural

from .. import say
from ..shared.charts import chart
from ..shared.left_out import left_out
from ..shared.tables import NONE, height, metric_headings, open_in_explore, table
from ..terms import metric_help
from . import state as quality_state
from .state import Ask

COLUMNS = (
    "bits_per_weight", "perplexity", "perplexity_ratio", "kl_mean", "kl_median", "kl_p99", "kl_p999", "kl_max",
    "top1_agreement", "probability_change", "probability_change_rms", "weight_error", "model_bits_per_weight",
)  # fmt: skip


def results_section(ask: Ask, schemes: Sequence[str], live: bool = False) -> list[QualityResult]:
    """Draws the results so far, and returns them. live: while they grow."""
    left_out(quality_state.refusals(ask, schemes))
    results = list(quality_state.results(ask, schemes))
    if not results:
        return results
    mark = "_live" if live else ""
    _baseline(results)
    if not live and (said := summary(results)):
        say.text(*said)
    if using := next((r for r in results if r.uses_data), None):
        say.caption(f"Scored: {using.text}. Calibrated on: {calibration_sentence(using)}")
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Perplexity added", help=metric_help(QUALITY_METRICS["perplexity_ratio"]))
        chart(figures.quality.ratios(results, schemes), f"ratios{mark}")
    with right:
        st.subheader("KL divergence", help=metric_help(QUALITY_METRICS["kl_mean"]))
        chart(figures.quality.divergences(results, schemes), f"divergences{mark}")
    st.caption(
        "Bars: one standard error either way, that of perplexity from token by token differences. Lines join integer "
        "schemes that differ in bits alone. Dashed across: +0.1%, the limit of claim 5."
    )
    _table(results, mark)
    return results


def _baseline(results: list[QualityResult]) -> None:
    """What the model predicts as it is stored: over all windows, if any scheme has seen them all."""
    r = max(results, key=lambda r: r.windows)
    facts = (
        ("Perplexity as stored", with_error(r.base_perplexity, r.base_perplexity_se),
         "exp(mean(−ln p)) of the model as it is, with its standard error; lower is better."),
        ("Tokens scored", f"{r.scored:,}", f"Of {r.tokens:,} read, in {plural(r.windows, 'window')} of {r.context:,}."),
        ("Layers quantized", f"{r.layers:,}", "Matrices that the schemes replace; all others stay as stored."),
        ("Computed in", f"{r.dtype}, {r.device}", "What the model multiplies in, and where. Schemes round in float32."),
    )  # fmt: skip
    for column, (label, value, meaning) in zip(st.columns(len(facts)), facts, strict=True):
        say.metric(label, value, help=say.plain(meaning), border=True, on=column)


# -- the table -----------------------------------------------------------------------------------


def _table(results: list[QualityResult], mark: str) -> None:
    frame = quality_table(results)
    first = COLUMNS.index("kl_mean") + 1  # so that what it costs stands beside what it gains
    data = ["uses_data", "calibration_tokens", "quantizing_seconds"] if any(r.uses_data for r in results) else []
    shown = frame[["scheme", *data[:1], *COLUMNS[:first], *data[1:], *COLUMNS[first:], "seconds", "notices"]]
    if any(not r.complete for r in results):
        shown.insert(1, "windows", [f"{r.windows} of {r.windows_total}" for r in results])
    plainly = {name: partial(metric_text, name) for name in COLUMNS}
    how = plainly | _with_errors(results) | {
        "seconds": partial(decimals, places=2), "quantizing_seconds": partial(decimals, places=2),
        "calibration_tokens": lambda n: count(n) if n else NONE,
    }  # fmt: skip
    more = {} if mark else {"on_select": "rerun", "selection_mode": "single-row"}
    event = table(shown, how, f"quality_table{mark}", _headings(), height=height(frame), **more)
    rows = event["selection"]["rows"] if more else []
    if rows and rows[0] < len(results) and "=" not in results[rows[0]].scheme.partition(":")[0]:
        open_in_explore(results[rows[0]].scheme)


def _with_errors(results: list[QualityResult]) -> dict[str, Callable[[float], str]]:
    """How a figure whose standard error is known is written: column -> formatter, of the column's own values."""
    texts = {
        "perplexity": {r.perplexity: with_error(r.perplexity, r.perplexity_se) for r in results},
        "perplexity_ratio": {
            r.perplexity_ratio: added_text(r.perplexity_ratio, r.perplexity_ratio_se) for r in results
        },
        "kl_mean": {r.kl_mean: with_error(r.kl_mean, r.kl_mean_se) for r in results},
    }
    return {column: of.__getitem__ for column, of in texts.items()}


def _headings() -> dict:
    column = st.column_config.Column
    return metric_headings(QUALITY_METRICS[name] for name in COLUMNS) | {
        "scheme": column("Scheme", pinned=True),
        "windows": column("Windows", help="How many are done."),
        "seconds": column("Seconds", help="Quantizing, predicting and scoring under this scheme."),
        "uses_data": column(
            "Uses data",
            help="What looked at the layers' inputs: GPTQ or AWQ, which are calibrated on "
            "them, or an imatrix, by which k- and i-quants search.",
        ),
        "calibration_tokens": column("Calibration tokens", help="How many were read for it; none of them is scored."),
        "quantizing_seconds": column("Seconds to quantize", help="Of calibrating and quantizing, the rest left out."),
        "notices": column("Notices", width="large"),
    }
