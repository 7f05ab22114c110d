"""The options clip, rotate, keep, solver and double: every engine alike, and each does what it says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quantviz as qv
from quantviz import QuantvizError
from quantviz.kernels.searching import percentile_rank
from quantviz.schemes import Scheme

from .test_engines import assert_same, shaped

# Made with the hqq package 0.2.8.post1 on the CPU: Quantizer.quantize(w, nbits, group_size, axis=1, optimize=True,
# round_zero=False, compute_dtype=float32). Each tensor, and for "name-bits-group" the mean |e| and the mean e².
HQQ = np.load(Path(__file__).parent / "data" / "hqq.npz")
HQQ_TOLERANCE = 0.01  # the package stops on the mean of the whole tensor, we after a fixed number of iterations
# A rotation rounds in float32 at each of log₂ n additions; norms differ by that much.
ROTATION_TOLERANCE = 1e-5

SCHEMES = (
    "int4-sym-b64", "int3-asym-b32", "int4-sym-tensor", "int4-asym-tensor", "int4-asym-b16x16", "int4-offset-channel",
    "nf4-b64", "bnb_fp4-b48", "fp8_e4m3-b100", "fp4_e2m1-tensor", "mxfp4", "nvfp4", "ternary-channel", "int1-sym-b32",
    "fp8_e4m3",
)  # fmt: skip
OPTIONS = (
    "clip=mse", "clip=99", "keep=0.1%", "keep=3%", "rotate=hadamard", "clip=mse,rotate=hadamard,keep=1%", "double=1",
    "double=1,clip=mse,keep=1%", "solver=hqq",
)  # fmt: skip
SHAPES = ((37, 384), (7, 100), (1, 256))


def keys() -> list[str]:
    """Every scheme with every option that it takes."""
    found = []
    for key in (f"{scheme}:{options}" for scheme in SCHEMES for options in OPTIONS):
        try:
            found.append(Scheme.parse(key).key)
        except QuantvizError:
            continue
    return found


@pytest.mark.parametrize("key", keys())
def test_every_engine_gives_the_same_codes_and_values(key: str, fast_engine: str) -> None:
    for shape in SHAPES:
        x = shaped(shape)
        try:
            Scheme.parse(key).check_shape(*shape)
        except QuantvizError:
            continue
        ours = qv.quantize(x, key, engine=fast_engine)
        assert_same(ours, qv.quantize(x, key, engine="reference"), f"{key} {shape}")
        e = (np.asarray(ours.dequantize()) - x).astype(np.float64)
        measured = qv.evaluate(x, key, device=fast_engine).metrics
        assert measured["mse"] == pytest.approx((e * e).mean(), rel=1e-5)
        assert measured["bits_per_weight"] == ours.bits_per_weight


@pytest.mark.parametrize("scheme", ["int4-sym-b32", "int3-asym-b64", "int4-offset-b128", "nf4-b64", "fp4_e2m1-channel",
                                    "int2-sym-tensor", "int4-asym-b16x16"])  # fmt: skip
def test_the_search_never_loses_to_absmax_on_any_block(scheme: str) -> None:
    x = shaped((64, 512))
    plain, searched = qv.evaluate(x, scheme), qv.evaluate(x, f"{scheme}:clip=mse")
    # Block errors are float32 roots of sums; a block whose range stays is computed alike.
    assert (searched.block_errors <= plain.block_errors * (1 + 1e-6)).all()
    assert searched.metrics["mse"] < plain.metrics["mse"]


@pytest.mark.parametrize(("scheme", "gain"), [("int8-sym-b64", 0.12), ("int4-sym-b64", 0.6), ("fp8_e4m3-channel", 0.1)])
def test_the_search_for_a_range_gains_at_every_width(scheme: str, gain: float) -> None:
    """In dB on normal weights. Of 8 bits the best range lies within a hundredth of the widest."""
    x = np.random.default_rng(0).standard_normal((64, 1024), dtype=np.float32)
    plain, searched = (qv.evaluate(x, scheme + clip, detail="metrics").metrics["sqnr_db"] for clip in ("", ":clip=mse"))
    assert searched - plain > gain


def test_importance_steers_the_search() -> None:
    x = np.random.default_rng(3).standard_normal((64, 256)).astype(np.float32)
    h = np.where(np.arange(256) % 32 == 0, 100.0, 0.01).astype(np.float32)
    key = "int3-sym-b32:clip=mse"
    e = [(qv.quantize(x, key, importance=i).dequantize() - x).astype(np.float64) ** 2 for i in (None, h)]
    assert (e[1] * h).sum() < (e[0] * h).sum()
    assert e[1].sum() > e[0].sum()
    reported = qv.evaluate(x, key, importance=h, detail="metrics").metrics["weighted_mse"]
    assert reported == pytest.approx((e[1] * h).sum() / (h.sum(dtype=np.float64) * 64), rel=1e-5)


@given(st.integers(1, 5000), st.fractions(Fraction(51), Fraction(9999, 100), max_denominator=1000))
def test_nearest_rank(n: int, percentile: Fraction) -> None:
    rank = int(percentile_rank(percentile, np.array([n]))[0])
    assert (rank - 1) * 100 < percentile * n <= rank * 100


def test_percentile_clipping_is_the_order_statistic() -> None:
    x = shaped((8, 1000))
    scale = np.sort(np.abs(x), axis=1)[:, 989] / np.float32(7)  # ⌈0.99 · 1000⌉ = 990th
    np.testing.assert_array_equal(qv.quantize(x, "int4-sym-channel:clip=99,scale=fp32").scales[:, 0], scale)
    q = qv.quantize(x, "int4-offset-tensor:clip=99.9,scale=fp32")
    rising = np.sort(x.reshape(-1))
    assert q.minima[0, 0] == rising[8] and q.scales[0, 0] == (rising[7991] - rising[8]) / np.float32(15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 1.0, 12.5, 50.0]), st.booleans())
def test_keep_stores_exactly_the_largest(seed: int, percent: float, ties: bool) -> None:
    x = np.random.default_rng(seed).standard_normal((23, 64)).astype(np.float32)
    x = np.round(x * 2) if ties else x
    key = f"int4-sym-b32:keep={percent}%"
    q = qv.quantize(x, key)
    count = round(x.size * percent / 100)
    assert Scheme.parse(key).bits_stored(x.shape) == Scheme.parse("int4-sym-b32").bits_stored(x.shape) + 48 * count
    index = np.asarray(q.kept_index if count else [], np.int64)
    assert len(index) == count and (np.diff(index) > 0).all()
    order = np.argsort(-np.abs(x.reshape(-1)), kind="stable")[:count]  # of equals the first
    np.testing.assert_array_equal(index, np.sort(order))
    y = q.dequantize().reshape(-1)
    np.testing.assert_array_equal(y[index], x.reshape(-1)[index].astype(np.float16).astype(np.float32))


def test_kept_weights_leave_the_scale_to_the_others() -> None:
    x = shaped((16, 256)).copy()
    x[3, 7] = 5.0
    rest = x.copy()
    kept = qv.quantize(x, "int4-sym-channel:keep=0.025%")
    rest.reshape(-1)[kept.kept_index] = 0
    np.testing.assert_array_equal(kept.codes, qv.quantize(rest, "int4-sym-channel").codes)
    assert kept.dequantize()[3, 7] == 5.0


def test_rotation_keeps_the_error_it_makes_and_spreads_outliers() -> None:
    x = np.random.default_rng(5).standard_normal((64, 768)).astype(np.float32) * np.float32(0.02)
    x[:, 11] *= 40
    plain, rotated = (qv.evaluate(x, f"int4-sym-channel{o}").metrics["sqnr_db"] for o in ("", ":rotate=hadamard"))
    assert rotated > plain + 6
    q = qv.quantize(x, "fp32:rotate=hadamard")
    assert np.linalg.norm(q.dequantize() - x) <= ROTATION_TOLERANCE * np.linalg.norm(x)
    rows = q.codes.astype(np.uint32).view(np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), np.linalg.norm(x, axis=1), rtol=ROTATION_TOLERANCE)


def test_rows_that_cannot_be_rotated_are_refused_at_once() -> None:
    with pytest.raises(QuantvizError, match="1,?001|7"):
        qv.evaluate(np.ones((2, 7), np.float32), "int4-sym-channel:rotate=hadamard")


@pytest.mark.parametrize("case", [name for name in HQQ.files if "-" in name])
def test_hqq_is_within_a_percent_of_the_package(case: str) -> None:
    name, bits, group = case.split("-")
    w = HQQ[name]
    e = np.abs(qv.quantize(w, f"int{bits}-offset-b{group}:scale=fp32,solver=hqq").dequantize() - w).astype(np.float64)
    np.testing.assert_allclose([e.mean(), (e * e).mean()], HQQ[case], rtol=HQQ_TOLERANCE)


@pytest.mark.parametrize("key", ["int4-sym-b64:keep=1%", "nf4-b64:double=1", "int4-asym-b128:clip=mse",
                                 "int4-sym-tensor:clip=99.9", "int4-offset-channel:solver=hqq"])  # fmt: skip
def test_an_opened_block_is_the_one_of_the_whole(key: str) -> None:
    x = shaped((48, 256))
    y = qv.quantize(x, key).dequantize()
    for place in ((0, 0), (0, 1), (31, 0)):
        try:
            block = qv.inspect_block(x, key, *place)
        except QuantvizError:
            continue  # this scheme has fewer groups
        cut = slice(*block.rows), slice(*block.cols)
        np.testing.assert_array_equal(block.dequantized, y[cut])
        np.testing.assert_array_equal(block.original, x[cut])
        assert block.kept is None or (block.dequantized[block.kept] != 0).any() or not block.kept.any()


def test_a_block_of_rotated_rows_says_so() -> None:
    block = qv.inspect_block(shaped((48, 256)), "int4-sym-b64:rotate=hadamard", 3, 1)
    assert block.rotated and block.original.shape == (1, 64)
    assert np.abs(block.error).max() <= 0.51 * block.scale


def test_a_block_opens_as_importance_quantized_it():
    x, h = shaped((8, 64)), np.linspace(0, 4, 64, dtype=np.float32) ** 4
    key = "int3-sym-b32:clip=mse"
    whole = qv.quantize(x, key, h).dequantize()
    block = qv.inspect_block(x, key, 3, 1, importance=h)
    np.testing.assert_array_equal(block.dequantized[0], whole[3, 32:])
    assert not np.array_equal(whole, qv.quantize(x, key).dequantize())


def test_of_a_large_group_the_part_with_the_weight_asked_for_is_shown():
    x = shaped((300, 5000))
    for key, around, rows, cols in (
        ("int4-sym-tensor", None, (0, 1), (0, 4096)), ("int4-sym-tensor", (7, 4999), (7, 8), (4096, 5000)),
        ("int4-sym-b500x5000", (299, 3), (299, 300), (0, 4096)), ("int4-sym-b1024", (5, 1), (5, 6), (0, 1024)),
    ):  # fmt: skip
        block = qv.inspect_block(x, key, *((5, 0) if key.endswith("b1024") else (0, 0)), around=around)
        assert (block.rows, block.cols) == (rows, cols)
        q = qv.quantize(x, key)
        assert np.array_equal(block.codes, q.codes[rows[0] : rows[1], cols[0] : cols[1]])
    with pytest.raises(qv.QuantvizError, match="lie outside this block"):
        qv.inspect_block(x, "int4-sym-tensor", 0, 0, around=(300, 0))
