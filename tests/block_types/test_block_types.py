"""What a type says of itself, what it refuses, and that rows are quantized alike however they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantviz.block_types import BLOCK_TYPES, block_type, unpack
from quantviz.errors import QuantvizError
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows
from quantviz.kernels.cpu.blocks import run as blocks

from .golden import TYPES

BITS = {
    "q4_0": 4.5, "q4_1": 5, "q5_0": 5.5, "q5_1": 6, "q8_0": 8.5, "q1_0": 1.125, "q2_0": 2.25, "q2_k": 2.625,
    "q3_k": 3.4375, "q4_k": 4.5, "q5_k": 5.5, "q6_k": 6.5625, "tq1_0": 1.6875, "tq2_0": 2.0625, "gguf_mxfp4": 4.25,
    "gguf_nvfp4": 4.5,
}  # fmt: skip


def normal(rows: int, cols: int = 512, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, cols), dtype=np.float32)


@pytest.mark.parametrize("name", TYPES)
def test_fields_fill_the_block_without_gaps(name: str) -> None:
    kind = BLOCK_TYPES[name]
    at = 0
    for part in kind.fields:
        assert (part.offset, part.size > 0, bool(part.meaning)) == (at, True, True)
        at += part.size
    assert at == kind.nbytes
    assert kind.bits_per_weight == BITS[name]
    assert kind.rule.endswith(".")


@pytest.mark.parametrize("name", TYPES)
def test_unpacked_parts_agree_in_shape(name: str) -> None:
    kind = BLOCK_TYPES[name]
    u = unpack(name, quantize_rows(name, normal(3)), 512)
    count = 3 * 512 // kind.block
    assert u.codes.shape == u.numbers.shape == u.values.shape == (count, kind.block)
    assert u.codes.dtype == np.int32 and u.numbers.dtype == u.scales.dtype == np.float32
    assert u.scales.shape[0] == count and kind.block % u.scales.shape[1] == 0
    assert u.minima is None or u.minima.shape == u.scales.shape
    assert u.stored and all(len(part) == count for part in u.stored.values())
    assert len(np.unique(u.codes)) <= 2 ** int(np.ceil(kind.bits_per_weight))


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_row_does_not_care_for_its_neighbours(name: str, weighted: bool) -> None:
    """13 rows of 3 · 256 leave every batch of blocks with a remainder."""
    x = normal(13, 768)
    importance = np.random.default_rng(1).random(768, dtype=np.float32) if weighted else None
    together = quantize_rows(name, x, importance)
    alone = np.concatenate([quantize_rows(name, row[None], importance) for row in x])
    assert np.array_equal(together, alone)
    assert np.array_equal(quantize_rows(name, np.asfortranarray(x), importance), together)


@pytest.mark.parametrize("name", ["q4_0", "q4_k", "gguf_nvfp4"])
def test_pieces_join_without_a_seam(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, importance = normal(20, 1024), np.random.default_rng(1).random(1024, dtype=np.float32)
    whole = [quantize_rows(name, x, h) for h in (None, importance)]
    monkeypatch.setattr(blocks, "PIECE", 2048)
    for h, want in zip((None, importance), whole, strict=True):
        assert np.array_equal(quantize_rows(name, x, h), want)
    assert np.array_equal(dequantize_rows(name, want, 1024), unpack(name, want, 1024).values.reshape(x.shape))


@pytest.mark.parametrize("name", TYPES)
def test_zeros_stay_zeros(name: str) -> None:
    assert not dequantize_rows(name, quantize_rows(name, np.zeros((2, 512), np.float32)), 512).any()


@pytest.mark.parametrize("name", [n for n in TYPES if n not in ("q1_0", "q2_0", "tq1_0", "tq2_0", "q2_k", "q3_k")])
def test_error_is_small_beside_the_weights(name: str) -> None:
    x = normal(16, 1024)
    e = dequantize_rows(name, quantize_rows(name, x), 1024) - x
    assert np.linalg.norm(e) / np.linalg.norm(x) < 0.6 * 2.0 ** (3 - BLOCK_TYPES[name].bits_per_weight)


@pytest.mark.parametrize("name", ["q3_k", "q4_k", "q5_k", "q4_0", "q5_1"])
def test_importance_shifts_the_error_to_where_it_matters_less(name: str) -> None:
    x, importance = normal(32, 1024), np.ones(1024, np.float32)
    importance[::4] = 50

    def weighted_error(data: np.ndarray) -> float:
        return float((importance * (dequantize_rows(name, data, 1024) - x) ** 2).sum())

    assert weighted_error(quantize_rows(name, x, importance)) < weighted_error(quantize_rows(name, x))


finite = hnp.arrays(np.float32, (1, 256), elements=st.floats(-(2.0**15), 2.0**15, width=32))


@given(finite)
def test_q8_0_is_within_half_a_step(x: np.ndarray) -> None:
    data = quantize_rows("q8_0", x)
    step = np.abs(x.reshape(-1, 32)).max(axis=1) / 127
    e = (dequantize_rows("q8_0", data, 256) - x).reshape(-1, 32)
    assert (np.abs(e) <= step[:, None] * (0.5 + 127 * 2.0**-10) + 127 * 2.0**-25).all()  # fp16 rounds the step


@given(finite)
def test_any_finite_row_of_fp16s_range_gives_finite_weights(x: np.ndarray) -> None:
    for name in ("q4_0", "q4_1", "q4_k", "q6_k", "tq1_0", "gguf_mxfp4", "gguf_nvfp4"):
        assert np.isfinite(dequantize_rows(name, quantize_rows(name, x), 256)).all()


def test_mxfp4_takes_its_exponent_from_the_rounded_logarithm_of_any_magnitude() -> None:
    """C's log2f rounds up to a whole number just below one: at every exponent, subnormal magnitudes among them."""
    exponents = np.arange(1, 255, dtype=np.int64)[:, None] << 23
    patterns = np.concatenate([(exponents - np.arange(1, 100)).ravel(), 1 << np.arange(23), np.arange(1, 4000)])
    largest = np.zeros((len(patterns), 32), np.float32)
    largest[:, 5] = patterns.astype(np.int32).view(np.float32)
    expected = np.floor(np.log2(largest[:, 5].astype(np.float64)).astype(np.float32)).astype(np.int64) + 125
    np.testing.assert_array_equal(quantize_rows("gguf_mxfp4", largest)[:, 0], expected & 255)


