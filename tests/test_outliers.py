"""Outliers put in and taken out, who carries the error, the curves, and the cures."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.outliers import WHERES, Injection, Removal, apply, places
from quantviz.outliers.attribution import attribute, largest_table
from quantviz.outliers.cures import EQUAL_BITS, UNTREATED, cures, share_beyond, treat
from quantviz.outliers.curves import Growing, block_size_sweep, magnitude_sweep, row_sample
from quantviz.outliers.export import attribution_dict, cures_dict, magnitudes_dict, points_dict, schemes_table
from quantviz.outliers.sentences import (
    attribution_sentences,
    block_size_sentence,
    cure_sentence,
    edit_sentence,
    magnitude_sentence,
)
from quantviz.tensors import as_stored
from quantviz.text.spreadsheets import csv_text

KEYS = ("int4-sym-tensor", "int4-asym-channel", "int4-sym-b64", "int3-offset-b48", "nf4-b64", "fp8_e4m3-b32x64",
        "mxfp4", "nvfp4", "fp8_e4m3", "ternary-tensor", "int4-sym-b64:clip=mse", "int4-asym-b64:rotate=hadamard",
        "int4-sym-tensor:keep=0.1%", "int4-offset-b64:solver=hqq", "nf4-b64:double=1")  # fmt: skip


def normal(rows: int = 256, cols: int = 512) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)


def with_outliers(rows: int = 256, cols: int = 512) -> np.ndarray:
    return apply(normal(rows, cols), Injection(rows * cols // 1000, 20)).numpy()


# -- injection and removal ---------------------------------------------------------------------


@pytest.mark.parametrize("where", WHERES)
@given(count=st.integers(1, 48), seed=st.integers(0, 2**64 - 1), channel=st.none() | st.integers(0, 47))
def test_exactly_count_weights_change_where_they_should(where, count, seed, channel):
    w = normal(48, 64)
    injection = Injection(count, 30, where, None if where == "spread" else channel, seed)
    out = apply(w, injection).numpy()
    rows, cols = np.nonzero(out != w)
    assert len(rows) == count == (w != out).sum()
    assert np.array_equal(np.signbit(out), np.signbit(w))
    np.testing.assert_allclose(np.abs(out[rows, cols]), 30 * w.std(dtype=np.float64), rtol=1e-6)
    hit = {"spread": None, "input channel": cols, "output channel": rows}[where]
    if hit is not None:
        assert set(hit.tolist()) == ({channel} if channel is not None else {int(hit[0])})


def test_the_same_seed_hits_the_same_places_on_every_machine():
    digest = hashlib.sha256(np.sort(places(Injection(1000, 20, seed=7), 512, 1024)).astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "1f232269acde4171"
    few, many = (set(places(Injection(n, 20), 100, 100).tolist()) for n in (50, 500))
    assert few < many, "more outliers keep the places of fewer"
    assert len(places(Injection(9_999, 20), 100, 100)) == 9_999


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn"])
def test_an_edited_tensor_keeps_its_dtype_and_the_original(dtype):
    torch = pytest.importorskip("torch")
    w = torch.from_numpy(normal(32, 64)).to(getattr(torch, dtype))
    before = as_stored(w).numpy().copy()
    for edit in (Injection(5, 20), Removal(sigmas=2), Removal(share=0.1, how="clip")):
        out = apply(w, edit)
        assert out.dtype == ("float32" if dtype == "float8_e4m3fn" else dtype)
        assert out.shape == (32, 64) and out.nbytes <= 4 * before.size * (2 if dtype == "float64" else 1)
        assert np.array_equal(as_stored(w).numpy(), before), "the original is left alone"
    hit = apply(w, Injection(5, 20)).numpy()
    sigma = qv.describe(w).std
    np.testing.assert_allclose(np.abs(hit[hit != before]), 20 * sigma, rtol=2.0**-8)


def test_removal_by_sigmas_and_by_share():
    w = with_outliers()
    sigma = w.std(dtype=np.float64)
    far = np.abs(w) > np.float32(6 * sigma)
    zeroed, clipped = (apply(w, Removal(6, how=how)).numpy() for how in ("zero", "clip"))
    assert np.array_equal(zeroed, np.where(far, 0, w))
    assert np.array_equal(clipped[~far], w[~far])
    np.testing.assert_allclose(clipped[far], np.copysign(6 * sigma, w[far]), rtol=1e-6)
    plain = normal()
    out = apply(plain, Removal(share=0.01)).numpy()
    n = round(0.01 * plain.size)
    assert (out != plain).sum() == n
    limit = np.sort(np.abs(plain).reshape(-1))[-n]
    assert np.array_equal(out, np.where(np.abs(plain) >= limit, 0, plain))
    cut = apply(plain, Removal(share=0.01, how="clip")).numpy()
    assert np.abs(cut).max() == np.sort(np.abs(plain).reshape(-1))[-n - 1]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Injection(0, 20), "nothing"),
        (lambda: Injection(5, 0), "magnitude"),
        (lambda: Injection(5, 20, "everywhere"), "spread"),
        (lambda: Injection(5, 20, channel=3), "no channel"),
        (lambda: Injection(5, 20, seed=-1), "seed"),
        (lambda: Removal(), "either"),
        (lambda: Removal(3, 0.1), "either"),
        (lambda: Removal(share=1.0), "share"),
        (lambda: Removal(sigmas=-1), "sigmas"),
        (lambda: Removal(sigmas=3, how="drop"), "zero or clip"),
        (lambda: apply(normal(4, 8), Injection(33, 20)), "32 weights"),
        (lambda: apply(normal(4, 8), Injection(5, 20, "input channel")), "4 weights"),
        (lambda: apply(normal(4, 8), Injection(2, 20, "output channel", 4)), "counted from 0"),
        (lambda: apply(np.ones((4, 8), np.float32), Injection(2, 20)), "equal"),
        (lambda: apply(normal(4, 8).astype(np.float16), Injection(2, 1e8)), "float16 holds"),
    ],
)
def test_bad_edits_are_one_sentence(make, says):
    with pytest.raises(QuantvizError, match=says):
        make()


# -- attribution -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_attribution_is_what_numpy_gives(key):
    w = with_outliers(200, 192)
    e = qv.quantize(w, key).dequantize().astype(np.float64) - w
    a = attribute(w, key)
    size, sigma = np.abs(w), w.std(dtype=np.float64)
    band = np.searchsorted(np.array([edge * sigma for edge in a.band_edges], np.float32), size, side="right")
    for column, values in enumerate((np.ones_like(e), e**2, np.abs(e))):
        expected = np.bincount(band.reshape(-1), values.reshape(-1), minlength=len(a.bands))
        np.testing.assert_allclose(a.bands[:, column], expected, rtol=1e-9)
    np.testing.assert_allclose(a.rows.squared_error, (e**2).sum(1), rtol=1e-9)
    np.testing.assert_allclose(a.cols.squared_error, (e**2).sum(0), rtol=1e-9)
    np.testing.assert_allclose(a.cols.squared, (w.astype(np.float64) ** 2).sum(0), rtol=1e-9)
    np.testing.assert_allclose(a.largest_error, e.reshape(-1)[a.largest_index], rtol=1e-5, atol=1e-9)
    if a.block_squared_error is not None:
        np.testing.assert_allclose(a.block_rmse, qv.evaluate(w, key).block_errors, rtol=1e-4)


@pytest.mark.parametrize("key", KEYS)
def test_shares_sum_to_one_and_channels_to_the_total(key):
    w = with_outliers()
    a, r = attribute(w, key), qv.evaluate(w, key, detail="metrics")
    for shares in (a.weight_share, a.squared_error_share, a.abs_error_share):
        assert abs(shares.sum() - 1) < 1e-12
    total = r.metrics["mse"] * w.size
    for channels in (a.rows, a.cols):
        np.testing.assert_allclose(channels.squared_error.sum(), total, rtol=1e-4)
    sides = a.blocks_beyond(6)
    scheme = qv.Scheme.parse(key)
    assert (sides is None) == (scheme.granularity is None or scheme.rotate != "none"), "rotated rows have no blocks"
    if sides:
        for name in ("block_share", "weight_share", "squared_error_share", "abs_error_share"):
            assert abs(sum(getattr(side, name) for side in sides) - 1) < 1e-12
        assert len(largest_table(a)["block"]) == len(a.largest_index)


def test_outliers_harm_their_blocks_and_not_themselves():
    a = attribute(with_outliers(), "int4-sym-b64")
    having, without = a.blocks_beyond(6)
    assert having.squared_error_share > 5 * having.block_share
    assert having.rmse > 3 * without.rmse
    assert a.squared_error_share[-1] < 0.001
    said = attribution_sentences(a)
    assert said[0].startswith("Blocks with a weight beyond 6σ") and len(said) == 2
    assert attribution_sentences(attribute(normal(), "int4-sym-b64")) == []


def test_attribution_of_exact_and_constant_tensors():
    a = attribute(np.ones((4, 64), np.float32), "int4-sym-b64")
    assert a.squared_error_share.sum() in (0, 1)
    assert attribution_sentences(attribute(normal(), "fp32")) == []
    with pytest.raises(QuantvizError, match="ascending"):
        attribute(normal(), "int4-sym-b64", band_edges=(2, 1))


# -- curves ------------------------------------------------------------------------------------


def test_block_sizes_from_one_scale_for_all_to_sixteen():
    w = with_outliers()
    seen: list = []
    points = block_size_sweep(w, 4, step=lambda i, n, key: seen.append((i, n, key)))
    assert [key for *_, key in seen] == [p.scheme for p in points] and len(points) == 14
    for symmetry in ("sym", "asym"):
        held = [p.metrics for p in points if p.symmetry == symmetry]
        assert all(b["bits_per_weight"] >= a["bits_per_weight"] for a, b in zip(held, held[1:], strict=False))
        assert all(b["mse"] <= a["mse"] for a, b in zip(held, held[1:], strict=False))
    assert points[4].metrics == qv.evaluate(w, "int4-sym-b64", detail="metrics").metrics
    assert "blocks of 64 bring it to" in block_size_sentence(points)


def test_a_block_longer_than_a_row_is_listed_with_its_reason():
    points = block_size_sweep(normal(64, 48))
    assert [bool(p.metrics) for p in points[:7]] == [True, True, False, False, False, True, True]
    assert all("Rows of 48 weights are shorter" in p.reason for p in points if not p.metrics)
    sweep = magnitude_sweep(normal(64, 48), granularities=("tensor", "b64", "b16"))
    assert sweep.schemes == ("int4-sym-tensor", "int4-sym-b16") and "int4-sym-b64" in sweep.reasons


def test_removing_outliers_lowers_the_error_and_most_where_scales_are_shared_widely():
    w = with_outliers()
    before, after = block_size_sweep(w), block_size_sweep(apply(w, Removal(6)))
    gains = [a.metrics["rmse"] / b.metrics["rmse"] for a, b in zip(before, after, strict=True)]
    assert min(gains) > 1
    assert gains[0] > gains[4] > gains[6]


def test_smaller_blocks_contain_outliers():
    m = magnitude_sweep(with_outliers(1024, 512), sample=1 << 18)
    assert m.sampled and m.rows == 512 and m.weights == 1 << 18
    assert m.removed > 0
    growth = m.rmse[:, m.magnitudes.index(20.0)] / m.baseline
    assert growth[0] > 3 and (np.diff(growth[1:]) < 0).all()
    assert "blocks of 64" in magnitude_sentence(m)
    whole = magnitude_sweep(normal())
    assert not whole.sampled and whole.removed == 0


def test_a_row_sample_is_rows_of_the_tensor():
    w = normal(100, 32)
    sample = row_sample(as_stored(w), 320).numpy()
    assert sample.shape == (10, 32) and np.array_equal(sample[0], w[0]) and np.array_equal(sample[-1], w[-1])


# -- cures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [*KEYS, "int4-asym-b32:clip=mse", "int8-sym-b16", "bnb_fp4-b64:double=1"])
def test_every_cure_is_a_scheme_or_has_a_reason(key):
    found = cures(key)
    assert found[0].name == UNTREATED and found[0].key == qv.Scheme.parse(key).key
    for cure in found:
        assert cure.what
        assert (cure.key is None) == bool(cure.reason)
        if cure.key:
            assert qv.Scheme.parse(cure.key).key == cure.key
    keys = [cure.key for cure in found if cure.key]
    assert len(keys) == len(set(keys))


def test_what_is_kept_apart_holds_the_outliers():
    w = with_outliers()
    s = qv.describe(w)
    assert share_beyond(s, 6) == pytest.approx((np.abs(w) > 6 * s.std).mean(), rel=0.01)
    kept = [qv.Scheme.parse(c.key).keep for c in cures("int4-sym-tensor", s) if c.key and "keep" in c.key]
    assert max(kept) >= 100 * (np.abs(w) > 6 * s.std).mean()


def test_the_cures_cure():
    w = qv.open_model("random:normal?rows=512&cols=512&outliers=0.001").load("weight")
    treated = treat(w, "int4-sym-tensor")
    base, by_name = treated[0], {t.cure.name: t for t in treated}
    assert base.cure.name == UNTREATED and base.gain_db == base.extra_bits == 0
    assert all(t.metrics for t in treated), [t.reason for t in treated]
    ranked = [t.metrics["sqnr_db"] for t in treated[1:]]
    assert ranked == sorted(ranked, reverse=True)
    assert by_name["keep 0.1% apart"].gain_db > 10 and by_name["keep 0.1% apart"].equal_bits
    assert by_name["Hadamard rotation"].gain_db > 5
    assert by_name["blocks of 64"].gain_db > 5 and not by_name["blocks of 64"].equal_bits
    assert by_name["clip to least error"].gain_db > 0
    for t in treated:
        assert t.equal_bits == (abs(t.metrics["bits_per_weight"] - base.metrics["bits_per_weight"]) <= EQUAL_BITS)
    said = cure_sentence(treated)
    assert "keep 0.1% apart gains most" in said and re.search(r"for 0\.0\d\d bits a weight more", said)


def test_a_cure_that_does_not_fit_is_listed_with_its_reason():
    treated = treat(normal(64, 48), "int4-sym-tensor")
    reasons = {t.cure.name: t.reason for t in treated if not t.metrics}
    assert "Rows of 48 weights are shorter" in reasons["blocks of 64"]
    assert treated[-1].reason, "those that do not apply come last"
    short = treat(normal(64, 48), "int4-sym-b64")
    assert short[0].metrics and all(t.metrics for t in short if t.cure.name.startswith(("blocks", "clip", "keep")))


# -- words and data ----------------------------------------------------------------------------


def test_an_edit_is_told_by_what_it_does_to_the_error():
    w = normal()
    before = qv.evaluate(w, "int4-sym-tensor")
    after = qv.evaluate(apply(w, Injection(100, 30)), "int4-sym-tensor")
    assert "grew" in edit_sentence(before, after) and "became zero" in edit_sentence(before, after)
    assert "fell to" in edit_sentence(after, before)
    assert edit_sentence(before, before) is None
    assert Injection(1, 20, "input channel", 3).text == "1 weight set to ±20σ, along input channel 3"
    assert Removal(share=0.001, how="clip").text == "the largest 0.1% of weights cut to that limit"


def test_everything_exports():
    import json

    w = with_outliers(64, 128)
    points, treated = block_size_sweep(w, granularities=("tensor", "b256", "b64")), treat(w, "int4-sym-b64")
    document = [attribution_dict(attribute(w, "int4-sym-b64")), points_dict(points), cures_dict(treated),
                magnitudes_dict(magnitude_sweep(w, outliers=Growing((5.0, 20.0))))]  # fmt: skip
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    table = csv_text(*schemes_table(points, treated)).splitlines()
    assert len(table) == 1 + len(points) + len(treated) and table[0].startswith("part,name,scheme,mean_relative_error")


# -- where the sentences would be false ----------------------------------------------------------


def test_no_block_is_said_to_hold_outliers_where_rows_are_rotated():
    w = normal(64, 256)
    w[::8, 3] = 1.0
    a = attribute(w, "int4-sym-b64:rotate=hadamard")
    assert a.blocks_beyond(6) is None and not any("Blocks with" in text for text in attribution_sentences(a))


def test_weights_kept_apart_share_no_scale_with_others():
    w = normal(64, 256)
    w[::8, 3] = 1.0
    assert not any("share a scale with them" in t for t in attribution_sentences(attribute(w, "int4-sym-b64:keep=1%")))


def test_weights_around_another_number_are_not_called_outliers():
    said = attribution_sentences(attribute(1 + normal(64, 256), "int4-sym-b64"))
    assert "not around 0" in said[0] and not any("beyond" in text for text in said)


def test_a_cure_that_loses_nothing_is_not_passed_over():
    w = np.zeros((4, 64), np.float32)
    w[1:, ::2] = 7 / 16  # with the outlier's 448, scales of 64 and 1/16, which every type of scale holds
    w[0, 0] = 448.0
    said = cure_sentence(treat(w, "int4-sym-tensor"))
    assert "all that was lost" in said
