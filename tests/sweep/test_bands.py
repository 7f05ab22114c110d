"""One tensor under several schemes: ranges of rows join to what `evaluate` gives for the whole."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES
from quantviz.errors import QuantvizError
from quantviz.evaluation.joining import joined
from quantviz.evaluation.tensor import bins_of
from quantviz.kernels.decoding import decoder
from quantviz.kernels.engines import verbs
from quantviz.metrics import Sums
from quantviz.schemes import Scheme
from quantviz.sweep.bands import measure
from quantviz.sweep.ranges import cut, in_memory, row_step
from quantviz.sweep.results import Measured, Refusal
from quantviz.tensors import PackedTensor, Packing, StoredTensor, as_stored

ROWS, COLS = 300, 192  # rows of no power of two
W = np.random.default_rng(3).standard_normal((ROWS, COLS)).astype(np.float32)
# Each way of a scheme to depend on rows: flat blocks, rows, one scale, two levels, bytes, and all of the tensor.
KEYS = (
    "int4-sym-b32", "int4-asym-b64", "int8-sym-b32", "q4_0", "nf4-b64", "mxfp4", "int4-asym-channel", "int8-sym-tensor",
    "int4-sym-b32:rotate=hadamard", "int4-sym-b32:keep=0.1%",
)  # fmt: skip
COUNTED = {"abs_error_p50", "abs_error_p95", "abs_error_p99", "abs_error_p999", "zeroed_fraction", "clipped_fraction",
           "code_entropy_bits", "max_abs_error", "bits_per_weight", "compression_ratio"}  # fmt: skip
BUDGETS = (1 << 30, 4 * COLS * 128 * 2, 4 * COLS * 250 * 2, 1)  # all at once, 128 rows, some more, none


def bfloat16(w: np.ndarray) -> StoredTensor:
    return StoredTensor((w.reshape(-1).view(np.uint32) >> 16).astype(np.uint16), "bfloat16", w.shape, "W")


def check(found: Measured, expected) -> None:
    assert list(found.metrics) == list(expected.metrics)
    for name, value in expected.metrics.items():
        reach = 0 if name in COUNTED else 1e-12
        assert found.metrics[name] == pytest.approx(value, rel=reach, abs=0, nan_ok=True), (found.scheme, name)
    assert (found.notices, found.engine, found.share, found.errors) == (expected.notices, expected.engine, 1.0, {})


@pytest.mark.parametrize("detail", ["full", "metrics"])
def test_ranges_of_rows_join_to_what_evaluate_gives(detail):
    stored = bfloat16(W)
    expected = {key: qv.evaluate(stored, key, detail=detail) for key in KEYS}
    for budget in BUDGETS:
        found = list(measure(stored.row_range, (ROWS, COLS), KEYS, detail=detail, budget=budget))
        assert [m.scheme for m in found] == list(KEYS)
        for m in found:
            check(m, expected[m.scheme])


def test_so_they_do_with_importance_and_in_float64():
    importance = np.random.default_rng(4).random(COLS)
    for w, keys in ((W, KEYS[:5]), (W.astype(np.float64) * math.pi, KEYS[:1])):
        for m in measure(as_stored(w).row_range, W.shape, keys, importance, "metrics", 8 * COLS * 128 * 2):
            check(m, qv.evaluate(w, m.scheme, importance, detail="metrics"))


def test_histograms_and_codes_of_ranges_add_up_exactly():
    stored, use = as_stored(W), verbs("cpu")
    statistics = use.describe(stored)
    for scheme in map(Scheme.parse, ("int4-asym-b64", "q4_0", "int8-sym-tensor")):
        bins = bins_of(stored, scheme, statistics, None)
        whole = use.measure(stored, scheme, bins, None, statistics, None)
        ends = [0, 128, 256, ROWS]
        parts = [
            use.measure(stored.row_range(a, b), scheme, bins, None, statistics, None)
            for a, b in zip(ends, ends[1:], strict=False)
        ]
        together = joined(parts, scheme)
        sums = {f.name: getattr(whole.sums, f.name) for f in fields(Sums)}
        for name, value in sums.items():
            ours = getattr(together.sums, name)
            assert ours == value if value is None else ours == pytest.approx(value, rel=1e-12, abs=0), name
        for name in ("dequantized", "error", "abs_error_log", "codes"):
            assert np.array_equal(getattr(together.counts, name), getattr(whole.counts, name)), name
        for name in ("zeroed", "clipped", "least_error"):
            assert getattr(together.counts, name) == getattr(whole.counts, name), name
        np.testing.assert_allclose(together.counts.block_rmse, whole.counts.block_rmse, rtol=1e-6)


def test_what_scales_became_is_counted_over_all_ranges():
    tiny = np.full((256, 64), 1e-9, np.float32)
    tiny[5] = 1
    for key in ("int4-sym-b32", "q4_0"):
        (expected,) = qv.evaluate(tiny, key).notices
        (m,) = measure(as_stored(tiny).row_range, tiny.shape, [key], budget=4 * 64 * 128 * 2)
        assert m.notices == (expected,)
        assert expected.startswith("510 ")


class Counting:
    """Weights that count how often they are read."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.read, self.most = data, 0, 0

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> Lazy:
        return Lazy(self, *part.indices(len(self.data))[:2])