def test_an_unknown_type_is_refused_with_the_nearest() -> None:
    with pytest.raises(QuantvizError, match=r"no block type 'q4_K'.*q4_k"):
        block_type("q4_K")


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("cols", [0, 31, 300])
def test_rows_that_do_not_divide_are_refused(name: str, cols: int) -> None:
    block = BLOCK_TYPES[name].block
    with pytest.raises(QuantvizError, match=f"multiple of {block}.*to {(cols // block + 1) * block}"):
        quantize_rows(name, np.zeros((2, cols), np.float32))
    with pytest.raises(QuantvizError, match=f"multiple of {block}"):
        dequantize_rows(name, np.zeros((2, 1), np.uint8), cols)


@pytest.mark.parametrize("name", ["q4_0", "q6_k"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_its_place(name: str, value: float) -> None:
    x = normal(4)
    x[2, 37] = value
    with pytest.raises(QuantvizError, match=r"the first at \[2, 37\]"):
        quantize_rows(name, x)


def test_wrong_importance_is_refused() -> None:
    with pytest.raises(QuantvizError, match="511 values, and a row of this tensor 512"):
        quantize_rows("q4_k", normal(2), np.ones(511))
    with pytest.raises(QuantvizError, match="finite"):
        quantize_rows("q4_k", normal(2), np.full(512, np.nan))


def test_bytes_that_are_no_rows_are_refused() -> None:
    with pytest.raises(QuantvizError, match="take 288 bytes each in q4_0"):
        dequantize_rows("q4_0", np.zeros((2, 287), np.uint8), 512)
    with pytest.raises(QuantvizError, match="take 288 bytes each in q4_0"):
        unpack("q4_0", np.zeros(287, np.uint8), 512)


def test_a_type_whose_bytes_newer_ggml_writes_otherwise_says_so() -> None:
    changed = {kind.name: kind.source for kind in BLOCK_TYPES.values() if kind.since}
    assert set(changed) == {"iq1_m"} and "Newer ggml" in changed["iq1_m"] and "commit d99724f2b141" in changed["iq1_m"]
