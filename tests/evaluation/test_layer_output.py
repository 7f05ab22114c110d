"""A layer seen from its inputs: their largest by channel before and after, and who carries the error of its output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration, QuantvizError
from quantviz.calibration.synthetic import synthetic_inputs
from quantviz.evaluation.comparison import joint_sentence
from quantviz.evaluation.layer_output import MAP_CHANNELS, MAP_TOKENS, layer_output, layer_sentences
from quantviz.evaluation.sentences import output_sentence


def layer(cols: int = 128) -> tuple[np.ndarray, Calibration]:
    w = np.random.default_rng(1).standard_normal((24, cols), dtype=np.float32)
    return w, Calibration.of(synthetic_inputs(cols, 500, outlier_share=2 / cols, outlier_magnitude=40.0))


def test_inputs_before_and_after_and_the_shares_of_the_error() -> None:
    w, c = layer()
    plain = layer_output(w, "int4-sym-b32:act=int8-token", c)
    assert np.array_equal(plain.before.largest, np.abs(c.inputs).max(axis=0)) and plain.after is plain.before
    assert plain.moved == "" and plain.input_scales is None and plain.before.map.shape == (MAP_TOKENS, 128)
    e = qv.quantize(w, "int4-sym-b32").dequantize().astype(float) - w
    carried = np.einsum("ij,ij->j", e @ c.moment, e)
    assert plain.shares == pytest.approx(carried / carried.sum(), rel=1e-6)
    smooth = layer_output(w, "int4-sym-b32:act=int8-token,smooth=0.5", c)
    scales = qv.quantize(w, smooth.scheme, calibration=c).input_scales
    assert np.array_equal(smooth.input_scales, scales) and smooth.moved == "divided"
    assert smooth.after.largest == pytest.approx(np.abs(c.inputs / scales).max(axis=0), rel=1e-6)
    turned = layer_output(w, "int4-sym-b32:rotate=hadamard,act=int8-token", c)
    assert turned.moved == "rotated" and turned.after.spread < smooth.after.spread < 0.5 * plain.before.spread
    assert layer_output(w, "fp32", c).shares is None
    with pytest.raises(QuantvizError, match="holds no sample of the layer's inputs; calibrate anew"):
        layer_output(w, "int4-sym-b32", replace(c, inputs=None))


def test_what_is_said_and_drawn() -> None:
    w, c = layer()
    for key, said in (
        ("int4-sym-b32:act=int8-token,smooth=0.5", "Divided by what the weights were multiplied by, the largest"),
        ("int4-sym-b32:rotate=hadamard,act=int8-token", "Rotated, the largest channel reaches"),
        ("int4-sym-b32", "Inputs of channel"),
    ):
        found = layer_output(w, key, c)
        text = " ".join(layer_sentences(found))
        assert said in text and "Half of the output's squared error is carried by" in text
        lines = qv.figures.inputs.channels(found)
        assert len(lines.data) == 1 + bool(found.moved) + (found.input_scales is not None)
        assert (np.diff(lines.data[0].y) <= 0).all()
        cloud = qv.figures.inputs.carriers(found)
        assert cloud.data[1].y == pytest.approx(found.shares, rel=1e-12) and len(cloud.data[1].x) == 128
        heat = qv.figures.inputs.tokens(found, "after").data[0]
        assert heat.z == pytest.approx(found.after.map, rel=1e-2)
        heads = [qv.figures.inputs.tokens(found, which).layout.xaxis.title.text for which in ("before", "after")]
        assert heads == ["input channel", "rotated " * (found.moved == "rotated") + "input channel"]
        for figure in (lines, cloud):
            assert qv.figures.alt_text(figure).endswith(".")
    assert qv.figures.inputs.carriers(layer_output(w, "fp32", c)) is None
    wide = layer_output(np.ones((2, 600), np.float32), "fp32", Calibration.of(synthetic_inputs(600, 30)))
    assert wide.before.map.shape[1] <= MAP_CHANNELS and wide.before.together == 3
    assert wide.before.map[0].max() == np.abs(wide.before.map[0]).max() > 0


def test_a_sentence_tells_whose_part_the_error_is() -> None:
    w, c = layer()
    r = qv.evaluate(w, "int4-sym-b32:act=int8-token", calibration=c)
    told = output_sentence(r)
    assert told.startswith("With its inputs quantized too the layer's output errs by ") and "is the weights'" in told
    assert output_sentence(qv.evaluate(w, "int4-sym-b32", calibration=c)) is None
    clipped = output_sentence(qv.evaluate(w, "mxfp4:act=mxfp4", calibration=c))  # both lose their largest values
    assert "is added where they go together." in clipped
    keys = ["int4-sym-b32:act=int8-token", "mxfp4:act=mxfp4", "int4-sym-b32"]
    frame = qv.compare(w, keys, calibration=c, detail="metrics")
    assert "Of 2 schemes that quantize the inputs too, " in joint_sentence(frame)
    assert " errs least at the layer's output on held-out inputs: " in joint_sentence(frame)
    assert joint_sentence(frame[1:]) is None and joint_sentence(frame[2:].dropna(axis=1)) is None
    exact = qv.evaluate(np.zeros_like(w), "int4-sym-b32:act=int8-token", calibration=c)
    assert "undefined" in output_sentence(exact) or output_sentence(exact).endswith(".")