class Lazy:
    def __init__(self, of: Counting, start: int, stop: int) -> None:
        self.of, self.start, self.stop = of, start, stop

    def __getitem__(self, part: slice) -> Lazy:
        start, stop, _ = part.indices(self.stop - self.start)
        return Lazy(self.of, self.start + start, self.start + stop)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        self.of.read += self.stop - self.start
        self.of.most = max(self.of.most, self.stop - self.start)
        return self.of.data[self.start : self.stop].copy()


def test_a_tensor_is_read_once_for_all_schemes_and_never_more_than_the_budget():
    keys = ("int4-sym-b32", "int4-asym-b64", "q4_0", "nf4-b64")
    for budget, most in ((1 << 30, W.size), (4 * COLS * 128 * 2, 128 * COLS)):
        counting = Counting(W.reshape(-1))
        stored = StoredTensor(counting, "float32", W.shape, "W")
        assert all(isinstance(m, Measured) for m in measure(stored.row_range, W.shape, keys, None, "metrics", budget))
        assert (counting.read, counting.most) == (W.size, most)


def test_rows_after_which_a_range_may_begin():
    def step(key: str, rows: int, cols: int, weighted: bool = False) -> int | None:
        return row_step(Scheme.parse(key), rows, cols, weighted)

    assert step("int4-sym-b32", 4096, 4096) == 2 and step("q4_0", 4096, 768) == 32
    assert step("int4-sym-b32", 4096, 768, weighted=True) == 1 and step("int4-sym-channel", 64, 16384) == 1
    assert step("fp8_e4m3-b128x128", 512, 512) == 128 and step("fp8_e4m3-b128x128", 100, 512) == 100
    assert step("int4-sym-b32:keep=0.1%", 512, 512) is None and step("nf4-b64:double=1", 512, 512) is None
    assert step("int4-sym-tensor:clip=mse", 512, 512) is None and step("nvfp4:rotate=hadamard", 512, 512) is None
    assert step("int4-sym-tensor", 512, 8192) == 1 and step("fp8_e4m3", 512, 1024) == 8


def test_ranges_are_within_the_budget_and_whole_steps():
    schemes = [Scheme.parse(key) for key in KEYS]
    found = cut(5000, 768, schemes, False, 2 * 768, 2 * 768 * 2000 * 2)
    heights = [b - a for a, b in found.ranges]
    assert found.ranges[0][0] == 0 and found.ranges[-1][1] == 5000 and max(heights) <= 2000
    assert all(a[1] == b[0] for a, b in zip(found.ranges, found.ranges[1:], strict=False))
    assert {s.key for s in found.apart} >= {"int4-sym-b32:keep=0.1%"}


def test_what_is_packed_or_computed_is_read_as_float32_once():
    q = qv.quantize(W, "q8_0")
    kind = BLOCK_TYPES["q8_0"]
    packing = Packing("q8_0", kind.block, kind.nbytes, decoder("q8_0"))
    packed = PackedTensor(np.frombuffer(q.tobytes(), np.uint8), "q8_0", W.shape, "W", packing)
    held = in_memory(packed)
    assert held.dtype == "float32" and np.array_equal(held.numpy(), packed.numpy())
    for budget in (1 << 30, 4 * COLS * 128 * 2):
        (m,) = measure(packed.row_range, W.shape, ["int4-sym-b32"], budget=budget)
        check(m, qv.evaluate(packed, "int4-sym-b32"))


def test_what_cannot_be_measured_says_why_and_the_rest_goes_on():
    keys = ("int4-sym-b32", "q4_k", "iq1_s", "q4_0")
    found = list(measure(as_stored(W).row_range, W.shape, keys))
    assert [type(m) for m in found] == [Measured, Refusal, Refusal, Measured]
    assert "multiple of 256" in found[1].reason
    bad = W.copy()
    bad[200, 7] = np.nan
    for budget in BUDGETS:
        for detail in ("full", "metrics"):
            found = list(measure(as_stored(bad).row_range, W.shape, ("int4-sym-b32", "q4_0"), None, detail, budget))
            assert all("1 NaN value, the first at [200, 7]" in m.reason for m in found)
    with pytest.raises(QuantvizError, match="no detail"):
        list(measure(as_stored(W).row_range, W.shape, ["q4_0"], detail="some"))


def test_progress_counts_weights_times_schemes():
    told = []
    list(
        measure(as_stored(W).row_range, W.shape, KEYS, None, "metrics", BUDGETS[1], progress=lambda *n: told.append(n))
    )
    assert told[-1] == (len(KEYS) * W.size,) * 2 and told == sorted(told)
