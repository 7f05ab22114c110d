"""intB-offset under edge=1, mx* under rule=nearest and rceil, nvfp4 without a tensor scale: MLX's scales and values.

MLX's CPU code takes the smaller magnitude of two that are equally near, its Metal kernels the even code as OCP has it;
the weights at hand have no such ties.
"""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import quantviz as qv

from .home.weights import weights

GOLDEN = {version: np.load(Path(__file__).parent / "data" / f"mlx_{version}.npz") for version in ("0.31.2", "0.32.4")}
ZEROS = 3  # the row of them


@pytest.mark.parametrize(("version", "rule"), [("0.31.2", "nearest"), ("0.32.4", "rceil")])
@pytest.mark.parametrize(("mode", "key"), [("mxfp4", "mxfp4"), ("mxfp8", "mxfp8_e4m3")])
def test_power_of_two(mode: str, key: str, version: str, rule: str, engine: str) -> None:
    q = qv.quantize(weights(), f"{key}:rule={rule}", engine=engine)
    stored = np.exp2(GOLDEN[version][f"{mode} scales"].astype(np.float32) - 127)
    # Of a block of zeros MLX stores the scale 1, quantviz the smallest, as torchao does.
    stored[ZEROS] = 2.0**-127
    np.testing.assert_array_equal(q.scales, stored)
    np.testing.assert_array_equal(q.dequantize(), GOLDEN[version][f"{mode} values"])


@pytest.mark.parametrize("version", GOLDEN)
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_affine(bits: int, version: str, engine: str) -> None:
    for group in (32, 64, 128):
        name = f"int{bits}-offset-b{group}"
        q = qv.quantize(weights(), f"{name}:scale=fp32,edge=1", engine=engine)
        np.testing.assert_array_equal(q.scales, GOLDEN[version][f"{name} scales"], name)
        np.testing.assert_array_equal(q.minima, GOLDEN[version][f"{name} minima"], name)
        np.testing.assert_array_equal(q.dequantize(), GOLDEN[version][f"{name} values"], name)


@pytest.mark.parametrize("version", GOLDEN)
def test_nvfp4_without_a_scale_of_the_tensor(version: str, engine: str) -> None:
    q = qv.quantize(weights(), "nvfp4:tensor=none", engine=engine)
    stored = GOLDEN[version]["nvfp4 scales"].view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    np.testing.assert_array_equal(q.scales, stored)
    np.testing.assert_array_equal(q.dequantize(), GOLDEN[version]["nvfp4 values"])
    assert q.tensor_scale is None
    assert q.bits_per_weight == 4.5
