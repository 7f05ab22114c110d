"""The sentences: each rule speaks with its number when it should, and is silent when nothing is remarkable."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.sentences import MOST, against, block_sentence, sentences


def normal(rows: int = 256, cols: int = 512) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)


def with_outlier() -> np.ndarray:
    w = normal()
    w[3, 70] = 0.4
    return w


def said(w: np.ndarray, key: str) -> str:
    return " ".join(sentences(qv.evaluate(w, key)))


def test_one_outlier_sets_the_scale_of_the_whole_tensor():
    r = qv.evaluate(with_outlier(), "int4-sym-tensor")
    first = sentences(r)[0]
    assert "sets the scale of the whole tensor" in first
    assert f"{r.statistics.crest_factor:.0f}σ" in first
    assert f"{100 * r.metrics['zeroed_fraction']:.1f}%" in first


def test_error_in_few_places_is_said():
    w = normal()
    w[:2] *= 30
    assert "the worst 1% of the blocks hold" in said(w, "int8-sym-b64")


@pytest.mark.parametrize(
    ("key", "part"), [("fp32", "Nothing is lost"), ("int2-sym-b64", "became exactly zero"), ("int4-asym-b16", "Scales")]
)
def test_rules_speak(key, part):
    assert part in said(normal(), key)


def test_nothing_remarkable_nothing_said():
    assert said(normal(), "fp16") == ""


def test_never_more_than_a_few():
    assert all(len(sentences(qv.evaluate(with_outlier(), key))) <= MOST for key in ("int2-sym-tensor", "int4-sym-b16"))


def test_against_the_pinned_scheme():
    w = normal()
    better, worse = qv.evaluate(w, "int8-sym-b64"), qv.evaluate(w, "int4-sym-b64")
    gain = better.metrics["sqnr_db"] - worse.metrics["sqnr_db"]
    assert (
        against(better, worse)
        == f"Against the pinned int4-sym-b64: {gain:.1f} dB more SQNR for 4.00 bits a weight more."
    )
    assert against(better, better) is None


def test_the_block_with_the_outlier_says_what_it_did():
    w = with_outlier()
    t = qv.describe(w)
    text = block_sentence(qv.inspect_block(w, "int4-sym-b64", 3, 1), t)
    assert text.startswith(f"One weight, {0.4 / t.std:.0f}σ out, sets this block's scale")
    assert block_sentence(qv.inspect_block(w, "int8-sym-b64", 0, 0), t) is None
