"""GPTQ: llm-compressor's codes, an independent statement in float64, rounding to nearest where inputs say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration, QuantvizError
from quantviz.calibration.gptq import BLOCK
from quantviz.calibration.output_error import output_metrics, power, power_of
from quantviz.tensors import as_stored

GOLDEN = Path(__file__).parent / "data" / "gptq.npz"
KEYS = ("int4-sym-b32", "int4-asym-b64", "int8-sym-b32", "nf4-b64", "mxfp4", "int3-offset-channel", "nvfp4",
        "nf4-b64:double=1", "int4-sym-b16x16", "int4-sym-tensor", "ternary", "fp8_e4m3-channel")  # fmt: skip


def layer(rows: int = 48, cols: int = 192, tokens: int = 700) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((tokens, cols)) @ rng.standard_normal((cols, cols)) * np.exp(rng.standard_normal(cols))
    return rng.standard_normal((rows, cols)).astype(np.float32), x.astype(np.float32)


def with_solver(key: str, more: str = "") -> str:
    return f"{key}{',' if ':' in key else ':'}solver=gptq{more}"


def output_error(q, w: np.ndarray, c: Calibration) -> float:
    error, signal = power(np.asarray(q.dequantize()) - w, c), power_of(as_stored(w), c)
    return output_metrics(error, signal)["output_relative_error"]


def test_llm_compressor_gives_the_same_codes_and_output() -> None:
    kept = np.load(GOLDEN)
    w, x = kept["w"].astype(np.float32), kept["x"].astype(np.float32)
    c = Calibration.of(x, heldout=0)
    for granularity in ("b128", "channel"):
        for order, option in (("none", ""), ("weight", ",order=act")):
            theirs = kept[f"{granularity}-{order}"]
            q = qv.quantize(w, f"int4-asym-{granularity}:scale=fp32,solver=gptq{option}", calibration=c)
            assert (q.codes == theirs).mean() >= 0.999
            with_theirs = type(q)(q.scheme, q.shape, theirs, q.scales, q.zero_points)
            ours, other = (output_error(one, w, c) for one in (q, with_theirs))
            assert ours == pytest.approx(other, rel=1e-3)


def statement(w: np.ndarray, x: np.ndarray, scale: np.ndarray, zero: np.ndarray, act: bool) -> np.ndarray:
    """The paper's first form, in float64: after each column H loses its row and column, and the inverse is taken anew.

    scale, zero: [rows, cols], fixed. Gives codes from 0 to 15.
    """
    h = x.T @ x / len(x)
    h += 0.01 * h.diagonal().mean() * np.eye(len(h))
    left, codes = w.copy(), np.zeros(w.shape, int)
    todo = list(np.argsort(-(x.T @ x).diagonal(), kind="stable")) if act else list(range(w.shape[1]))
    inverse = np.linalg.inv(h)
    while todo:
        j = todo.pop(0)
        codes[:, j] = np.clip(np.round(left[:, j] / scale[:, j]) + zero[:, j], 0, 15)
        error = left[:, j] - (codes[:, j] - zero[:, j]) * scale[:, j]
        left -= np.outer(error / inverse[j, j], inverse[j]) * np.isin(np.arange(w.shape[1]), todo)
        inverse -= np.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    return codes


def test_an_independent_statement_gives_the_same_codes() -> None:
    w, x = layer(24, 96)
    c = Calibration.of(x, heldout=0)
    nearest = qv.quantize(w, "int4-asym-b32:scale=fp32")
    scale, zero = (np.repeat(a.astype(float), 32, axis=1) for a in (nearest.scales, nearest.zero_points))
    for option in ("", ",order=act"):
        theirs = statement(w.astype(float), x.astype(float), scale, zero, bool(option))
        ours = qv.quantize(w, f"int4-asym-b32:scale=fp32,solver=gptq{option}", calibration=c).codes
        assert (ours == theirs).mean() >= 0.999


def test_uncorrelated_inputs_give_rounding_to_nearest_and_others_a_better_output() -> None:
    w, x = layer()
    cols = w.shape[1]
    plain = Calibration(np.ones(cols, np.float32), np.eye(cols, dtype=np.float32), cols)
    c = Calibration.of(x)
    for key in KEYS:
        nearest, same = qv.quantize(w, key), qv.quantize(w, with_solver(key), calibration=plain)
        assert np.array_equal(nearest.codes, same.codes), key
        assert np.array_equal(nearest.dequantize(), same.dequantize()), key
        moved = qv.quantize(w, with_solver(key), calibration=c)
        assert output_error(moved, w, c) < output_error(nearest, w, c), key
        assert moved.bits_per_weight == nearest.bits_per_weight


def test_the_fast_path_gives_what_is_to_be_read() -> None:
    w, x = layer()
    assert w.shape[1] > BLOCK
    c = Calibration.of(x)
    for key in KEYS:
        for more in ("", ",order=act,damp=5%"):
            fast, plain = (
                qv.quantize(w, with_solver(key, more), calibration=c, engine=engine) for engine in ("cpu", "reference")
            )
            assert (fast.codes == plain.codes).mean() >= 0.999, key


def test_what_evaluate_says_is_the_error_of_what_quantize_gives() -> None:
    w, x = layer()
    c = Calibration.of(x)
    for key in ("int4-asym-b64:solver=gptq", "int4-asym-b64:rotate=hadamard,solver=gptq", "nf4-b64:solver=awq"):
        r, q = qv.evaluate(w, key, calibration=c), qv.quantize(w, key, calibration=c)
        e = q.dequantize().astype(float) - w
        assert r.metrics["relative_l2_error"] == pytest.approx(np.linalg.norm(e) / np.linalg.norm(w), rel=1e-6)
        assert r.metrics["bits_per_weight"] == q.bits_per_weight
        errors = r.histograms["error"]
        assert r.code_counts.sum() == w.size == errors.counts.sum() + errors.below + errors.above
        assert (r.metrics.get("rmse_over_scale") is None) == (key != "int4-asym-b64:solver=gptq")
        blocks = np.sqrt(np.square(e).reshape(len(w), -1, 64).mean(axis=2))
        assert r.block_errors == pytest.approx(blocks, rel=1e-5)


def test_inputs_that_are_always_zero_lose_their_weights() -> None:
    w, x = layer(8, 64)
    x[:, 5] = 0
    q = qv.quantize(w, "int4-sym-b32:solver=gptq", calibration=Calibration.of(x))
    assert not q.dequantize()[:, 5].any()
    assert any("always 0 became 0" in text for text in q.notices)


def test_a_singular_moment_is_refused_with_a_damp_that_would_do() -> None:
    w, x = layer(8, 64, 40)
    c = Calibration.of(x)
    assert "fewer than the layer's 64 inputs" in c.remarks[0]
    with pytest.raises(QuantvizError, match=r"damp=0% adds too little; damp=[0-9.]+% would do\.") as caught:
        qv.quantize(w, "int4-sym-b32:solver=gptq,damp=0", calibration=c)
    damp = str(caught.value).rpartition("damp=")[2].partition(" ")[0]
    assert qv.quantize(w, f"int4-sym-b32:solver=gptq,damp={damp}", calibration=c).codes.any()


def test_it_is_refused_without_a_calibration_and_can_be_stopped() -> None:
    w, x = layer(8, 64)
    c, key = Calibration.of(x), "int4-sym-b32:solver=gptq"
    for ask in (qv.quantize, qv.evaluate):
        with pytest.raises(QuantvizError, match="cannot be quantized without a calibration: solver=gptq looks at"):
            ask(w, key)
    frame = qv.compare(w, ["int4-sym-b32", key])
    assert frame.seconds.notna().tolist() == [True, False] and "without a calibration" in frame.notices[1]
    with pytest.raises(QuantvizError, match="takes E.x xᵀ. of the inputs, and an imatrix or importance holds only"):
        qv.quantize(w, key, calibration=Calibration(c.importance, None, 10))
    with pytest.raises(QuantvizError, match="holds inputs, 64 a token, and a row of this tensor has 32 weights"):
        qv.evaluate(w[:, :32], "int4-sym-b32", calibration=c)

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    for stopped in (key, "int4-sym-b32:solver=awq"):
        with pytest.raises(Stop):
            qv.evaluate(w, stopped, calibration=c, progress=stop)
