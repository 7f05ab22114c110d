"""AWQ: ModelOpt's exponent, scales and losses; the scales fold into weights and out of inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration, Scheme
from quantviz.calibration.awq import RATIOS, search
from quantviz.calibration.synthetic import synthetic_inputs

GOLDEN = Path(__file__).parent / "data" / "awq.npz"


def test_modelopt_chooses_the_same_exponent_and_scales() -> None:
    kept = np.load(GOLDEN)
    for seed in (1, 2):
        w, x = kept[f"w{seed}"].astype(np.float32), kept[f"x{seed}"].astype(np.float32)
        found = search(w, Scheme.parse("int4-sym-b128:scale=fp32"), Calibration.of(x, heldout=0))
        assert found.ratio == pytest.approx(float(kept[f"alpha{seed}"]), abs=1e-6)
        assert found.scales == pytest.approx(kept[f"scale{seed}"], rel=1e-4)
        theirs = {round(a, 2): loss for a, loss in kept[f"losses{seed}"]}
        for ratio in RATIOS:  # theirs is the mean over outputs, too
            assert found.losses[ratio] / len(w) == pytest.approx(theirs[ratio], rel=1e-4)


def test_the_result_holds_what_columns_were_multiplied_by() -> None:
    w = np.random.default_rng(0).standard_normal((32, 128), dtype=np.float32)
    c = Calibration.of(synthetic_inputs(128, 600, outlier_share=0.05))
    for key in ("int4-asym-b64", "nf4-b64", "mxfp4", "int4-sym-tensor"):
        q = qv.quantize(w, f"{key}:solver=awq", calibration=c)
        plain = type(q)(q.scheme, q.shape, q.codes, q.scales, q.zero_points, q.minima, q.tensor_scale)
        assert np.array_equal(q.dequantize(), plain.dequantize() / q.input_scales)
        assert q.input_scales.shape == (128,) and any(text.startswith("AWQ's exponent is ") for text in q.notices)
        frame = qv.compare(w, [key, f"{key}:solver=awq"], calibration=c)
        assert frame.output_relative_error[1] < frame.output_relative_error[0]
        assert frame.heldout_output_relative_error[1] < frame.heldout_output_relative_error[0]
        assert frame.bits_per_weight[1] == frame.bits_per_weight[0]
