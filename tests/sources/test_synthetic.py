from __future__ import annotations

import hashlib
import math
import os
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantviz.errors import QuantvizError
from quantviz.sources import open_model, synthetic
from quantviz.sources.synthetic import DISTRIBUTIONS, SyntheticSpec, formula, generate

# sha256 of the float32 bytes of `random:NAME?rows=257&cols=129&seed=42&outliers=0.01`; made by this code,
# and the same on every machine, which is what the test is for.
GOLDEN = {
    "normal": "1e9456c2b8be631ebf1e3364406e1bc48e8705ff1482776baff1d10e85c91ab6",
    "laplace": "90063ba57c134ee3bb687f9376c8b2be61cc59bedd1cc34419e6c3778f98e5e1",
    "student_t": "3da8414fa2839d7b4cbf75de6eeb76aff02db05165d72829e728ecd2f3709778",
    "uniform": "187b6ac9fcd95f0008d2e1f9bb4f5008fab9cd7713076fe931516512aca577cf",
    "bimodal": "39d34d46d082e4c0692deba049a6e957ad1dc87069259b18fce628101d2950ae",
    "lognormal": "bc74b3a1c324971365e66e7ec3c0d1abefe89fe9e908a450c879a22b60eee34b",
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_same_bits_for_the_same_words(name):
    weights = generate(SyntheticSpec.parse(f"random:{name}?rows=257&cols=129&seed=42&outliers=0.01"))
    assert hashlib.sha256(weights.tobytes()).hexdigest() == GOLDEN[name]


CDF = {
    "normal": NormalDist().cdf,
    "laplace": lambda x: 0.5 * math.exp(x * math.sqrt(2)) if x < 0 else 1 - 0.5 * math.exp(-x * math.sqrt(2)),
    "uniform": lambda x: min(1.0, max(0.0, 0.5 + x / math.sqrt(12))),
    "bimodal": lambda x: 0.5 * sum(NormalDist(side * 3 / math.sqrt(10), math.sqrt(0.1)).cdf(x) for side in (-1, 1)),
    "lognormal": lambda x: 0.5 + math.copysign(0.5 * NormalDist().cdf(math.log(abs(x)) + 1), x),
    # t with 3 degrees of freedom has standard deviation √3, so x·√3/√3 = x is t/√3
    "student_t": lambda x: 0.5 + (math.atan(x) + x / (1 + x * x)) / math.pi,
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_follows_its_distribution(name):
    """Kolmogorov-Smirnov distance from the closed form, at the one-in-a-thousand level."""
    x = np.sort(generate(SyntheticSpec(name, rows=200, cols=200, scale=1.0)).astype(np.float64))
    expected = np.array([CDF[name](v) for v in x])
    distance = np.abs(expected - (np.arange(x.size) + 0.5) / x.size).max()
    assert distance < 1.95 / math.sqrt(x.size)


@pytest.mark.parametrize("name", [n for n in DISTRIBUTIONS if n != "student_t"])
def test_scale_is_the_standard_deviation(name):
    x = generate(SyntheticSpec(name, rows=1000, cols=1000, scale=0.5)).astype(np.float64)
    assert x.std() == pytest.approx(0.5, rel=0.02)
    assert abs(x.mean()) < 0.005


def test_student_t_grows_normal_with_its_degrees_of_freedom():
    kurtosis = {}
    for df in (5.0, 1e9):
        x = generate(SyntheticSpec("student_t", rows=1000, cols=1000, scale=1.0, df=df)).astype(np.float64)
        assert x.std() == pytest.approx(1, rel=0.01)
        kurtosis[df] = (x**4).mean() / (x**2).mean() ** 2 - 3
    assert kurtosis[5.0] > 3 and abs(kurtosis[1e9]) < 0.05


@pytest.mark.parametrize("share", [0.001, 0.013, 0.6])
def test_outliers_have_their_share_and_size(share):
    spec = SyntheticSpec(rows=999, cols=1001, scale=0.5, outliers=share, magnitude=20)
    x, plain = generate(spec), generate(SyntheticSpec(rows=999, cols=1001, scale=0.5))
    changed = x != plain
    assert changed.sum() == round(share * x.size)  # so that keep=0.1% holds every outlier of outliers=0.001
    assert set(np.abs(x[changed])) == {np.float32(10)}
    assert np.array_equal(np.sign(x), np.sign(plain))


def test_all_weights_may_be_outliers():
    assert set(np.abs(generate(SyntheticSpec(rows=10, cols=10, outliers=1, magnitude=1)))) == {np.float32(0.02)}


def test_seeds_differ():
    a, b = (generate(SyntheticSpec(rows=10, cols=100, seed=seed)) for seed in (0, 1))
    assert not np.isin(a, b).any()


def test_threads_and_chunks_leave_no_trace(monkeypatch):
    spec = SyntheticSpec("student_t", rows=300, cols=333, outliers=0.01)
    whole = generate(spec)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(synthetic, "_CHUNK", 1009)
    assert np.array_equal(generate(spec), whole)


def test_a_row_range_is_that_part_of_the_whole():
    model = open_model("random:laplace?rows=50&cols=70&seed=3")
    stored = model.open("weight", rows=(10, 13))
    assert stored.shape == (3, 70)
    assert np.array_equal(stored.numpy(), model.load("weight")[10:13])


def test_weights_are_finite_and_never_all_alike():
    for name in DISTRIBUTIONS:
        x = generate(SyntheticSpec(name, rows=512, cols=512))
        assert np.isfinite(x).all() and len(np.unique(x)) > 200_000


specs = st.builds(
    SyntheticSpec,
    distribution=st.sampled_from([n for n in DISTRIBUTIONS if n != "student_t"]),
    rows=st.integers(1, 10_000),
    cols=st.integers(1, 10_000),
    seed=st.integers(0, 2**64 - 1),
    scale=st.floats(1e-30, 1e20),
    outliers=st.floats(0, 1),
    magnitude=st.floats(1e-9, 1e9),
)


@given(specs)
def test_ref_and_spec_are_the_same_thing(spec):
    assert SyntheticSpec.parse(spec.ref) == spec


def test_canonical_ref():
    assert SyntheticSpec.parse("random:normal?cols=4096&magnitude=20&outliers=0.001&rows=64").ref == (
        "random:normal?rows=64&outliers=0.001"
    )
    assert open_model("random:normal?rows=4096&cols=64").ref == "random:normal?cols=64"
    assert SyntheticSpec("student_t", df=5.0).ref == "random:student_t?df=5"


def test_every_distribution_says_its_formula():
    assert all(formula(name) for name in DISTRIBUTIONS)


@pytest.mark.parametrize(
    "ref, words",
    [
        ("random:norml", "Did you mean normal"),
        ("random:", "choose one of normal"),
        ("random:normal?row=3", "Did you mean rows?"),
        ("random:normal?rows=0", "at least 1"),
        ("random:normal?cols=-4", "at least 1"),
        ("random:normal?rows=4.5", "no whole number"),
        ("random:normal?rows=", "no whole number"),
        ("random:normal?rows=" + "9" * 5000, "no whole number"),
        ("random:normal?rows=100000&cols=100000", "40.0 GB"),
        ("random:normal?rows=1&rows=2", "twice"),
        ("random:normal?seed=-1", "2^64"),
        ("random:normal?outliers=1.5", "0 to 1"),
        ("random:normal?outliers=nan", "no number"),
        ("random:normal?scale=0", "scale=0"),
        ("random:normal?scale=inf", "no number"),
        ("random:normal?magnitude=-3", "more than 0"),
        ("random:student_t?df=2", "more than 2"),
        ("random:normal?df=5", "student_t"),
        ("random:normal?&", "no parameter ''"),
    ],
)
def test_bad_words_get_one_sentence(ref, words):
    with pytest.raises(QuantvizError, match=words.replace("?", r"\?").replace("^", r"\^")) as caught:
        open_model(ref)
    assert "\n" not in str(caught.value)
