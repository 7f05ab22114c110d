"""Evaluations, their sentences, limits, comparisons and exports are what they were before."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.evaluation import comparison, layer_output, limits, pairs, predicted, sentences
from quantviz.evaluation.export import evaluation_dict, metrics_table
from quantviz.evaluation.facts import largest_weights_table, statistics_facts
from quantviz.inspection import inspect_block
from quantviz.schemes import Scheme
from quantviz.statistics import Histogram
from quantviz.tensors import as_stored
from tests.recorded import interface

RNG = np.random.default_rng(11)
NORMAL = RNG.standard_normal((256, 256), dtype=np.float32) * np.float32(0.02)


def changed(change: Callable[[np.ndarray], None], w: np.ndarray = NORMAL) -> np.ndarray:
    w = w.copy()
    change(w)
    return w


TENSORS = {
    "normal": NORMAL,
    "outlier": changed(lambda w: w.__setitem__((3, 70), 0.4)),
    "outliers": changed(lambda w: w.__setitem__((slice(0, 30), 0), 0.4)),
    "two": changed(lambda w: w.__setitem__(([3, 9], [70, 9]), [0.4, -0.39])),
    "loud rows": changed(lambda w: w.__setitem__(slice(0, 2), w[:2] * 30)),
    "off centre": 1 + NORMAL * 2.5,
    "zeros": np.zeros((4, 256), np.float32),
    "half zeros": changed(lambda w: w.__setitem__((slice(None), slice(0, 128)), 0)),
    "equal": np.ones((4, 256), np.float32),
    "two values": np.sign(NORMAL[:8]),
    "few": np.array([[-0.89, 0.16, 0.08, -0.13, 0.16, -0.54]], np.float32),
    "large": NORMAL * np.float32(1e9),
}
KEYS = (
    "int4-sym-tensor",
    "int4-asym-tensor",
    "int4-sym-b64",
    "int2-sym-b64",
    "int8-sym-b64",
    "int4-asym-b16",
    "fp16",
    "int4-offset-b64",
    "q4_0",
    "int4-sym-b64:keep=1%",
    "int4-sym-tensor:clip=99.9",
    "nf4-b64",
    "fp8_e4m3",
    "fp32",
)


@pytest.mark.parametrize("name", TENSORS)
def test_what_is_measured_and_said(name, kept):
    w, found = TENSORS[name], []
    statistics = qv.describe(w)
    kept([asdict(fact) for fact in statistics_facts(statistics)] if name in ("normal", "zeros") else 0)
    kept([fact.text for fact in statistics_facts(statistics)])
    kept({column: np.asarray(values)[:4] for column, values in largest_weights_table(statistics).items()})
    for key in KEYS:
        try:
            found.append(e := qv.evaluate(w, key))
        except QuantvizError as refusal:
            kept([key, str(refusal)])
            continue
        kept([key, e.metrics if key in KEYS[:2] else e.metrics["sqnr_db"], sentences.sentences(e), list(e.notices)])
        kept(sentences.pinned_sentence(e, found[0]))
        for row in (0, 3):
            if row * 64 < w.size and "keep" not in key and row < w.shape[0]:
                kept(_block(w, key, row, 1 if "b64" in key and w.shape[1] > 64 else 0, statistics))
    frame = comparison.tabulate(found)
    kept([comparison.table_sentences(frame, pinned) for pinned in (None, "int4-sym-b64", "fp16")])
    kept(comparison.best(frame))


def _block(w, key, row, col, statistics):
    try:
        return sentences.block_sentence(inspect_block(w, key, row, col), statistics)
    except QuantvizError as refusal:
        return str(refusal)


def test_an_evaluation_whole(kept):
    e = qv.evaluate(TENSORS["outlier"], "int4-sym-b64", importance=np.linspace(0, 1, 256))
    whole = evaluation_dict(e)
    whole.pop("seconds", None)
    kept(whole)
    kept(metrics_table(e))
    kept(evaluation_dict(e, "full")["block_errors"])
    for dtype in ("float16", "q4_0", "float8_e4m3fn", "int8", "mxfp4", "bfloat16"):
        kept(sentences.on_top_of(dtype))


def test_progress_of_several_passes(kept):
    told: list[list[int]] = []
    for position in range(3):
        comparison.part_of(lambda done, total: told.append([done, total]), position, 3)(5, 10)
    kept(told)
    x = np.random.default_rng(12).standard_normal((40, 256), dtype=np.float32)
    for key, calibration in (("int4-sym-b64", None), ("int4-sym-b64", x), ("int4-sym-b64:solver=gptq", x)):
        told.clear()
        given = None if calibration is None else qv.Calibration.of(calibration)
        qv.evaluate(NORMAL[:4], key, progress=lambda done, total: told.append([done, total]), calibration=given)
        kept([key, told[-1], len({total for _, total in told}), min(done for done, _ in told) >= 0])


HISTOGRAMS = {
    "flat": Histogram(-1.0, 1.0, np.full(200, 10)),
    "two peaks": Histogram(-2.0, 2.0, np.r_[np.full(3, 90), np.zeros(94, int), np.full(3, 70)]),
    "one bin": Histogram(0.0, 1.0, np.r_[0, 0, 100, 0]),
    "triangle": Histogram(-1.0, 3.0, np.arange(1, 400)),
    "with a peak": Histogram(-1.0, 1.0, np.r_[np.full(100, 5), 4000, np.full(100, 5)]),
}


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_the_best_scalar_quantizer(name, kept):
    for levels in (1, 2, 3, 5, 16):
        q = limits.lloyd_max(HISTOGRAMS[name], levels)
        kept([q.levels, q.thresholds, q.mse, q.sqnr_db, q.resolved, q.bits])
    kept([q.sqnr_db for q in limits.optimal_scalar(HISTOGRAMS[name], (1, 4, 8))])


def test_limits_that_are_refused_and_the_line_of_a_gaussian(kept):
    kept([limits.gaussian_sqnr_db(*given) for given in ((0,), (4,), (4, 1, 0.05), (2, -3, 2), (3, 1, 0))])
    flat = HISTOGRAMS["flat"]
    for histogram, levels in (
        (flat, 0),
        (flat, 641),
        (Histogram(0, 1, np.zeros(3, int)), 2),
        (Histogram(0, 1, np.ones(3, int), 1), 2),
        (Histogram(0, 1, np.ones(3, int), 0, 1), 2),
    ):
        with pytest.raises(QuantvizError) as refusal:
            limits.lloyd_max(histogram, levels)
        kept(str(refusal.value))
    kept(
        [
            limits._solve_tridiagonal(np.array(d), np.array(b), np.array([1.0, 2, 3]))
            for d, b in (([2.0, 3, 4], [1.0, 0.5]), ([0.0, 1, 1], [1.0, 1]), ([1.0, 1, 1], [1.0, 0]))
        ]
    )


@pytest.mark.parametrize(
    "key",
    [
        "int4-sym-b64",
        "int4-asym-b16",
        "nf4-b64",
        "fp16",
        "q4_0",
        "int4-sym-tensor",
        "fp8_e4m3",
        "int1-sym-b32",
        "int4-sym-b64:keep=1%",
        "mxint8",
        "iq4_nl",
        "ternary-tensor",
    ],
)
def test_errors_that_are_expected(key, kept):
    edges = np.linspace(-0.02, 0.02, 13)
    for name in ("normal", "half zeros"):
        e = qv.evaluate(TENSORS[name], key)
        found = predicted.expected_errors(
            as_stored(TENSORS[name]), Scheme.parse(key), e.statistics, e.code_counts, edges
        )
        kept(found)


def test_a_layers_output(kept):
    x = np.random.default_rng(13).standard_normal((300, 256), dtype=np.float32) * np.linspace(
        0.5, 2, 256, dtype=np.float32
    )
    x[:, 7] *= 40
    c = qv.Calibration.of(x)
    for key in (
        "int4-sym-b64",
        "int4-sym-b64:act=int8-token",
        "int4-asym-b64:rotate=hadamard",
        "int8-sym-channel:act=int8-token,smooth=0.5",
    ):
        found = layer_output.layer_output(NORMAL[:32], key, c)
        kept(
            [
                layer_output.layer_sentences(found),
                found.moved,
                found.before.spread,
                found.after.spread,
                list(found.before.map.shape),
                found.before.map.astype(float).sum(),
                found.before.together,
                found.shares,
            ]
        )
        e = qv.evaluate(NORMAL[:32], key, calibration=c)
        kept([sentences.output_sentence(e), e.metrics, list(e.notices)])
    keys = ("int4-sym-b64:act=int8-token", "int4-asym-b16:act=int8-token", "int4-sym-b64", "int4-asym-b16")
    frame = comparison.compare(NORMAL[:32], keys, calibration=c)
    kept([comparison.output_sentence(frame), comparison.joint_sentence(frame), comparison.joint_sentence(frame[:1])])
    wide = layer_output.Fed.of(np.arange(2 * 600.0).reshape(2, 600).astype(np.float32))
    kept([wide.together, list(wide.map.shape), wide.map[0, :5], wide.map[-1, -5:], wide.spread])


MADE_UP = [
    {
        "joint_output_relative_error": joint,
        "heldout_joint_output_relative_error": held,
        "output_share_of_weights": weights,
        "output_share_of_inputs": inputs,
    }
    for joint, held, (weights, inputs) in itertools.product(
        (0.1,), (np.nan, 0.2), ((0.5, 0.5), (0.5, 0.489), (0.5, 0.491), (0.6, 0.6), (np.nan, 0.5))
    )
]


def test_the_sentence_of_the_output(kept):
    e = qv.evaluate(NORMAL[:4], "int4-sym-b64", detail="metrics")
    for metrics in MADE_UP:
        kept(sentences.output_sentence(type(e)(**(vars(e) | {"metrics": e.metrics | metrics}))))


def test_pairs(kept):
    made = qv.quantize(TENSORS["outlier"], "int4-sym-b64").dequantize()
    for dtype in (np.float32, np.float16, np.float64):
        e = pairs.evaluate_pair(TENSORS["outlier"], np.asarray(made).astype(dtype), np.linspace(0, 1, 256))
        kept(
            [
                e.scheme,
                e.dtype,
                e.engine,
                e.metrics,
                list(e.notices),
                e.block_errors[:, 0].astype(float),
                [[h.lo, h.hi, h.counts, h.below, h.above] for h in e.histograms.values()],
            ]
        )
    many = np.tile(TENSORS["outlier"], (3, 1))  # several pieces
    kept(pairs.evaluate_pair(many, many * np.float32(1.01), detail="metrics").metrics)
    for other in (NORMAL[:3], NORMAL[:, :3], NORMAL * np.nan):
        with pytest.raises(QuantvizError) as refusal:
            pairs.evaluate_pair(NORMAL, other)
        kept(str(refusal.value))
    with pytest.raises(QuantvizError) as refusal:
        pairs.evaluate_pair(np.full((2, 4), 3e38, np.float32), np.full((2, 4), -3e38, np.float32))
    kept(str(refusal.value))


def test_what_evaluate_refuses(kept):
    for more in ({"detail": "all"}, {"device": "gpu"}, {"importance": np.ones(3)}, {"importance": -np.ones(256)}):
        with pytest.raises(QuantvizError) as refusal:
            qv.evaluate(NORMAL, "int4-sym-b64", **more)
        kept(str(refusal.value))


def test_the_interface(kept):
    kept(interface("evaluation"))
