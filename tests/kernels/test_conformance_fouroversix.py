"""nvfp4:sixes=4 is fouroversix's NVFP4: codes and scales from golden vectors, and what its choice promises.

Not compared are blocks 10,000 times smaller than the tensor's largest weight: there the library does not cut what is
beyond 6, so that 8 runs over into the sign of its codes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv

from .home.weights import of_like_size

GOLDEN = np.load(Path(__file__).parent / "data" / "fouroversix.npz")
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
# The library multiplies a level by the block's scale, by the largest weight of all, and divides; here the two scales
# are multiplied first, as in every NVFP4: three roundings against two.
THREE_ROUNDINGS = 3 * 2.0**-24


def test_codes_and_scales(engine: str) -> None:
    q = qv.quantize(of_like_size(), "nvfp4:sixes=4", engine=engine)
    np.testing.assert_array_equal(q.scales, GOLDEN["scales"])
    np.testing.assert_array_equal(q.codes, GOLDEN["codes"])
    assert q.tensor_scale == np.float32(1) / (np.float32(6 * 256) / GOLDEN["largest"])
    np.testing.assert_allclose(q.dequantize(), GOLDEN["values"], rtol=THREE_ROUNDINGS, atol=0)


def test_both_choices_are_among_the_golden_blocks() -> None:
    largest = np.abs(E2M1[GOLDEN["codes"]]).reshape(22, -1, 16).max(axis=2)
    assert (largest == 4).sum() > 50 and (largest == 6).sum() > 50


@given(seed=st.integers(0, 10**6))
def test_a_block_never_errs_more_than_with_six_alone(seed: int, fast_engine: str) -> None:
    """Against the scale that brings the largest weight to 6, beside the same scale of the tensor."""
    rng = np.random.default_rng(seed)
    x = (rng.standard_t(3, (4, 64)) * 10.0 ** rng.integers(-6, 6)).astype(np.float32)
    q = qv.quantize(x, "nvfp4:sixes=4", engine=fast_engine)
    blocks = x.reshape(-1, 16)
    rate = np.float32(6 * 256) / np.abs(x).max()
    exact = np.abs(blocks).max(axis=1) / np.float32(6) * rate
    plain = qv.quantize(exact[None], "fp8_e4m3").dequantize()[0] * np.float32(q.tensor_scale)
    steps = np.divide(blocks, plain[:, None], where=plain[:, None] > 0, out=np.zeros_like(blocks))
    six = qv.quantize(np.clip(steps, -6, 6), "fp4_e2m1").dequantize() * plain[:, None]
    ours = np.asarray(q.dequantize()).reshape(-1, 16)
    e, e_of_six = (np.square(y.astype(np.float64) - blocks).sum(axis=1) for y in (ours, six))
    assert (e <= e_of_six * (1 + 1e-5) + 1e-300).all()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 3e3])
def test_where_all_blocks_share_their_largest_weight_it_never_loses_to_plain_nvfp4(scale: float) -> None:
    """There both rules bring 6 to the largest weight exactly, so that only the choice of 4 differs."""
    x = np.random.default_rng(4).standard_normal((64, 256)).clip(-3, 3).astype(np.float32)
    x[:, ::16] = 3
    ours, plain = (qv.evaluate(x * np.float32(scale), key) for key in ("nvfp4:sixes=4", "nvfp4"))
    assert (ours.block_errors <= plain.block_errors * (1 + 1e-5)).all()
    assert ours.metrics["mse"] < plain.metrics["mse"]
    assert ours.metrics["bits_per_weight"] == plain.metrics["bits_per_weight"]
