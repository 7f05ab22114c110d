"""One tensor under one scheme: what is counted adds up, percentiles are read from bins, questions are checked."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.evaluation.tensor import as_histogram, bins_of, percentile
from quantviz.kernels.bins import LOG_BIN_SHIFT, LOG_BINS, value_bins
from quantviz.tensors import StoredTensor

W = np.random.default_rng(8).standard_normal((40, 256), dtype=np.float32)


def logarithmic(errors: np.ndarray) -> np.ndarray:
    """Counts of |e| as the kernels count them."""
    places = np.abs(errors.astype(np.float32)).view(np.uint32) >> np.uint32(LOG_BIN_SHIFT)
    return np.bincount(places, minlength=LOG_BINS)[:LOG_BINS]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.95, 0.99, 0.999, 1.0])
def test_a_percentile_is_numpys_to_within_a_bin(share):
    e = np.abs(np.random.default_rng(1).standard_normal(10_001).astype(np.float32))
    found = percentile(logarithmic(e), share, float(e.min()), float(e.max()))
    assert found == pytest.approx(np.quantile(e, share, method="inverted_cdf"), rel=2**-6)
    assert e.min() <= found <= e.max()


def test_equal_errors_are_their_own_percentile():
    e = np.full(100, 0.3, np.float32)
    assert percentile(logarithmic(e), 0.5, float(e[0]), float(e[0])) == float(e[0])


def test_in_the_bin_of_zero_a_percentile_is_the_least():
    e = np.concatenate([np.zeros(60), np.full(40, 2.0)]).astype(np.float32)
    assert percentile(logarithmic(e), 0.5, 0.0, 2.0) == 0.0
    assert percentile(logarithmic(e), 0.99, 0.0, 2.0) == pytest.approx(2.0, rel=2**-6)


def test_within_a_bin_it_is_linear():
    counts = np.zeros(LOG_BINS, np.int64)
    at = int(logarithmic(np.ones(1)).argmax())
    counts[at] = 10
    low, high = (np.array([at, at + 1], np.uint32) << np.uint32(LOG_BIN_SHIFT)).view(np.float32).astype(float)
    assert percentile(counts, 0.25, 0.0, 10.0) == low + (high - low) * 0.25
    assert percentile(counts, 1.0, 0.0, 10.0) == high
    assert percentile(counts, 0.5, 0.0, low) == low, "no bin reaches beyond what was observed"


def test_a_histogram_is_what_lies_within_and_beyond():
    bins = value_bins(-1.0, 1.0)
    counts = np.arange(bins.count + 2)
    h = as_histogram(bins, counts)
    assert (h.below, h.above) == (0, bins.count + 1) and np.array_equal(h.counts, np.arange(1, bins.count + 1))
    assert (h.lo, h.hi) == (float(bins.lo), float(bins.hi))


@pytest.mark.parametrize("key", ["int4-sym-b64", "q4_0", "int4-asym-channel", "fp8_e4m3"])
def test_what_is_counted_is_counted_of_every_weight(key):
    e, q = qv.evaluate(W, key), qv.quantize(W, key)
    y = q.dequantize()
    for name, values in (("original", W), ("dequantized", y)):
        h = e.histograms[name]
        assert h.below + h.counts.sum() + h.above == W.size
        edges = np.linspace(h.lo, h.hi, len(h.counts) + 1)
        assert np.abs(np.histogram(values, edges)[0] - h.counts).sum() <= 0.01 * W.size
    assert e.code_counts.sum() == W.size
    codes, counts = np.unique(q.codes, return_counts=True)
    assert sorted(e.code_counts[e.code_counts > 0]) == sorted(counts)
    assert e.metrics["zeroed_fraction"] == ((y == 0) & (W != 0)).sum() / (W != 0).sum()
    assert (e.scheme, e.shape, e.dtype, e.engine) == (key, (40, 256), "float32", "cpu") and e.seconds > 0
    assert e.metrics["compression_ratio"] == 32 / e.metrics["bits_per_weight"]


def test_statistics_given_before_are_taken_as_they_are():
    t = qv.describe(W)
    e = qv.evaluate(W, "int4-sym-tensor", statistics=t)
    assert e.statistics is t and e.metrics == qv.evaluate(W, "int4-sym-tensor").metrics


def test_without_counting_the_moments_are_the_same_and_nothing_else_is_there():
    full, few = qv.evaluate(W, "int4-sym-b64"), qv.evaluate(W, "int4-sym-b64", detail="metrics")
    assert few.metrics.items() <= full.metrics.items() and "zeroed_fraction" not in few.metrics
    assert few.statistics is few.histograms is few.code_counts is few.block_errors is None


def test_all_zero_has_no_share_that_became_zero():
    assert math.isnan(qv.evaluate(np.zeros((4, 64), np.float32), "int4-sym-b64").metrics["zeroed_fraction"])


def test_wrong_questions_are_refused_in_a_sentence():
    with pytest.raises(QuantvizError, match="There is no detail 'some'; choose full or metrics"):
        qv.evaluate(W, "int4-sym-b64", detail="some")
    with pytest.raises(QuantvizError, match="engine"):
        qv.evaluate(W, "int4-sym-b64", device="abacus")
    with pytest.raises(QuantvizError, match="importance"):
        qv.evaluate(W, "iq2_xxs")


def test_progress_ends_at_the_whole():
    told = []
    qv.evaluate(W, "int4-sym-b64", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (W.size, W.size) and told == sorted(told)


@pytest.mark.parametrize(("rows", "cols"), [(3, 1 << 17), (5000, 64), (1, 1 << 16)])
def test_the_axis_of_errors_is_set_by_few_weights(rows, cols):
    read = []

    class Counting(StoredTensor):
        def read(self, start=0, stop=None):
            read.append(stop - start)
            return super().read(start, stop)

    stored = Counting(np.ones(rows * cols, np.float32), "float32", (rows, cols))
    scheme = qv.Scheme.parse("int4-sym-b32")
    bins_of(stored, scheme, qv.describe(np.ones((1, 64), np.float32)), None)
    assert 0 < sum(read) <= 1 << 16
