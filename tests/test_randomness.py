"""The portable functions against the standard library's, and the word stream against a published one."""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

import numpy as np
import pytest

from quantviz import randomness as portable

RNG = np.random.default_rng(0)


def test_bits_are_splitmix64():
    """First outputs for seed 1234567, as the reference implementation prints them (Vigna, splitmix64.c)."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert portable.random_bits(1234567, 0, 4).tolist() == expected


def test_bits_depend_on_their_position_alone():
    whole = portable.random_bits(7, 0, 1000)
    assert np.array_equal(portable.random_bits(7, 300, 555), whole[300:555])


def test_streams_differ():
    keys = {portable.stream_key(seed, stream) for seed in range(100) for stream in range(3)}
    assert len(keys) == 300


def test_streams_stay_what_they_are():
    """Links to random tensors show the same weights for ever."""
    keys = [portable.stream_key(seed, stream) for seed, stream in ((7, 0), (7, 1), (7, 2), (2**70 + 5, 1))]
    assert keys == [9672475392221035855, 5573481420429128725, 17358316652931856208, 9893497053500765580]


def test_uniform_stays_inside_zero_and_one():
    ends = np.array([0, 2**64 - 1], np.uint64)
    assert portable.uniform(ends).tolist() == [2.0**-53, 1 - 2.0**-53]


@pytest.mark.parametrize("p", [2.0**-53, 1e-15, 1e-12, 1e-5, 0.05, 0.0749, 0.0751, 0.3, 0.5, 0.93, 1 - 2.0**-53])
def test_normal_quantile(p):
    assert portable.normal_quantile(np.array([p]))[0] == pytest.approx(NormalDist().inv_cdf(p), rel=1e-13, abs=1e-15)


def test_log():
    x = np.concatenate([np.exp(RNG.normal(0, 20, 2000)), 1 + RNG.normal(0, 1e-3, 2000), [2.0**-53, 0.5, 1.0, 2.0]])
    np.testing.assert_allclose(portable.log(x), [math.log(v) for v in x], rtol=1e-14, atol=1e-16)


def test_expm1():
    x = np.concatenate([RNG.normal(0, 10, 2000), RNG.normal(0, 1e-6, 2000), [0.0, -0.0]])
    np.testing.assert_allclose(portable.expm1(x), [math.expm1(v) for v in x], rtol=2e-14, atol=1e-300)


def test_cosine_of_a_quarter_turn():
    u = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(portable.cos_quarter(u), [math.cos(v * math.pi / 2) for v in u], atol=1e-15)


def test_every_function_gives_the_same_bits_everywhere(kept):
    """To the last bit of float64: nothing but additions, products, quotients and roots, which IEEE 754 settles."""
    u = portable.uniform(portable.random_bits(3, 0, 5000))
    ends = np.array([2.0**-53, 1e-300, 1e-9, 0.075, 0.5, 0.925, 1 - 2.0**-53])
    x = np.concatenate([u, ends])
    far = np.concatenate([(u - 0.5) * 1000, [0.0, -0.0, 1e-12, 690.0, -690.0]])
    for made in (
        x, portable.log(x), portable.log(x * 1e6), portable.expm1(far), portable.cos_quarter(x),
        portable.normal_quantile(x), portable.with_random_sign(u.copy(), portable.random_bits(4, 0, 5000)),
    ):  # fmt: skip
        kept(hashlib.sha256(made.astype("<f8").tobytes()).hexdigest())
