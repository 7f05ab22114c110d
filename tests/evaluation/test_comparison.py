"""Comparisons: the tensor is described once, each scheme comes as it is made, the best follows its metric."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz.evaluation import Evaluation, comparison
from quantviz.evaluation.comparison import (
    Refusal,
    best,
    compare,
    differences,
    evaluations,
    pareto,
    table_sentences,
    tabulate,
)

KEYS = ("int4-sym-tensor", "int4-sym-b64", "nf4-b64", "fp16")


@pytest.fixture(scope="module")
def w() -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    x[3, 7] = 20
    return x


@pytest.fixture(scope="module")
def frame(w):
    return compare(w, KEYS)


def test_a_row_a_scheme_with_what_evaluate_gives(w, frame):
    assert frame.scheme.tolist() == list(KEYS)
    assert list(frame.columns[-2:]) == ["seconds", "notices"]
    for _, row in frame.iterrows():
        metrics = qv.evaluate(w, row.scheme).metrics
        assert {name: row[name] for name in metrics} == pytest.approx(metrics, nan_ok=True)


def test_weighted_mse_joins_with_importance_and_counted_metrics_leave_with_detail(w):
    assert "weighted_mse" in compare(w, KEYS[:1], importance=np.arange(256)).columns
    assert "abs_error_p99" not in compare(w, KEYS[:1], detail="metrics").columns


def test_the_tensor_is_described_once_and_each_evaluation_comes_when_it_is_made(w, monkeypatch):
    described = []
    monkeypatch.setattr(comparison, "describe", lambda t: described.append(1) or qv.describe(t))
    stream = evaluations(w, KEYS)
    assert not described, "nothing happens before the first is asked for"
    assert next(stream).scheme == KEYS[0]
    assert [e.scheme for e in stream] == list(KEYS[1:])
    assert described == [1]


def test_progress_runs_once_through_all_schemes(w):
    seen = []
    compare(w, KEYS, progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {len(KEYS) * w.size}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == len(KEYS) * w.size


def test_a_scheme_that_cannot_apply_is_listed_with_the_reason(w):
    outcomes = list(evaluations(w[:, :100], ["q4_0", "int8-sym-b64"]))
    assert isinstance(outcomes[0], Refusal) and isinstance(outcomes[1], Evaluation)
    frame = tabulate(outcomes)
    assert "32" in frame.notices[0] and "100" in frame.notices[0] and math.isnan(frame.sqnr_db[0])
    assert comparison.with_figures(frame) == ["int8-sym-b64"]
    assert tabulate(outcomes[:1]).columns.tolist() == ["scheme", "seconds", "notices"]


def test_of_nothing_of_one_and_of_the_same_twice(w):
    with pytest.raises(qv.QuantvizError, match="at least one scheme"):
        compare(w, [])
    assert compare(w, "nf4-b64").scheme.tolist() == ["nf4-b64"]
    assert compare(w, ["nf4-b64", "nf4", "NF4-b64:scale=fp32"]).scheme.tolist() == ["nf4-b64"]


def test_a_wrong_key_is_said_before_anything_is_computed(w):
    with pytest.raises(qv.QuantvizError, match="int4-asym"):
        evaluations(w, ["int4-sym-b64", "int4-aysm-b64"])


def test_two_hundred_schemes():
    small = np.random.default_rng(1).standard_normal((4, 256), dtype=np.float32)
    keys = [f"int4-sym-b{n}" for n in range(1, 201)]
    assert compare(small, keys, detail="metrics").sqnr_db.notna().all()


def test_best_follows_each_metrics_own_direction(frame):
    marked = best(frame)
    assert marked["bits_per_weight"] == ["int4-sym-tensor"] and marked["sqnr_db"] == ["fp16"]
    assert marked["compression_ratio"] == ["int4-sym-tensor"]
    assert "code_entropy_bits" not in marked, "neither way is better"
    assert best(frame[:1]) == {}, "the only one is not the best"


def test_several_may_tie():
    frame = compare(np.ones((4, 64), np.float32), ["fp32", "bf16", "int4-sym-tensor:scale=bf16"])
    assert set(best(frame).get("mse", frame.scheme)) >= {"fp32", "bf16"}


def test_against_gives_zero_for_the_baseline_and_refuses_a_stranger(frame):
    gaps = differences(frame, "int4-sym-b64")
    assert (gaps.loc[1, comparison.metric_columns(frame)].dropna() == 0).all()
    assert gaps.sqnr_db[2] == frame.sqnr_db[2] - frame.sqnr_db[1]
    assert frame.sqnr_db[1] != 0, "the table itself stays"
    with pytest.raises(qv.QuantvizError, match="mxfp4"):
        differences(frame, "mxfp4")


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(-5, 40)), max_size=30))
def test_the_front_is_exactly_what_nothing_beats(points):
    bits, sqnr = [b for b, _ in points], [s for _, s in points]

    def beaten(i: int) -> bool:
        return any(b <= bits[i] and s >= sqnr[i] and (b, s) != (bits[i], sqnr[i]) for b, s in points)

    front = pareto(bits, sqnr).tolist()
    assert set(front) == {i for i in range(len(points)) if not beaten(i)}
    assert [bits[i] for i in front] == sorted(bits[i] for i in front)


def test_the_front_leaves_nan_out_and_takes_infinity():
    assert pareto([4, 8, 32, 2], [20, 40, math.inf, math.nan]).tolist() == [0, 1, 2]
    assert pareto([], []).tolist() == []


def test_the_verdict_names_the_front_and_the_best_of_the_pinned_schemes_size(frame):
    front, rival = table_sentences(frame, "nf4-b64")
    assert "int4-sym-tensor" in front and "fp16" in front
    assert "nothing here does better" in rival
    assert "nf4-b64 reaches" not in table_sentences(frame, "int4-sym-b64")[1], "it takes more bits"
    worse = table_sentences(compare(np.eye(64, dtype=np.float32), ["int4-sym-tensor", "int8-sym-tensor"]), None)
    assert len(worse) == 1 and table_sentences(frame[:1]) == []


def test_nothing_does_better_than_no_error_at_all():
    frame = compare(np.ones((4, 64), np.float32), ["fp32", "bf16", "fp16"])
    assert "nothing here does better than the pinned fp32" in table_sentences(frame, "fp32")[1]


def test_both_engines_agree(w):
    one, other = (compare(w, KEYS, device=device) for device in ("cpu", "reference"))
    for name in comparison.metric_columns(one):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4)


def test_a_sentence_says_where_the_outputs_error_and_the_weights_part():
    x = np.random.default_rng(1).standard_normal((512, 128), dtype=np.float32)
    x[:, 1:] += 3 * x[:, :1]
    w = np.random.default_rng(2).standard_normal((32, 128), dtype=np.float32)
    keys = ["int4-asym-b64", "int4-asym-b64:solver=gptq"]
    found = comparison.output_sentence(compare(w, keys, calibration=qv.Calibration.of(x)))
    assert found.startswith(f"The least error of the layer's output has {keys[1]}, ")
    assert f"the least of the weights {keys[0]}, " in found
    assert comparison.output_sentence(compare(w, keys[:1], calibration=qv.Calibration.of(x))) is None
    assert comparison.output_sentence(compare(w, keys[:1])) is None
