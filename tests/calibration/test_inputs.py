"""Inputs quantized too: torchao's codes a token, the products spelled out, rotation; SmoothQuant's scales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz import Calibration, QuantvizError, Scheme
from quantviz.calibration.inputs import quantized_inputs
from quantviz.calibration.synthetic import synthetic_inputs
from quantviz.kernels.rotation import rotate
from quantviz.schemes.inputs import INPUT_SCHEMES
from quantviz.throughput.plan import Plan


def layer(rows: int = 48, cols: int = 128) -> tuple[np.ndarray, np.ndarray]:
    w = np.random.default_rng(4).standard_normal((rows, cols), dtype=np.float32)
    return w, synthetic_inputs(cols, 800, outlier_share=0.04, outlier_magnitude=30.0)


def rounded(x: np.ndarray, way: str) -> np.ndarray:
    """Inputs as the quantizer of weights rounds them, a token a row."""
    return np.asarray(qv.quantize(x, INPUT_SCHEMES[way]).dequantize())


def test_torchao_rounds_a_token_alike() -> None:
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        dequantize_affine,
        quantize_affine,
    )

    x = torch.from_numpy(layer()[1])
    block, ends = (1, x.shape[1]), (-127, 127)
    scale, zero = choose_qparams_affine(
        x, MappingType.SYMMETRIC, block, torch.int8, *ends, scale_dtype=torch.float32, zero_point_dtype=torch.int32
    )
    codes = quantize_affine(x, block, scale, zero, torch.int8, *ends)
    theirs = dequantize_affine(codes, block, scale, zero, torch.int8, *ends).numpy()
    ours = quantized_inputs(x.numpy(), Scheme.parse("int4:act=int8-token"))
    assert (ours == theirs).mean() > 0.9999  # they multiply by the reciprocal of the scale, which may turn a tie
    assert np.abs(ours - theirs).max() <= float(scale.max())


def test_every_way_is_the_quantizer_of_weights_on_rows_of_inputs() -> None:
    x = layer()[1][:16]
    for way in ("int8-token", "int4-token", "int8-tensor", "mxfp4"):
        assert np.array_equal(quantized_inputs(x, Scheme.parse(f"int4:act={way}")), rounded(x, way)), way
    assert quantized_inputs(x, Scheme.parse("int4")) is x
    assert quantized_inputs(x[:0], Scheme.parse("int4:act=mxfp4")).shape == (0, 128)


def test_the_error_of_the_output_is_that_of_the_products() -> None:
    w, x = layer()
    c = Calibration.of(x)
    for options in ("act=int8-token", "act=mxfp4", "act=int8-token,smooth=0.5", "solver=awq,act=int4-token",
                    "solver=gptq,act=int4-token,smooth=0.25"):  # fmt: skip
        key = f"int4-sym-b32:{options}"
        r, q = qv.evaluate(w, key, calibration=c, detail="metrics").metrics, qv.quantize(w, key, calibration=c)
        scheme, s = q.scheme, 1 if q.input_scales is None else q.input_scales
        made = np.asarray(q.dequantize()).astype(float)
        for name, inputs in (("joint_output_relative_error", c.inputs), ("heldout_joint_output_relative_error",
                                                                         c.heldout)):  # fmt: skip
            given = rounded(inputs / s, scheme.act).astype(float) * s
            whole, true = given @ made.T - inputs @ w.T.astype(float), np.linalg.norm(inputs @ w.T.astype(float))
            assert r[name] == pytest.approx(np.linalg.norm(whole) / true, rel=1e-5), key
            if inputs is c.inputs:
                parts = (inputs @ (made - w).T, (given - inputs) @ made.T)
                for which, part in zip(("weights", "inputs"), parts, strict=True):
                    share = np.square(part).sum() / np.square(whole).sum()
                    assert r[f"output_share_of_{which}"] == pytest.approx(share, rel=1e-5), key
        plain = qv.evaluate(w, "int4-sym-b32", detail="metrics").metrics
        if not scheme.uses_data:  # nothing of the weights changes
            assert {name: r[name] for name in plain} == plain


def test_rotated_inputs_are_what_is_rounded() -> None:
    w, x = layer()
    c, key = Calibration.of(x), "int4-sym-b32:rotate=hadamard,act=int4-token"
    turn = rotate(torch.eye(128)).numpy().astype(float)  # a row x becomes x @ turn
    turned = np.asarray(qv.quantize((w @ turn).astype(np.float32), "int4-sym-b32").dequantize()).astype(float)
    given = rounded((c.heldout @ turn).astype(np.float32), "int4-token").astype(float)
    true = c.heldout @ w.T.astype(float)
    off = np.linalg.norm(given @ turned.T - true) / np.linalg.norm(true)
    got = qv.evaluate(w, key, calibration=c, detail="metrics").metrics["heldout_joint_output_relative_error"]
    assert got == pytest.approx(off, rel=0.01)  # a code or two turn where rotating rounds otherwise
    plain = qv.evaluate(w, key.replace("rotate=hadamard,", ""), calibration=c, detail="metrics").metrics
    assert got < 0.7 * plain["heldout_joint_output_relative_error"]


def authors_scales(x: np.ndarray, w: np.ndarray, alpha: float) -> np.ndarray:
    """mit-han-lab/smoothquant's smooth_ln_fcs, of one layer."""
    most, weights = torch.from_numpy(np.abs(x).max(axis=0)), torch.from_numpy(w).abs().max(dim=0)[0].clamp(min=1e-5)
    return (most.pow(alpha) / weights.pow(1 - alpha)).clamp(min=1e-5).numpy()


