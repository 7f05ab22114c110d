"""Every metric against plain NumPy in float64, and the numbers of the article that started the project."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.kernels.bins import PERCENTILE_RESOLUTION
from quantviz.metrics import METRICS, PERCENTILES, Sums, entropy_bits, from_sums, value_text
from quantviz.schemes import TENSOR, Scheme
from quantviz.tensors import check_importance

# Sums of float32 terms, added in float64 or in short float32 runs.
TOLERANCE = 1e-5

SIX = np.array([-0.89, 0.16, 0.08, -0.13, 0.16, -0.54], np.float32)
SYM, ASYM = "int4-sym-tensor:scale=fp32", "int4-asym-tensor:scale=fp32"


@pytest.mark.parametrize(
    ("key", "scale", "zero", "signed_codes", "values"),
    [
        (SYM, 0.89 / 7, None, [-7, 1, 1, -1, 1, -4], [-0.89, 0.12714, 0.12714, -0.12714, 0.12714, -0.50857]),
        (ASYM, 0.07, 5, [-8, 7, 6, 3, 7, -3], [-0.91, 0.14, 0.07, -0.14, 0.14, -0.56]),
    ],
)
def test_the_articles_six_weights(key, scale, zero, signed_codes, values, engine: str) -> None:
    q = qv.quantize(SIX, key, engine=engine)
    # The article's asymmetric codes are signed; ours count from 0.
    shift = 0 if zero is None else 8
    assert q.scales[0, 0] == np.float32(scale)
    assert zero is None or q.zero_points[0, 0] - shift == zero
    assert (q.codes.astype(int) - shift).tolist() == signed_codes
    np.testing.assert_allclose(q.dequantize(), values, atol=5e-6)


@pytest.mark.parametrize(
    ("key", "metric", "value"),
    [
        (SYM, "mean_relative_error", 0.18003),
        (ASYM, "mean_relative_error", 0.08524),
        (SYM, "relative_l1_error", 0.0751),
        (ASYM, "relative_l1_error", 0.0510),
        (SYM, "relative_l2_error", 0.0681),
        (ASYM, "relative_l2_error", 0.0394),
        (SYM, "sqnr_db", 23.33),
        (ASYM, "sqnr_db", 28.09),
    ],
)
def test_the_articles_six_weights_by_every_definition(key: str, metric: str, value: float, engine: str) -> None:
    digits = 2 if metric == "sqnr_db" else len(str(value).partition(".")[2])
    assert round(qv.evaluate(SIX, key, device=engine).metrics[metric], max(digits, 2)) == value


@pytest.mark.parametrize(("key", "percent"), [(SYM, 80.07), (ASYM, 64.93)])
def test_a_seventh_weight_of_ten(key: str, percent: float, engine: str) -> None:
    seven = np.append(SIX, np.float32(10))
    assert round(100 * qv.evaluate(seven, key, device=engine).metrics["mean_relative_error"], 2) == percent


def plain_numpy(x: np.ndarray, y: np.ndarray, scheme: Scheme, q, importance: np.ndarray) -> dict[str, float]:
    """The formulas of the declarations, written out."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    e, nonzero = y - x, x != 0
    norm = np.linalg.norm
    out = {
        "mean_relative_error": np.mean(np.abs(e[nonzero]) / np.abs(x[nonzero])),
        "relative_l1_error": np.abs(e).sum() / np.abs(x).sum(),
        "relative_l2_error": norm(e) / norm(x),
        "sqnr_db": 10 * np.log10((x**2).sum() / (e**2).sum()),
        "cosine_similarity": (x * y).sum() / (norm(x) * norm(y)),
        "mse": np.mean(e**2),
        "rmse": np.sqrt(np.mean(e**2)),
        "mean_abs_error": np.abs(e).mean(),
        "max_abs_error": np.abs(e).max(),
        "weighted_mse": (importance * e**2).sum() / (importance.sum() * len(x)),
        "zeroed_fraction": (nonzero & (y == 0)).sum() / nonzero.sum(),
        "bits_per_weight": scheme.bits_stored(x.shape) / x.size,
        "compression_ratio": 32 * x.size / scheme.bits_stored(x.shape),
    }
    if q.scales is not None:
        g = scheme.granularity
        scale = q.scales.astype(np.float64) * (1 if q.tensor_scale is None else q.tensor_scale)
        scale = scale.repeat(g.rows or len(x), 0)[: len(x)].repeat(g.cols or x.shape[1], 1)[:, : x.shape[1]]
        out["rmse_over_scale"] = np.sqrt(np.mean((e / scale) ** 2))
    if scheme.fmt.bits <= 16:
        _, counts = np.unique(q.codes, return_counts=True)
        p = counts / counts.sum()
        out["code_entropy_bits"] = -(p * np.log2(p)).sum()
    return out


