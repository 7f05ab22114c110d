"""Samples of rows: which are drawn, what they cost, and how honest the standard errors are."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.metrics import METRICS
from quantviz.schemes import Scheme
from quantviz.sweep.bands import measure
from quantviz.sweep.estimates import ESTIMATED, KNOWN, LEFT_OUT, has_zero
from quantviz.sweep.results import Measured
from quantviz.sweep.sampling import BANDS, Sample, strata
from quantviz.tensors import StoredTensor, as_stored
from tests.benchmarks.sampled import coverage

W = np.random.default_rng(5).standard_normal((480, 128)).astype(np.float32)
KEYS = ("int4-sym-b32", "int4-asym-b64", "q4_0", "nf4-b64")
TEN = Sample.parse("10%")


def bands(rows: int, cols: int, sample: Sample, tall: int = 1) -> list[tuple[int, int]]:
    return [band for stratum in strata(rows, cols, sample, tall) for band in stratum.bands]


def rows_read(rows: int, share: str) -> int:
    return sum(stop - start for start, stop in bands(rows, 64, Sample.parse(share).of("a")))


def test_a_sample_is_a_share_or_a_number_of_weights():
    assert Sample.parse("1%").share == 0.01 and Sample.parse(" 2.5 % ", 7) == Sample(share=0.025, seed=7)
    assert Sample.parse("100_000").weights == Sample.parse(100_000).weights == 100_000
    for wrong in ("", "0%", "101%", "0", "-1", "1e5", "all", None, 0.01):
        with pytest.raises(QuantvizError, match="is no sample; write"):
            Sample.parse(wrong)


def test_bands_lie_two_in_each_stratum_and_never_twice():
    for rows in (13, 24, 100, 384, 1024, 4096, 11008, 151_936):
        for share in ("0.1%", "1%", "10%", "50%", "95%"):
            found = strata(rows, 64, Sample.parse(share, 3))
            drawn = [band for stratum in found for band in stratum.bands]
            assert drawn == sorted(set(drawn)) and len(drawn) % BANDS == 0 and len(drawn) >= BANDS
            assert all(len(stratum.bands) == 2 <= stratum.of for stratum in found)
            heights = [stop - start for start, stop in drawn]
            assert set(heights[:-1]) == {max(heights)} and drawn[-1][1] <= rows
            assert sum(stratum.of for stratum in found) == -(-rows // max(heights))


def test_every_row_is_drawn_as_often_as_any_other():
    count = np.zeros(48)
    for seed in range(2000):
        for start, stop in bands(48, 64, Sample(share=0.25, seed=seed)):
            count[start:stop] += 1
    assert abs(count / 2000 - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 2000)


def test_one_percent_of_a_repository_is_at_most_one_and_a_half():
    assert rows_read(1024, "1%") == 12
    for rows in range(1000, 20_000, 97):
        assert 0.006 * rows < rows_read(rows, "1%") <= 0.0121 * rows, rows


def test_the_same_seed_gives_the_same_rows_on_every_machine():
    def first_rows(seed: int, name: str) -> list[int]:
        return [start for start, _ in bands(1024, 64, Sample.parse("1%", seed).of(name))]

    golden = [55, 99, 197, 311, 463, 465, 632, 658, 762, 783, 990, 1003]
    assert first_rows(15, "layers.0.mlp") == golden
    assert golden not in (first_rows(16, "layers.0.mlp"), first_rows(15, "layers.1.mlp"))


def test_only_the_rows_drawn_are_opened_once_for_all_schemes():
    opened = []

    def open_rows(start: int, stop: int) -> StoredTensor:
        opened.append((start, stop))
        return as_stored(W).row_range(start, stop)

    found = list(measure(open_rows, W.shape, KEYS, sample=TEN))
    assert opened == bands(*W.shape, TEN)
    assert {m.share for m in found} == {sum(b - a for a, b in opened) / len(W)}


def test_estimates_are_those_of_the_rows_read():
    """By hand: with strata of equal size a metric is that of the rows read, put one below the other."""
    read = np.concatenate([W[a:b] for a, b in bands(*W.shape, TEN)])
    for m in measure(as_stored(W).row_range, W.shape, KEYS, np.arange(1, 129), sample=TEN):
        expected = qv.evaluate(read, m.scheme, np.arange(1, 129)).metrics
        for name, value in m.metrics.items():
            assert value == pytest.approx(expected[name], rel=1e-9), (m.scheme, name)
        assert m.sums.count == W.size and math.isnan(m.sums.max_abs_error)
        assert m.sums.squared == pytest.approx(np.square(read, dtype=float).sum() * len(W) / len(read))
        assert m.sums.importance == pytest.approx(np.arange(1, 129).sum() * len(W))


def test_each_metric_is_estimated_known_or_left_out():
    assert sorted((*ESTIMATED, *KNOWN, *LEFT_OUT)) == sorted(METRICS)
    whole = {m.scheme: m for m in measure(as_stored(W).row_range, W.shape, KEYS, np.ones(128))}
    for m in measure(as_stored(W).row_range, W.shape, KEYS, np.ones(128), sample=TEN):
        rare = {"clipped_fraction"} - set(m.metrics)
        assert set(m.metrics) == set(whole[m.scheme].metrics) - set(LEFT_OUT) - rare
        assert set(m.errors) == set(m.metrics) - set(KNOWN) and min(m.errors.values()) > 0
        assert m.metrics["bits_per_weight"] == whole[m.scheme].metrics["bits_per_weight"]


def test_a_tensor_of_few_rows_is_read_whole_and_exact():
    for sample, rows in ((Sample.parse("1%"), 12), (Sample.parse("100%"), 480), (Sample.parse(10**9), 100)):
        w = W[:rows]
        for m in measure(as_stored(w).row_range, w.shape, KEYS, sample=sample):
            assert (m.share, m.errors) == (1.0, {}) and m.metrics == qv.evaluate(w, m.scheme).metrics


def test_what_a_sample_cannot_give_says_why():
    keys = ("int8-sym-tensor", "nvfp4", "nf4-b64:double=1", "int4-sym-b32:keep=0.1%", "fp8_e4m3-b128x128", "q4_0")
    *refused, last = measure(as_stored(W).row_range, W.shape, keys, detail="metrics", sample=TEN)
    whys = (
        "one scale serves the whole",
        "largest weight",
        "mean of all scales",
        "kept apart",
        "a scale among 128 rows",
    )
    for m, key, why in zip(refused, keys, whys, strict=False):
        assert m.scheme == key and why in m.reason and "measure the whole tensor" in m.reason
    assert isinstance(last, Measured)


def test_tiles_are_read_whole_where_the_sample_has_enough_of_them():
    drawn = bands(480, 128, Sample.parse("50%"), 8)
    assert all(start % 8 == 0 and stop % 8 == 0 for start, stop in drawn)
    assert min(coverage(W, "50%", 40, ["int4-sym-b8x32"], ["sqnr_db", "mse"]).values()) >= 0.85


def test_schemes_without_a_zero_leave_the_mean_relative_error_out():
    having = ("int4-sym-b32", "int4-asym-b64", "q4_0", "q6_k", "nf4-b64", "mxfp4", "fp8_e4m3", "ternary")
    lacking = ("int4-offset-b32", "int1-sym-b32", "q4_1", "iq4_nl", "q2_k", "iq2_s", "int4-sym-b32:rotate=hadamard")
    assert all(has_zero(Scheme.parse(key)) for key in having) and not any(has_zero(Scheme.parse(k)) for k in lacking)
    (m,) = measure(as_stored(W).row_range, W.shape, lacking[-1:], detail="metrics", sample=TEN)
    assert "mean_relative_error" not in m.metrics and "so it is left out" in m.notices[0]


def test_no_error_at_all_is_known_without_doubt():
    exact = W.astype(np.float16).astype(np.float32)
    (m,) = measure(as_stored(exact).row_range, W.shape, ["fp16"], detail="metrics", sample=TEN)
    assert (m.metrics["sqnr_db"], m.errors["sqnr_db"]) == (math.inf, 0) and m.errors["mse"] == 0


def test_nan_in_a_sample_names_the_rows():
    bad = np.full_like(W, np.nan)
    for m in measure(as_stored(bad).row_range, W.shape, KEYS, sample=TEN):
        assert m.reason.startswith("Rows ") and "of the tensor holds 256 NaN" in m.reason


def test_intervals_cover_the_truth():
    """A small part of tests/benchmarks/sampled.py, with the spread that so few seeds have."""
    random = np.random.default_rng(6)
    heavy = random.standard_t(3, (600, 128)) * np.exp(0.4 * random.standard_normal((600, 1)))
    for w in (random.standard_normal((600, 128)), heavy):
        found = coverage(np.ascontiguousarray(w, np.float32), "4%", 40, ("int4-sym-b32", "q4_0"))
        assert min(found.values()) >= 0.85 and np.mean(list(found.values())) <= 0.995, found
