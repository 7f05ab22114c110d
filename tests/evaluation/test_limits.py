"""Limits: the values that Max printed in 1960, the asymptote of Panter and Dite, and what optimal has to mean."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

import quantviz as qv
from quantviz.evaluation.limits import CANDIDATES, RATES, gaussian_sqnr_db, lloyd_max, optimal_scalar
from quantviz.statistics import Histogram

# Max, "Quantizing for minimum distortion", IRE Trans. Inf. Theory 6 (1960), table I: levels, mean squared error.
MAX_1960 = {2: 0.3634, 4: 0.1175, 8: 0.03454, 16: 0.009497, 32: 0.002499}


@pytest.fixture(scope="module")
def normal() -> Histogram:
    """A unit normal, exact to 1e-15 of its mass, in bins of 0.006σ."""
    edges = np.linspace(-6, 6, 2049)
    mass = np.diff([NormalDist().cdf(x) for x in edges])
    return Histogram(-6.0, 6.0, np.round(mass * 1e15).astype(np.int64))


@pytest.mark.parametrize(("levels", "mse"), MAX_1960.items())
def test_unit_normal_gives_the_values_of_max_1960(normal, levels, mse):
    q = lloyd_max(normal, levels)
    assert q.mse == pytest.approx(mse, rel=3e-3)  # his last digits are off by as much
    assert q.sqnr_db == pytest.approx(-10 * math.log10(mse), abs=0.02)
    assert q.resolved and q.bits == math.log2(levels)


def test_two_bits_have_maxs_levels_and_thresholds(normal):
    q = lloyd_max(normal, 4)
    np.testing.assert_allclose(q.levels, [-1.510, -0.4528, 0.4528, 1.510], atol=2e-3)
    np.testing.assert_allclose(q.thresholds, [-0.9816, 0, 0.9816], atol=2e-3)


def test_many_levels_approach_panter_and_dite(normal):
    """For large rates the error of the best quantizer of a unit normal is √3·π/2 · 2^(-2R)."""
    q = optimal_scalar(normal, [8])[0]
    assert q.mse * 4**8 == pytest.approx(math.sqrt(3) * math.pi / 2, rel=0.02)
    assert q.sqnr_db < gaussian_sqnr_db(8)


def test_more_levels_never_do_worse(normal):
    sqnr = [q.sqnr_db for q in optimal_scalar(normal)]
    assert len(sqnr) == len(RATES) and sqnr == sorted(sqnr)


def test_levels_are_means_and_thresholds_lie_halfway(normal):
    q = lloyd_max(normal, 8)
    assert (np.diff(q.levels) > 0).all()
    np.testing.assert_allclose(q.thresholds, (q.levels[1:] + q.levels[:-1]) / 2)
    x = np.linspace(-6, 6, 200_001)
    cell, mass = np.searchsorted(q.thresholds, x), np.exp(-x * x / 2)
    means = np.bincount(cell, mass * x) / np.bincount(cell, mass)
    np.testing.assert_allclose(q.levels, means, atol=2e-4)


@pytest.mark.parametrize("shape", ["uniform", "two peaks", "outliers"])
def test_no_scheme_with_one_set_of_values_for_all_does_better(shape):
    rng = np.random.default_rng(0)
    x = {
        "uniform": rng.uniform(-1, 1, (256, 512)),
        "two peaks": rng.normal(size=(256, 512)) * 0.1 + rng.choice([-1, 1], (256, 512)),
        "outliers": np.where(rng.random((256, 512)) < 1e-3, 20, rng.normal(size=(256, 512))),
    }[shape].astype(np.float32)
    limits = {q.bits: q for q in optimal_scalar(qv.describe(x).histogram)}
    for bits in (2, 3, 4, 6):
        for key in (f"int{bits}-sym-tensor", f"int{bits}-asym-tensor", f"int{bits}-offset-tensor"):
            assert qv.evaluate(x, key, detail="metrics").metrics["sqnr_db"] <= limits[bits].sqnr_db + 0.02


def test_the_error_promised_is_the_error_made():
    x = np.random.default_rng(3).laplace(size=(256, 512)).astype(np.float32)
    for q in optimal_scalar(qv.describe(x).histogram, [1, 3, 5]):
        made = q.levels[np.searchsorted(q.thresholds, x)]
        assert np.square(made - x, dtype=np.float64).mean() == pytest.approx(q.mse, rel=0.01)


def test_a_histogram_too_coarse_to_tell_says_so():
    x = np.random.default_rng(4).standard_normal((64, 512), dtype=np.float32)
    x[0, 0] = 1e6
    assert not any(q.resolved for q in optimal_scalar(qv.describe(x).histogram, [4, 8]))


def test_constant_and_few_valued_tensors_do_not_trip():
    for x in (np.zeros((4, 64), np.float32), np.full((4, 64), 0.3, np.float32), np.eye(64, dtype=np.float32)):
        for q in optimal_scalar(qv.describe(x).histogram):
            assert np.isfinite(q.levels).all() and q.mse >= 0


@pytest.mark.parametrize("levels", [0, -1, CANDIDATES + 1])
def test_impossible_numbers_of_levels_are_one_sentence(normal, levels):
    with pytest.raises(qv.QuantvizError, match="levels"):
        lloyd_max(normal, levels)


def test_an_empty_histogram_and_weights_outside_are_refused():
    with pytest.raises(qv.QuantvizError, match="whole tensor"):
        lloyd_max(Histogram(0, 1, np.zeros(8, np.int64)), 2)
    with pytest.raises(qv.QuantvizError, match="whole tensor"):
        lloyd_max(Histogram(0, 1, np.ones(8, np.int64), above=1), 2)


def test_no_best_quantizer_is_claimed_where_most_weights_lie_in_a_few_bins() -> None:
    """Cauchy weights: nearly all lie in one of 2,048 bins, and what happens inside decides."""
    x = np.random.default_rng(5).standard_cauchy(20_000).astype(np.float32)
    for q in optimal_scalar(qv.describe(x[None]).histogram, (2, 3)):
        levels, found = np.sort(q.levels), 0.0
        for _ in range(50):  # Lloyd's own steps on the weights themselves
            nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, x)
            count = np.bincount(nearest, minlength=len(levels))
            levels = np.where(count, np.bincount(nearest, x, len(levels)) / np.maximum(count, 1), levels)
            levels.sort()
        nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, x)
        found = 10 * np.log10((x.astype(float) ** 2).sum() / ((levels[nearest] - x.astype(float)) ** 2).sum())
        assert not q.resolved or found <= q.sqnr_db + 0.05