def weights() -> np.ndarray:
    rng = np.random.default_rng(11)
    x = rng.standard_normal((61, 300)).astype(np.float32)
    x[rng.random(x.shape) < 0.01] *= 25
    x[rng.random(x.shape) < 0.02] = 0
    return x


KEYS = ("fp8_e4m3", "fp4_e2m1", "int4-sym-b64", "int8-asym-channel", "int2-offset-b16", "int1-sym-tensor",
        "ternary-b64", "fp6_e2m3-b32x128", "nf4-b128", "mxfp4", "mxint8", "nvfp4")  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_every_metric_is_its_formula(key: str, engine: str) -> None:
    x, scheme = weights(), Scheme.parse(key)
    importance = np.random.default_rng(12).random(300, dtype=np.float32)
    q = qv.quantize(x, key, engine=engine)
    y = q.dequantize()
    r = qv.evaluate(x, key, importance=importance, device=engine)
    for name, value in plain_numpy(x, y, scheme, q, importance.astype(np.float64)).items():
        assert r.metrics[name] == pytest.approx(value, rel=TOLERANCE), name
    for name, share in PERCENTILES.items():
        exact = np.quantile(np.abs(y - x), share, method="inverted_cdf")
        assert r.metrics[name] == pytest.approx(exact, rel=PERCENTILE_RESOLUTION, abs=1e-30), name


@pytest.mark.parametrize("key", KEYS)
def test_what_is_counted_adds_up(key: str, engine: str) -> None:
    x, scheme = weights(), Scheme.parse(key)
    q = qv.quantize(x, key, engine=engine)
    e = q.dequantize() - x
    r = qv.evaluate(x, key, device=engine)
    first, last = scheme.code_range
    expected = np.bincount(q.codes.ravel().astype(int) - first, minlength=last - first + 1)
    np.testing.assert_array_equal(r.code_counts, expected)
    for h, v in (
        (r.histograms["error"], e),
        (r.histograms["original"], x),
        (r.histograms["dequantized"], q.dequantize()),
    ):
        assert h.total == x.size
        inside = (v >= h.lo) & (v < h.hi)
        assert abs(int(h.counts.sum()) - int(inside.sum())) <= 2  # a weight at the very edge may round across
    sizes = np.broadcast_to((scheme.granularity or TENSOR).sizes(*x.shape), r.block_errors.shape)
    assert (r.block_errors.astype(np.float64) ** 2 * sizes).sum() == pytest.approx(
        (e.astype(float) ** 2).sum(), rel=1e-4
    )


def test_the_error_of_one_block_is_that_blocks_rmse(engine: str) -> None:
    x = weights()
    e = qv.quantize(x, "int4-sym-b64", engine=engine).dequantize() - x
    errors = qv.evaluate(x, "int4-sym-b64", device=engine).block_errors
    assert errors.shape == (61, 5)
    assert errors[7, 1] == pytest.approx(np.sqrt(np.mean(e[7, 64:128] ** 2)), rel=1e-5)
    assert errors[7, 4] == pytest.approx(np.sqrt(np.mean(e[7, 256:] ** 2)), rel=1e-5)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_uniform_rounding_costs_a_twelfth_of_a_step_squared(bits: int, engine: str) -> None:
    x = np.random.default_rng(13).uniform(-1, 1, (64, 1024)).astype(np.float32)
    r = qv.evaluate(x, f"int{bits}-offset-channel:scale=fp32", device=engine)
    assert r.metrics["rmse_over_scale"] == pytest.approx(1 / math.sqrt(12), rel=0.02)


