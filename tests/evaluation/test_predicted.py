"""What uniform rounding predicts: drawn under what was measured, and silent where something else makes the error."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.evaluation.predicted import expected_errors
from quantviz.schemes import Scheme
from quantviz.tensors import as_stored

W = np.random.default_rng(2).standard_normal((256, 512), dtype=np.float32)


def predicted(w: np.ndarray, key: str, edges: np.ndarray | None = None, importance=None) -> tuple:
    """(edges, expected counts or None, the evaluation)"""
    e = qv.evaluate(w, key, importance)
    if edges is None:
        largest = 1.2 * e.metrics["max_abs_error"] or 1.0
        edges = np.linspace(-largest, largest, 41)
    return edges, expected_errors(as_stored(w), Scheme.parse(key), e.statistics, e.code_counts, edges, importance), e


def measured(w: np.ndarray, key: str, edges: np.ndarray, importance=None) -> np.ndarray:
    y = qv.quantize(w, key, importance).dequantize()
    return np.histogram(y.astype(np.float64) - w, edges)[0]


NEAR = {  # scheme -> how much of the histogram may lie elsewhere than predicted
    "int4-sym-b64": 0.03, "int8-sym-b64": 0.03, "int4-asym-b32": 0.02, "int4-offset-b64": 0.04, "mxint8": 0.03,
    "int4-sym-channel": 0.03, "int6-sym-tensor": 0.02, "int4-sym-b16x16": 0.02, "nf4-b64": 0.05, "fp8_e4m3-b32": 0.05,
    "mxfp4": 0.05, "nvfp4": 0.08, "fp8_e4m3": 0.01, "bf16": 0.01, "q8_0": 0.03, "q4_0": 0.05, "iq4_nl": 0.08,
    "q6_k": 0.12,
}  # fmt: skip


@pytest.mark.parametrize("key", NEAR)
def test_the_prediction_is_near_what_is_measured(key):
    edges, expected, _ = predicted(W, key)
    counts = measured(W, key, edges)
    assert expected.shape == (40,) and (expected > -1e-6).all()
    assert expected.sum() == pytest.approx(W.size, rel=1e-4), "all that is predicted lies within the edges"
    assert np.abs(expected - counts).sum() / 2 / W.size < NEAR[key]


@pytest.mark.parametrize("key", ["int1-sym-b64", "fp32", "int4-sym-b64:rotate=hadamard", "int4-sym-b64:keep=1%",
                                 "q1_0", "iq3_s"])  # fmt: skip
def test_where_rounding_is_not_what_makes_the_error_nothing_is_predicted(key):
    assert predicted(W, key)[1] is None


def test_one_scale_gives_the_textbooks_half_step():
    """All errors within ±s/2, spread evenly: each of ten equal bins of that span holds a tenth of the weights."""
    step = float(qv.quantize(W, "int6-sym-tensor").scales[0, 0])
    edges = np.linspace(-step / 2, step / 2, 11)
    _, expected, e = predicted(W, "int6-sym-tensor", edges)
    assert expected == pytest.approx(np.full(10, W.size / 10), rel=1e-6)
    centres = (edges[1:] + edges[:-1]) / 2
    rmse = math.sqrt((expected * centres**2).sum() / W.size)
    assert rmse == pytest.approx(step / math.sqrt(12), rel=0.01)
    assert e.metrics["rmse"] == pytest.approx(step / math.sqrt(12), rel=0.05)


def test_edges_inside_the_span_leave_out_what_lies_beyond():
    step = float(qv.quantize(W, "int6-sym-tensor").scales[0, 0])
    _, expected, _ = predicted(W, "int6-sym-tensor", np.array([-step / 4, 0, step / 8]))
    assert expected == pytest.approx([W.size / 4, W.size / 8], rel=1e-6)


def test_only_codes_in_use_are_predicted_and_nothing_beyond_the_outermost():
    """Weights that all take the largest level of a code book are rounded up to it, and never down."""
    w = np.full((4, 64), 0.95, np.float32)
    w[:, 0] = 1
    edges, expected, _ = predicted(w, "nf4-b64", np.array([-1, -1e-9, 0.07, 0.15, 1]))
    top = (1 - float(qv.formats.get("nf4").levels[-2])) / 2
    assert expected == pytest.approx([0, 256 * 0.07 / top, 256 * (1 - 0.07 / top), 0], abs=1e-5)


def test_scales_that_are_all_zero_predict_nothing():
    assert predicted(np.zeros((4, 64), np.float32), "int4-sym-b64")[1] is None


def test_few_rows_and_many_give_the_same_for_rows_alike():
    row = W[:1]
    edges = np.linspace(-0.3, 0.3, 31)
    one, many = (predicted(np.repeat(row, n, axis=0), "int4-sym-b64", edges)[1] for n in (1, 300))
    assert np.abs(many - 300 * one).sum() < 0.01 * many.sum()  # of many scales, quantiles are taken


def test_importance_is_that_of_the_quantization():
    """Of experts, the mean over them: an estimate, and one that never fails for lack of a row."""
    h = np.linspace(0, 1, 512, dtype=np.float32)
    plain, weighed = predicted(W, "q4_k")[1], predicted(W, "q4_k", importance=h)[1]
    assert plain.sum() == pytest.approx(W.size, rel=1e-6) and weighed.sum() == pytest.approx(W.size, rel=1e-6)
    edges = np.linspace(-0.3, 0.3, 31)
    experts = predicted(W, "q4_k", edges, importance=np.stack([h, h]))[1]
    assert experts == pytest.approx(predicted(W, "q4_k", edges, importance=h)[1], rel=1e-6)
