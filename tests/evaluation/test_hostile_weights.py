"""All that is said and drawn of finite weights at the ends of float32: figures, words, or a refusal in a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import quantviz as qv
from quantviz import QuantvizError
from quantviz.evaluation import Evaluation, export, sentences
from quantviz.evaluation import facts as tables
from quantviz.evaluation.limits import optimal_scalar
from quantviz.evaluation.pairs import evaluate_pair
from quantviz.evaluation.predicted import expected_errors
from quantviz.figures import blocks, histograms
from quantviz.figures import outliers as outlier_figures
from quantviz.inspection import worked as codes
from quantviz.outliers import attribution, cures, curves, edits
from quantviz.outliers import export as outlier_export
from quantviz.outliers import sentences as outlier_sentences
from quantviz.schemes import Scheme
from quantviz.statistics import TensorStatistics
from quantviz.tensors import as_stored
from quantviz.text.spreadsheets import csv_text

from ..kernels.hostile import MAX, tensors

TENSORS = dict(tensors(4))
KEYS = ("int4-sym-b32", "int4-asym-tensor:scale=fp32", "fp8_e4m3", "nf4-b64", "mxfp4:rotate=hadamard", "q4_0:pad=1")


def of_evaluation(w: Any, key: str, t: TensorStatistics) -> Iterator[Any]:
    e: Evaluation = qv.evaluate(w, key, statistics=t)
    stored, scheme = as_stored(w), Scheme.parse(key)
    yield sentences.sentences(e)
    yield sentences.pinned_sentence(e, qv.evaluate(w, "int8-sym-tensor", statistics=t))
    yield json.dumps(export.evaluation_dict(e), allow_nan=False)
    yield csv_text(*export.metrics_table(e))
    yield histograms.weights(e)
    yield histograms.errors(e, expected_errors(stored, scheme, t, e.code_counts, e.histograms["error"].edges))
    yield blocks.error_map(e)


def of_block(w: Any, key: str, t: TensorStatistics) -> Iterator[Any]:
    block = qv.inspect_block(w, key, 0, 0, t)
    assert np.isfinite(block.dequantized).all()
    yield sentences.block_sentence(block, t)
    yield codes.arithmetic(block)
    yield codes.rule_text(block)
    yield codes.block_rows(block)
    yield blocks.block(block)


def of_outliers(w: Any, key: str, t: TensorStatistics) -> Iterator[Any]:
    a = attribution.attribute(w, key, t)
    assert np.isfinite(a.squared_error_share).all()
    yield attribution.largest_table(a)
    yield outlier_sentences.attribution_sentences(a)
    yield json.dumps(outlier_export.attribution_dict(a), allow_nan=False)
    yield outlier_figures.bands(a)
    yield outlier_figures.block_sides(a)
    yield outlier_figures.channels(a)


def of_cures(w: Any, key: str, t: TensorStatistics) -> Iterator[Any]:
    treated = cures.treat(w, key, t)
    yield outlier_sentences.cure_sentence(treated)
    yield outlier_figures.cures(treated)


VIEWS: dict[str, Callable[[Any, str, TensorStatistics], Iterator[Any]]] = {
    "evaluation": of_evaluation, "block": of_block, "outliers": of_outliers, "cures": of_cures,
}  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", TENSORS)
def test_a_view_of_a_scheme_stands_or_is_refused(name: str, view: str) -> None:
    w = TENSORS[name]
    t = qv.describe(w)
    for key in KEYS:
        try:
            for _ in VIEWS[view](w, key, t):
                pass
        except QuantvizError as refused:
            assert str(refused).endswith(".") and "\n" not in str(refused)


@pytest.mark.parametrize("name", TENSORS)
def test_a_view_of_the_tensor_alone_stands_or_is_refused(name: str) -> None:
    w = TENSORS[name]
    t = qv.describe(w)
    assert all(math.isfinite(v) for v in (t.min, t.max, t.mean, t.std, t.mean_abs, t.sum_squares))
    for view in (
        lambda: (tables.statistics_facts(t), tables.largest_weights_table(t), histograms.outside_note(t)),
        lambda: optimal_scalar(t.histogram, (2, 4)),
        lambda: outlier_sentences.block_size_sentence(curves.block_size_sweep(w, statistics=t)),
        lambda: outlier_figures.block_sizes(curves.block_size_sweep(w, statistics=t)),
        lambda: outlier_sentences.magnitude_sentence(curves.magnitude_sweep(w)),
        lambda: qv.describe(edits.apply(w, edits.Injection(1, 20.0), t)),
        lambda: qv.describe(edits.apply(w, edits.Removal(4.0), t)),
        lambda: qv.compare(w, KEYS),
        lambda: evaluate_pair(w, np.zeros(t.shape, np.float32)).metrics,
    ):
        try:
            view()
        except QuantvizError as refused:
            assert str(refused).endswith(".") and "\n" not in str(refused)


def test_two_tensors_further_apart_than_float32_reaches_are_refused() -> None:
    w = np.full((4, 64), MAX, np.float32)
    with pytest.raises(QuantvizError, match="differ by more than float32's largest number"):
        evaluate_pair(w, -w)
