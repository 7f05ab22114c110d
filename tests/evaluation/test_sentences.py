"""The sentences: each rule speaks with its number when it should, and is silent where it would be false."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES
from quantviz.evaluation.sentences import (
    COSTLY_SCALES,
    MOST,
    block_sentence,
    on_top_of,
    pinned_sentence,
    sentences,
)
from quantviz.metrics import value_text
from quantviz.text.wording import bits, decibels


def normal(rows: int = 256, cols: int = 512) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)


def with_outlier(*places: tuple[int, int]) -> np.ndarray:
    w = normal()
    for row, col in places or [(3, 70)]:
        w[row, col] = 0.4
    return w


def said(w: np.ndarray, key: str) -> str:
    return " ".join(sentences(qv.evaluate(w, key)))


# -- one scale for the whole tensor --------------------------------------------------------------


def test_one_outlier_sets_the_scale_of_the_whole_tensor():
    r = qv.evaluate(with_outlier(), "int4-sym-tensor")
    first = sentences(r)[0]
    assert first.startswith(f"One weight, {r.statistics.farthest:.0f}σ from the mean, sets the scale of the whole")
    assert value_text("zeroed_fraction", r.metrics["zeroed_fraction"]) in first


@pytest.mark.parametrize("option", ["clip=99.9", "clip=mse", "keep=1%", "rotate=hadamard"])
def test_it_sets_no_scale_where_it_is_clipped_kept_apart_or_rotated(option):
    w = np.hstack([with_outlier()] * 2)  # rows whose length is a power of two, for the rotation
    assert "sets the scale" in said(w[:, :512], "int4-sym-tensor")
    assert "the scale of the whole" not in said(w, f"int4-sym-tensor:{option}")


@pytest.mark.parametrize("key", ["int1-sym-tensor", "ternary-tensor", "fp16", "int4-sym-b64", "int4-sym-channel"])
def test_it_sets_no_scale_where_the_scale_is_a_mean_or_another(key):
    assert "the scale of the whole" not in said(with_outlier(), key)


def test_several_weights_as_far_out_are_not_called_one():
    assert "2 weights about as far out" in said(with_outlier((3, 70), (9, 9)), "int4-sym-tensor")
    many = with_outlier(*[(i, i) for i in range(100)])
    assert "At least 20 weights about as far out" in said(many, "int4-sym-tensor")
    opposite = with_outlier()
    opposite[0, 0] = -0.4
    assert "2 weights about as far out" in said(opposite, "int4-sym-tensor")


def test_weights_around_another_number_than_zero_are_no_outliers():
    w = 1 + normal() * 2.5
    assert qv.describe(w).crest_factor > 20, "though each lies many σ from zero"
    assert "σ from the mean" not in said(w, "int4-sym-tensor")
    assert block_sentence(qv.inspect_block(w, "int4-sym-b64", 0, 0), qv.describe(w)) is None


@pytest.mark.parametrize("w", [np.ones((4, 8), np.float32), np.zeros((4, 8), np.float32), np.ones((1, 1), np.float32)])
def test_equal_weights_have_no_outlier(w):
    for key in ("int4-sym-tensor", "int4-asym-tensor", "nf4-tensor", "ternary-tensor"):
        assert "σ" not in said(w, key)


# -- nothing lost --------------------------------------------------------------------------------


def test_nothing_is_lost_only_where_no_weight_changed():
    assert said(normal(), "fp32") == "Nothing is lost: every weight is a value that fp32 can hold."
    assert "Nothing is lost" not in said(normal(), "fp16")
    tiny = np.full((2, 32), 1e-30, np.float32)
    tiny[0, 0] = 1.5e-30
    assert "Nothing is lost" not in said(tiny, "bf16"), "an error whose square is nearly nothing is an error"


def test_of_a_tensor_of_zeros_it_is_said_why_figures_are_undefined():
    assert "all weights are zero" in said(np.zeros((4, 64), np.float32), "int4-sym-b32")


@pytest.mark.parametrize("dtype", ["q4_1", "iq4_xs", "float8_e4m3fn"])
def test_what_was_quantized_before_is_not_called_the_original(dtype):
    assert "come on top" in on_top_of(dtype) and dtype in on_top_of(dtype)


def test_every_block_type_counts_as_quantized_and_floats_do_not():
    assert all(on_top_of(name) for name in BLOCK_TYPES)
    assert not any(map(on_top_of, ("float32", "float16", "bfloat16", "float64", "int8")))


# -- where the error sits ------------------------------------------------------------------------


def test_error_in_few_places_is_said_with_how_many():
    w = normal()
    w[:2] *= 30
    assert "the worst 20 blocks of 2,048 hold" in said(w, "int8-sym-b64")
    assert "few places" not in said(normal(), "int8-sym-b64")


def test_a_short_block_at_the_end_of_a_row_counts_for_what_it_holds():
    w = normal(512, 33)
    w[:, 32] *= 60  # one weight a block: its error is 0, for it is its own scale
    assert "few places" not in said(w, "int8-sym-b32")


# -- other rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "part"), [("int2-sym-b64", "became exactly zero"), ("int4-asym-b16", "Scales")])
def test_rules_speak(key, part):
    assert part in said(normal(), key)


def test_nothing_remarkable_nothing_said():
    assert said(normal(), "fp16") == ""


def test_six_weights_are_not_blamed_for_using_few_codes():
    six = np.array([[-0.89, 0.16, 0.08, -0.13, 0.16, -0.54]], np.float32)
    assert "bits of information" not in said(six, "int4-sym-tensor")
    assert "bits of information" in said(with_outlier(), "int4-sym-tensor")


def test_what_takes_the_bits_is_named():
    assert "Scales and minima take 0.500 of the 4.500 bits" in said(normal(), "int4-offset-b64")
    assert "Scales and zero points take" in said(normal(), "int4-asym-b16")
    assert "Scales, and weights kept apart take" in said(normal(), "int4-sym-b64:keep=1%")


COSTS = [
    ("int4-sym-b32", 512, "Scales take 0.500 of the 4.500 bits a weight."),
    ("nvfp4", 512, "Scales take 0.500 of the 4.500 bits a weight."),
    ("int8-sym-b16", 512, "Scales take 1.000 of the 9.000 bits a weight."),
    ("int4-asym-b16", 512, "Scales and zero points take 1.250 of the 5.250 bits a weight."),
    ("int4-offset-b64", 512, "Scales and minima take 0.500 of the 4.500 bits a weight."),
    ("q4_1", 512, "Scales and their like take 1.000 of the 5.000 bits a weight."),
    ("q4_0:pad=1", 272, "Scales and their like, and the zeros that fill up the rows take 0.765 of the 4.765 bits"),
    ("q4_1:pad=1", 512, "Scales and their like take 1.000 of the 5.000 bits a weight."),
    ("int4-sym-b64:keep=1%", 512, "Scales, and weights kept apart take 0.730 of the 4.730 bits a weight."),
    ("int4-asym-b64:keep=1%", 512, "Scales and zero points, and weights kept apart take 0.793 of the 4.793 bits"),
    *[(key, 512, None) for key in ("int4-sym-b64", "int4-asym-b64", "nf4-b128", "mxfp4", "q8_0", "fp16")],
]


@pytest.mark.parametrize(("key", "cols", "told"), COSTS)
def test_costly_scales_are_told_from_a_tenth_of_all_bits_on(key, cols, told):
    e = qv.evaluate(normal(256, cols), key)
    share = 1 - qv.Scheme.parse(key).fmt.bits / e.metrics["bits_per_weight"]
    assert (share >= COSTLY_SCALES) == (told is not None)
    assert told in " ".join(sentences(e)) if told else "bits a weight" not in " ".join(sentences(e))


def test_the_error_of_small_weights_is_not_called_energy():
    text = said(with_outlier(), "int4-sym-tensor")
    r = qv.evaluate(with_outlier(), "int4-sym-tensor")
    assert "energy" not in text and "energy" not in qv.METRICS["relative_l2_error"].meaning
    told = f"the relative L2 error only {value_text('relative_l2_error', r.metrics['relative_l2_error'])}"
    assert told in text or "suffer" not in text


def test_never_more_than_a_few():
    assert all(len(sentences(qv.evaluate(with_outlier(), key))) <= MOST for key in ("int2-sym-tensor", "int4-sym-b16"))


def test_against_the_pinned_scheme():
    w = normal()
    better, worse = qv.evaluate(w, "int8-sym-b64"), qv.evaluate(w, "int4-sym-b64")
    gain = better.metrics["sqnr_db"] - worse.metrics["sqnr_db"]
    told = f"Against the pinned int4-sym-b64: {decibels(gain)} more SQNR for {bits(4)} bits a weight more."
    assert pinned_sentence(better, worse) == told
    assert "less SQNR for 4.000 bits a weight less" in pinned_sentence(worse, better)
    assert pinned_sentence(better, better) is None
    assert pinned_sentence(qv.evaluate(w, "fp32"), worse) is None, "no error leaves no difference in dB"


# -- one block -----------------------------------------------------------------------------------


def of_block(w: np.ndarray, key: str, row: int = 3, col: int = 1) -> str | None:
    return block_sentence(qv.inspect_block(w, key, row, col), qv.describe(w))


def test_the_block_with_the_outlier_says_what_it_did():
    w = with_outlier()
    far = (0.4 - w.mean()) / w.std()
    assert of_block(w, "int4-sym-b64").startswith(f"One weight, {far:.0f}σ from the mean, sets this block's scale;")
    assert "times as large as the next" in of_block(w, "fp8_e5m2-b64")
    assert of_block(w, "int8-sym-b64", 0, 0) is None


@pytest.mark.parametrize("option", ["keep=1%", "clip=90", "clip=mse", "rotate=hadamard"])
def test_it_sets_no_scale_of_a_block_where_an_option_prevents_it(option):
    assert "sets this block's scale" not in (of_block(with_outlier(), f"int4-sym-b64:{option}") or "")


def test_a_scale_that_its_type_cannot_hold_is_set_by_no_weight():
    w = with_outlier() * np.float32(1e9)
    assert "sets" not in (of_block(w, "int4-sym-b64") or "") + said(w, "int4-sym-tensor")
    assert "sets" in of_block(w, "int4-sym-b64:scale=fp32") and "sets" in said(w, "int4-sym-tensor:scale=fp32")


@pytest.mark.parametrize("key", ["int4-sym-tensor", "int4-sym-b256x64", "int4-sym-b8192"])
def test_of_a_part_of_a_block_only_what_is_shown_is_said(key):
    w = normal(256, 8192)
    w[3, 70], w[200, 8000] = 0.4, 0.8
    b = qv.inspect_block(w, key, 0 if "8192" not in key else 3, 0, around=None if "tensor" not in key else (3, 70))
    assert b.is_part and b.original.size < b.group
    told = block_sentence(b, qv.describe(w))
    assert "sets this block's scale" not in (told or "") and "this block's" not in (told or "shown") and "shown" in told


def test_two_equal_outliers_of_a_block_are_not_called_one():
    assert "One weight" not in (of_block(with_outlier((3, 70), (3, 71)), "int4-sym-b64") or "")


def test_rotated_weights_are_called_rotated():
    assert "non-zero rotated weights became zero" in of_block(normal(), "int2-sym-b64:rotate=hadamard")


def test_a_block_of_one_weight_or_of_zeros_says_nothing():
    assert of_block(normal(2, 65), "int4-sym-b64", 0, 1) is None
    zeros = normal(4, 64)
    zeros[0] = 0
    assert of_block(zeros, "int4-sym-b64", 0, 0) is None


def test_what_is_lost_below_float32_is_not_nothing():
    """A float64 tensor loses its last bits, and of weights near 1e-200 everything, though no square shows it."""
    w = normal().astype(np.float64) * np.pi
    assert "Nothing is lost" not in said(w, "fp32") and "Nothing is lost" in said(w.astype(np.float32), "fp32")
    assert "Nothing is lost" in said(w.astype(np.float32).astype(np.float64), "fp32")
    tiny = w * 1e-200
    tiny[0, 0] = 1.0
    assert "Nothing is lost" not in said(tiny, "fp32")
