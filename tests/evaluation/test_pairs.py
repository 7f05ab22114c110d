"""Two tensors of one shape, compared as they are stored: by hand, and as NumPy finds it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.evaluation import measuring
from quantviz.evaluation.pairs import evaluate_pair
from quantviz.metrics import PERCENTILES

RNG = np.random.default_rng(9)
X = RNG.standard_normal((96, 320), dtype=np.float32)
Y = (X + RNG.standard_normal(X.shape, dtype=np.float32) * np.float32(0.01)).astype(np.float32)
Y[:, 7] = 0
H = np.linspace(0, 2, 320, dtype=np.float32)


@pytest.mark.parametrize("piece", [1, 320 * 7, 1 << 15])
@pytest.mark.parametrize("x, y", [(X, Y), (X.astype(np.float64), Y), (X, Y.astype(np.float16))], ids=["32", "64", "16"])
def test_every_measure_is_its_formula_wherever_pieces_end(monkeypatch, piece, x, y):
    monkeypatch.setattr(measuring, "_TASK_WEIGHTS", piece)
    found = evaluate_pair(x, y, H).metrics
    a, b = x.astype(np.float64), y.astype(np.float64)
    e = b - a
    expected = {
        "mse": np.mean(e**2), "rmse": math.sqrt(np.mean(e**2)), "mean_abs_error": np.abs(e).mean(),
        "max_abs_error": np.abs(e).max(), "mean_relative_error": (np.abs(e) / np.abs(a)).mean(),
        "relative_l1_error": np.abs(e).sum() / np.abs(a).sum(),
        "relative_l2_error": np.linalg.norm(e) / np.linalg.norm(a),
        "sqnr_db": 20 * math.log10(np.linalg.norm(a) / np.linalg.norm(e)),
        "cosine_similarity": (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b),
        "weighted_mse": (e**2 * H).sum() / (H.sum(dtype=np.float64) * len(a)),
        "zeroed_fraction": ((b == 0) & (a != 0)).sum() / (a != 0).sum(),
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-6), name
    for name, share in PERCENTILES.items():
        assert found[name] == pytest.approx(np.quantile(np.abs(e), share, method="inverted_cdf"), rel=2**-6), name
    assert found["bits_per_weight"] == 8 * y.itemsize and found["compression_ratio"] == x.itemsize / y.itemsize


def test_errors_of_rows_and_histograms_are_of_every_weight():
    e = evaluate_pair(X, Y)
    assert np.allclose(e.block_errors[:, 0], np.sqrt(((Y - X).astype(np.float64) ** 2).mean(axis=1)), rtol=1e-6)
    for h in e.histograms.values():
        assert h.below + h.counts.sum() + h.above == X.size
    assert (e.scheme, e.dtype, e.code_counts, e.shape) == ("fp32", "float32", None, (96, 320))
    assert "code_entropy_bits" not in e.metrics and "rmse_over_scale" not in e.metrics


def test_the_same_twice_gives_the_same_bits_and_itself_no_error():
    assert evaluate_pair(X, Y, H).metrics == evaluate_pair(X, Y, H).metrics
    same = evaluate_pair(X, X).metrics
    assert same["max_abs_error"] == same["abs_error_p999"] == same["zeroed_fraction"] == 0
    assert same["sqnr_db"] == math.inf


def test_of_zeros_no_share_became_zero():
    z = np.zeros((4, 8), np.float32)
    assert math.isnan(evaluate_pair(z, z).metrics["zeroed_fraction"])


def test_progress_reaches_the_whole_and_what_it_raises_ends_the_work(monkeypatch):
    monkeypatch.setattr(measuring, "_TASK_WEIGHTS", 320 * 10)
    told = []
    evaluate_pair(X, Y, progress=lambda *at: told.append(at))
    assert max(told) == (X.size, X.size) and len(told) == 10

    def enough(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_pair(X, Y, progress=enough)


def test_what_cannot_be_compared_is_said():
    with pytest.raises(QuantvizError, match=r"The original has the shape \[96, 320\] and .* \[320, 96\]"):
        evaluate_pair(X, Y.T)
    bad = Y.copy()
    bad[3, 4] = np.nan
    with pytest.raises(QuantvizError, match="NaN"):
        evaluate_pair(X, bad)
    with pytest.raises(QuantvizError, match="differ by more than float32's largest number"):
        evaluate_pair(np.full((2, 8), 3e38, np.float32), np.full((2, 8), -3e38, np.float32))
