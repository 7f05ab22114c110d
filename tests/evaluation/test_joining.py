"""Parts of a tensor that were measured one by one are added up to the whole."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv

W = np.random.default_rng(9).standard_normal((3, 40, 128)).astype(np.float32)
H = np.random.default_rng(10).random((3, 128)).astype(np.float32) + 0.1


def test_experts_with_importance_of_their_own_add_up_to_the_tensor():
    for key in ("int4-sym-b32", "int4-asym-channel"):
        whole, plain = qv.evaluate(W, key, H), qv.evaluate(W, key)
        parts = [qv.evaluate(w, key, h) for w, h in zip(W, H, strict=True)]
        assert whole.metrics["mse"] == pytest.approx(plain.metrics["mse"], rel=1e-12)
        weights = H.sum(axis=1, dtype=float)
        expected = np.average([p.metrics["weighted_mse"] for p in parts], weights=weights)
        assert whole.metrics["weighted_mse"] == pytest.approx(expected, rel=1e-12)
        assert np.array_equal(whole.code_counts, plain.code_counts)
        np.testing.assert_array_equal(whole.block_errors, plain.block_errors)
        for name, histogram in whole.histograms.items():
            if name != "error":  # whose bins follow from a sample of the errors
                assert np.array_equal(histogram.counts, plain.histograms[name].counts)


def test_one_scale_of_all_experts_is_one_group():
    whole, plain = qv.evaluate(W, "int8-sym-tensor", H), qv.evaluate(W, "int8-sym-tensor")
    assert whole.block_errors.shape == plain.block_errors.shape == (1, 1)
    assert whole.block_errors[0, 0] == pytest.approx(plain.block_errors[0, 0], rel=1e-6)


def test_what_scales_became_is_told_once_for_all_experts():
    tiny = np.full((2, 4, 64), 1e-9, np.float32)
    for key, what in (("int4-sym-b32", "16 scales became 0"), ("q4_0", "16 blocks have scales")):
        notices = qv.evaluate(tiny, key, np.ones((2, 64))).notices
        assert len(notices) == 1 and notices[0].startswith(what)
