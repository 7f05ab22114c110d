"""Metrics where numbers run out: tiny and huge weights side by side, few weights, float64, and what a rule lacks."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.metrics import METRICS, PERCENTILES
from quantviz.schemes import TENSOR, Scheme
from tests.test_metrics import plain_numpy

ROWS, COLS = 48, 320


def mixed(kind: str) -> np.ndarray:
    """Ordinary weights, with some so small or large that their squares leave float32."""
    x = np.random.default_rng(21).standard_normal((ROWS, COLS)).astype(np.float32)
    if kind == "dead rows":
        x[::2] *= np.float32(1e-22)
    elif kind == "one giant among specks":
        x *= np.float32(1e-22)
        x[3, 5] = 1e9
    elif kind == "a subnormal column":
        x[:, 3] = 1e-42
    elif kind == "huge rows":
        x[::3] *= np.float32(1e30)
    elif kind == "rows of every magnitude":
        x *= np.geomspace(1e-30, 1e30, ROWS, dtype=np.float32)[:, None]
    elif kind == "specks":
        x *= np.float32(1e-30)
    elif kind == "subnormal":
        x *= np.float32(1e-40)
    return x


KINDS = ("dead rows", "one giant among specks", "a subnormal column", "huge rows", "rows of every magnitude", "specks",
         "subnormal")  # fmt: skip
KEYS = ("int4-sym-b64:scale=fp32", "int4-asym-b32:scale=fp32", "int8-offset-b16:scale=bf16",
        "int1-sym-tensor:scale=fp32", "fp8_e5m2-channel", "mxint8", "nf4-b64:clip=90", "bf16")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", KEYS)
def test_every_metric_is_its_formula_however_unlike_the_weights(kind: str, key: str, engine: str) -> None:
    x, scheme = mixed(kind), Scheme.parse(key)
    q, r = qv.quantize(x, key, engine=engine), qv.evaluate(x, key, device=engine)
    y = q.dequantize()
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = plain_numpy(x, y, scheme, q, np.ones(COLS))
    for name in set(expected) - {"weighted_mse"}:
        if name != "rmse_over_scale" or q.scales.all():
            assert r.metrics[name] == pytest.approx(
                expected[name], rel=1e-5, abs=5e-5 * (name == "sqnr_db"), nan_ok=True
            ), name
    squares = (y.astype(np.float64) - x) ** 2
    g = scheme.granularity or TENSOR
    for at in range(0, ROWS, g.rows or ROWS):
        for o in range(0, COLS, g.cols or COLS):
            rmse = math.sqrt(squares[at : at + (g.rows or ROWS), o : o + (g.cols or COLS)].mean())
            place = at // (g.rows or ROWS), o // (g.cols or COLS)
            assert float(r.block_errors[place]) == pytest.approx(rmse, rel=1e-5, abs=2e-45), place


@pytest.mark.parametrize(
    "key", ["int8-asym-b32:scale=fp32", "int4-asym-channel:scale=fp32", "int2-asym-tensor:scale=fp32"]
)
@pytest.mark.parametrize("magnitude", [1e-36, 1e-38, 1e-40])
def test_asym_keeps_its_rule_among_subnormal_weights(key: str, magnitude: float, engine: str) -> None:
    """s = (hi - lo) / (2^B - 1), however small; all engines give the same codes."""
    x = (np.random.default_rng(3).standard_normal((16, 64)) * magnitude).astype(np.float32)
    q = qv.quantize(x, key, engine=engine)
    assert q.scales.any()
    np.testing.assert_array_equal(q.codes, qv.quantize(x, key, engine="reference").codes)
    scheme = Scheme.parse(key)
    heights, widths = scheme.granularity.rows or 16, scheme.granularity.cols or 64
    scale = q.scales.astype(np.float64).repeat(heights, 0)[:16].repeat(widths, 1)[:, :64]
    outside = np.maximum(np.abs(q.dequantize().astype(np.float64) - x) / scale - 0.5, 0)
    assert outside.max() < 0.51  # half a step, and what rounding the zero point adds


# -- percentiles -------------------------------------------------------------------------------

FEW = {
    "six": np.array([-0.89, 0.16, 0.08, -0.13, 0.16, -0.54]),
    "one": np.array([0.3]),
    "seventeen": np.random.default_rng(0).standard_normal(17),
    "constant": np.full((64, 64), 0.7),
    "integers": np.random.default_rng(0).integers(-127, 128, (64, 256)),
    "top of float32": np.random.default_rng(0).uniform(-3.3e38, 3.3e38, (16, 64)),
    "bottom of float32": np.random.default_rng(0).integers(-9, 10, (16, 64)) * 1e-44,
}


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize(
    "key",
    ["int4-sym-tensor:scale=fp32", "int8-asym-channel:scale=fp32", "int2-offset-tensor:scale=fp32", "nf4-tensor",
     "fp8_e4m3", "int1-sym-tensor:scale=fp32"],
)  # fmt: skip
def test_no_percentile_lies_beyond_what_was_observed(name: str, key: str, engine: str) -> None:
    x = np.atleast_2d(FEW[name]).astype(np.float32)
    try:
        r = qv.evaluate(x, key, device=engine)
    except qv.QuantvizError:
        assert name == "top of float32"  # a range beyond float32 may be refused
        return
    errors = np.abs(qv.quantize(x, key, engine=engine).dequantize() - x)
    found = [r.metrics[p] for p in PERCENTILES]
    assert found == sorted(found) and errors.min() <= found[0] and found[-1] <= r.metrics["max_abs_error"]
    if errors.min() == errors.max():
        assert set(found) == {float(errors.max())}
    assert all(map(math.isfinite, found)) or not np.isfinite(errors.max())


# -- float64 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["fp32", "int8-sym-b32", "q4_0", "q4_k:pad=1", "int4-asym-channel:keep=1%"])
def test_errors_are_against_float64_weights_where_they_are_float64(key: str, engine: str) -> None:
    x = np.random.default_rng(0).standard_normal((16, 160)) * np.pi
    y = qv.quantize(x, key, engine=engine).dequantize()
    e = np.abs(y.astype(np.float64) - x)
    m = qv.evaluate(x, key, device=engine).metrics
    assert m["mse"] == pytest.approx(np.mean(e**2), rel=1e-9) and m["mse"] > 0
    assert m["relative_l2_error"] == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x), rel=1e-9)
    assert m["max_abs_error"] == pytest.approx(e.max(), rel=1e-6)
    assert m["abs_error_p50"] == pytest.approx(np.quantile(e, 0.5, method="inverted_cdf"), rel=2**-6)
    narrow = qv.evaluate(x.astype(np.float32), key, device=engine).metrics
    assert {name: narrow[name] for name in ("clipped_fraction", "zeroed_fraction")} == {
        name: m[name] for name in ("clipped_fraction", "zeroed_fraction")
    }


# -- what a rule does not define ---------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["nf4-b64", "bnb_fp4-b64", "nf4-b32:clip=95", "nf4-channel:clip=90", "bnb_fp4-b64:double=1"]
)
def test_clipped_counts_beyond_the_outermost_level_of_a_code_book(key: str, engine: str) -> None:
    x = np.random.default_rng(7).standard_normal((32, 256)).astype(np.float32)
    q = qv.quantize(x, key, engine=engine)
    scale = q.scales.repeat(256 // q.scales.shape[1], 1)
    assert qv.evaluate(x, key, device=engine).metrics["clipped_fraction"] == (np.abs(x) > scale).mean()


def test_nine_in_a_hundred_are_clipped_at_the_ninetieth_percentile(engine: str) -> None:
    """Of 64 weights 58 lie at or below the 90th percentile, and 6 above."""
    x = np.random.default_rng(7).standard_normal((32, 256)).astype(np.float32)
    assert qv.evaluate(x, "nf4-b64:clip=90", device=engine).metrics["clipped_fraction"] == 6 / 64


@pytest.mark.parametrize("name", ["iq4_nl", "iq4_xs", "gguf_mxfp4", "gguf_nvfp4", "tq2_0", "q3_k"])
def test_clipped_of_block_types_counts_beyond_their_numbers(name: str, engine: str) -> None:
    x = np.random.default_rng(7).standard_normal((8, 512)).astype(np.float32)
    q, kind = qv.quantize(x, name, engine=engine), Scheme.parse(name).fmt
    s = np.asarray(q.scales, np.float64).repeat(kind.group, 1)
    low, high = np.minimum(s * kind.ends[0], s * kind.ends[1]), np.maximum(s * kind.ends[0], s * kind.ends[1])
    rest = np.abs(s) * kind.margin
    expected = (((x < low - rest) | (x > high + rest)) & (s != 0)).mean()
    assert qv.evaluate(x, name, device=engine).metrics["clipped_fraction"] == pytest.approx(expected, abs=2 / x.size)
    assert expected > 0 or name in ("gguf_nvfp4", "tq2_0")  # which scale by the largest weight


@pytest.mark.parametrize("key", ["int1-sym-b64", "q1_0", "iq2_s", "iq3_s"])
def test_a_metric_that_a_rule_does_not_define_is_left_out(key: str, engine: str) -> None:
    x = np.random.default_rng(7).standard_normal((8, 512)).astype(np.float32)
    assert "clipped_fraction" not in qv.evaluate(x, key, device=engine).metrics


def test_every_scheme_gives_metrics_that_are_declared_and_told_apart_from_nothing() -> None:
    """No metric of the catalogue's schemes is 0 because nobody counted it."""
    x = np.random.default_rng(7).standard_normal((8, 512)).astype(np.float32)
    for key in ("fp32", "fp16", "int4-sym-b64", "int1-sym-b64", "nf4-b64", "mxfp4", "nvfp4", "q4_k", "iq4_nl", "q1_0"):
        scheme, m = Scheme.parse(key), qv.evaluate(x, key).metrics
        assert set(m) <= set(METRICS)
        assert ("rmse_over_scale" in m) == (scheme.granularity is not None)
        assert ("code_entropy_bits" in m) == (scheme.fmt.bits <= 16)


def test_an_error_as_large_as_the_weights_is_no_tiny_ratio() -> None:
    """Everything saturates: Σx² and Σe² agree to the last digits of float64, and their ratio is 0 dB."""
    m = qv.evaluate(np.full((4, 64), 1e30, np.float32) * np.arange(1, 65, dtype=np.float32), "fp16").metrics
    assert m["sqnr_db"] == 0
