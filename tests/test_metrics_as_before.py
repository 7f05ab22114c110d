"""Metrics, statistics and random numbers, over their edges, are what they were before."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz import metrics, randomness
from quantviz.metrics import METRICS, Sums


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_as_it_is_written(name, kept):
    m = METRICS[name]
    kept([m.label, m.unit, m.direction, m.formula])
    values = (0.0, 1e-9, 0.0123, 0.5, 0.99996, 1.0, 3.14159, 99.5, 1234.5, -2.5, math.inf, -math.inf, math.nan)
    kept([metrics.value_text(name, x) for x in values])
    kept(
        [
            metrics.difference(name, a, b)
            for a, b in ((1, 2), (2, 1), (0.5, 0.5), (1, 1.00001), (math.inf, 1), (math.nan, 1))
        ]
    )


def test_metrics_of_sums(kept):
    given = dict(
        count=8,
        nonzero=6,
        squared_error=2.0,
        abs_error=3.0,
        relative_error=1.5,
        max_abs_error=1.0,
        squared=32.0,
        abs=12.0,
        product=30.0,
        squared_dequantized=29.0,
    )
    for more in (
        {},
        {"squared_error": 0.0, "abs_error": 0.0},
        {"squared": 0.0, "abs": 0.0, "nonzero": 0, "product": 0.0},
        {"weighted_squared_error": 3.0, "importance": 4.0},
        {"weighted_squared_error": 0.0, "importance": 0.0},
        {"squared_steps": 0.5},
        {"squared_dequantized": 0.0, "product": 0.0},
    ):
        kept(metrics.from_sums(Sums(**(given | more))))
    kept([metrics.entropy_bits(np.array(counts)) for counts in ([1, 1], [0, 4, 4, 8], [5], [0, 0, 3], [1] * 16)])
    kept([metrics.signal_to_noise_db(*pair) for pair in ((1.0, 0.1), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (10.0, 10.0))])


def test_statistics(kept):
    rng = np.random.default_rng(2)
    for w in (
        rng.standard_normal((30, 40)),
        np.zeros((2, 3)),
        np.ones((2, 3)),
        np.array([[-3.0, 1, 1, 1]]),
        np.array([[2.0]]),
    ):
        s = qv.describe(w.astype(np.float32))
        h = s.histogram
        kept(
            [
                s.count,
                s.zeros,
                s.min,
                s.max,
                s.mean,
                s.std,
                s.mean_abs,
                s.max_abs,
                s.crest_factor,
                s.excess_kurtosis,
                s.incoherence,
                s.sum_squares,
                s.farthest,
                s.largest_index[:5],
                s.largest_value[:5],
            ]
        )
        kept([h.lo, h.hi, h.below, h.above, h.counts, h.edges[:3], int(h.counts.argmax())])


def test_random_numbers(kept):
    key = randomness.stream_key(7, 3)
    kept(
        [
            str(key),
            *(str(n) for n in randomness.random_bits(key, 0, 4)),
            *(str(n) for n in randomness.random_bits(key, 2, 4)),
        ]
    )
    kept([str(randomness.stream_key(seed, stream)) for seed in (0, 1, 2**64 - 1) for stream in (0, 1, 101)])