def test_the_scales_of_smoothquant_are_those_of_its_authors() -> None:
    w, x = layer()
    w[:, 7], x[:, 9] = 0, 0
    c = Calibration.of(x)
    used = x[: c.tokens]
    assert np.array_equal(c.max_abs, np.abs(used).max(axis=0))
    for alpha in (0.0, 0.5, 0.8, 1.0):
        q = qv.quantize(w, f"int8-sym-channel:act=int8-token,smooth={alpha}", calibration=c)
        s = authors_scales(used, w, alpha)
        assert np.array_equal(q.input_scales, s)
        largest = [np.abs(a).max(axis=0).astype(float) for a in (used, w)]
        alive = (largest[0] > 0) & (largest[1] > 0)
        paper = largest[0][alive] ** alpha / largest[1][alive] ** (1 - alpha)
        assert q.input_scales[alive] == pytest.approx(paper, rel=1e-5)
        plain = qv.quantize(w * s, "int8-sym-channel")
        assert np.array_equal(q.codes, plain.codes) and np.array_equal(q.dequantize(), plain.dequantize() / s)
        assert q.bits_per_weight == plain.bits_per_weight and "SmoothQuant with α" in q.notices[-1]


def test_smoothing_helps_where_some_inputs_are_large_and_gptq_goes_on_from_it() -> None:
    w, x = layer()
    c = Calibration.of(x)
    name, key = "heldout_joint_output_relative_error", "int8-sym-channel:act=int8-token"
    plain, smooth = (qv.evaluate(w, key + more, calibration=c).metrics for more in ("", ",smooth=0.5"))
    assert smooth[name] < 0.5 * plain[name] and smooth["relative_l2_error"] > plain["relative_l2_error"]
    s = authors_scales(x[: c.tokens], w, 0.5)
    apart = Calibration.of(x[: c.tokens] / s, heldout=0)
    theirs = qv.quantize(w * s, "int4-sym-b32:solver=gptq", calibration=apart)
    ours = qv.quantize(w, "int4-sym-b32:solver=gptq,act=int8-token,smooth=0.5", calibration=c)
    assert (ours.codes == theirs.codes).mean() >= 0.999


def test_what_is_missing_is_said() -> None:
    w, x = layer()
    c, key = Calibration.of(x), "int4-sym-b32:act=int8-token"
    assert "changes nothing of its weights" in qv.evaluate(w, key).notices[-1]
    unsampled = qv.evaluate(w, key, calibration=replace(c, inputs=None))
    assert "joint_output_relative_error" not in unsampled.metrics
    assert "No sample of the layer's inputs" in unsampled.notices[-1]
    assert not qv.evaluate(w, key, calibration=c).notices
    rows = [row for rows in qv.sweep("random:normal?rows=8&cols=64", [key]) for row in rows.itertuples()]
    assert [row.notices.partition(" ")[0] for row in rows] == ["act=int8-token"]
    with pytest.raises(QuantvizError, match="cannot be timed: layers are timed with inputs as they come"):
        Plan.make("cpu", schemes=["int4-sym-b32", key])
    with pytest.raises(QuantvizError, match="without a calibration: smooth=0.5 looks at the layer's inputs"):
        qv.quantize(w, key + ",smooth=0.5")
    with pytest.raises(QuantvizError, match="the largest .x. of each input, which this calibration does not hold"):
        qv.quantize(w, key + ",smooth=0.5", calibration=replace(c, max_abs=None))