def test_clipped_counts_what_lies_beyond_the_last_code(engine: str) -> None:
    x = np.array([[1, 2, 447, 448, 463, 465, -500, 0.5]], np.float32)
    assert qv.evaluate(x, "fp8_e4m3", device=engine).metrics["clipped_fraction"] == 2 / 8
    assert qv.evaluate(x, "int8-sym-tensor", device=engine).metrics["clipped_fraction"] == 0


def test_detail_metrics_leaves_out_exactly_what_needs_counting(engine: str) -> None:
    x = weights()
    full = qv.evaluate(x, "int4-sym-b64", device=engine)
    quick = qv.evaluate(x, "int4-sym-b64", device=engine, detail="metrics")
    assert set(full.metrics) - set(quick.metrics) == {name for name, m in METRICS.items() if m.counted}
    assert quick.statistics is quick.histograms is quick.code_counts is quick.block_errors is None


def test_zeros_alone_leave_ratios_undefined(engine: str) -> None:
    r = qv.evaluate(np.zeros((4, 64), np.float32), "int4-sym-b32", device=engine)
    for name in ("mean_relative_error", "relative_l1_error", "relative_l2_error", "sqnr_db", "cosine_similarity"):
        assert math.isnan(r.metrics[name]), name
    assert math.isnan(r.metrics["zeroed_fraction"]) and r.metrics["mse"] == 0


def test_no_error_at_all_is_infinite_sqnr(engine: str) -> None:
    r = qv.evaluate(np.array([[0.5, 1, -2, 0]], np.float32), "fp32", device=engine)
    assert r.metrics["sqnr_db"] == math.inf and r.metrics["mean_relative_error"] == 0


def test_compression_counts_the_stored_dtype(engine: str) -> None:
    x = weights().astype(np.float16)
    assert qv.evaluate(x, "int8-sym-tensor", device=engine).metrics["compression_ratio"] == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(
    ("importance", "said"),
    [
        (np.ones(3), "has 3 values, and a row of this tensor 300"),
        (-np.ones(300), "not negative"),
        (np.full(300, np.nan), "must be finite"),
        (np.zeros(300), "not zero everywhere"),
    ],
)
def test_bad_importance_is_refused(importance: np.ndarray, said: str) -> None:
    with pytest.raises(qv.QuantvizError, match=said):
        check_importance(importance, 300)


def test_every_metric_declares_itself() -> None:
    units = {"fraction", "dB", "", "weight", "weight²", "scale", "bits", "×"}
    for name, m in METRICS.items():
        assert m.name == name and m.label and m.formula and m.meaning
        assert m.unit in units and m.direction in ("lower", "higher", "neither")
    assert len({m.label for m in METRICS.values()}) == len(METRICS)
    assert set(PERCENTILES) <= set(METRICS)


def test_sums_by_hand() -> None:
    s = Sums(count=2, nonzero=1, squared_error=1, abs_error=1, relative_error=0.5, max_abs_error=1, squared=4, abs=2,
             product=2, squared_dequantized=1)  # fmt: skip
    out = from_sums(s)
    assert (out["mse"], out["relative_l1_error"], out["cosine_similarity"]) == (0.5, 0.5, 1.0)
    assert "rmse_over_scale" not in out and "weighted_mse" not in out
    assert entropy_bits(np.array([1, 1, 2, 0])) == 1.5 and entropy_bits(np.array([5])) == 0


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("mean_relative_error", 0.180031, "18.00%"),
        ("zeroed_fraction", 0.0, "0%"),
        ("sqnr_db", 23.3349, "23.33 dB"),
        ("sqnr_db", float("inf"), "∞ dB"),
        ("sqnr_db", float("nan"), "undefined"),
        ("mse", 1.23456e-9, "1.235e−09"),
        ("bits_per_weight", 4.5, "4.500"),
        ("compression_ratio", 64 / 9, "7.111×"),
    ],
)
def test_text_for_people(name: str, value: float, text: str) -> None:
    assert value_text(name, value) == text
