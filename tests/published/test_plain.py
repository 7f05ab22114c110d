"""Whether codes are those of plain rounding, better or worse; each verdict with its counter-example."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import quantviz as qv
from quantviz.published.beside import against, pair_up, sentence
from quantviz.published.plain import ALIKE, BETTER, EQUAL, WORSE
from tests.published.packing import gptq, layer, model, rounded
from tests.sources.builders import weights

NAME = "model.layers.0.mlp.down_proj.weight"


def compared(tmp_path, w: np.ndarray, tensors: dict, dtypes: dict | None = None, config: dict | None = None):
    original, file = model(tmp_path / "a", {NAME: w}), model(tmp_path / "b", tensors, config, dtypes)
    return against(original, file, pair_up(original, file).of(NAME), detail="metrics")


@pytest.mark.parametrize("how, rule, scheme", [
    ({}, "the range of the weights, 0 included, / 15", "int4-asym-b32"),
    ({"symmetric": True}, "the largest weight / 7", "int4-sym-b32"),
    ({"symmetric": True, "divide": 7.5}, "the largest weight / 7.5", "int4-sym-b32:range=full"),
    ({"symmetric": True, "divide": 8}, "the largest weight / 8", "int4-sym-b32"),
])  # fmt: skip
def test_plain_rounding_is_told_with_its_scale_rule(tmp_path, how, rule, scheme):
    w = weights(64, 256)
    a = compared(tmp_path, w, layer(NAME, w, **how))
    assert (a.plain.verdict, a.plain.rule, a.plain.scheme) == (EQUAL, rule, scheme)
    assert a.plain.nearest >= 0.9995 * a.plain.count
    assert a.plain.mse == pytest.approx(a.evaluation.metrics["mse"], rel=1e-6)
    assert f"This is plain rounding in GPTQ int4 g32: its scales are {rule}" in sentence(a)


def test_codes_that_are_not_the_nearest_are_counted_and_worse(tmp_path):
    w = weights(64, 256)
    codes, zeros, scales = rounded(w)
    moved = codes.copy()
    moved[:, ::4] = np.where(codes[:, ::4] < 15, codes[:, ::4] + 1, 14)
    a = compared(tmp_path, w, gptq(NAME, moved, zeros, scales, 32))
    assert a.plain.verdict == WORSE and a.plain.nearest == pytest.approx(0.75 * w.size, rel=0.01)
    assert a.plain.plain_mse == qv.evaluate(w, "int4-asym-b32", detail="metrics").metrics["mse"] < a.plain.mse
    assert "worse than plain rounding (int4-asym-b32)" in sentence(a) and "75" in sentence(a)
    assert "methods such as GPTQ" in sentence(a)


def test_searched_scales_are_better(tmp_path):
    w = weights(64, 256) ** 3
    best, least = None, np.inf
    for divide in np.linspace(7, 14, 15):  # one for each group
        codes, zeros, scales = rounded(w, symmetric=True, divide=divide)
        values = (codes - 8) * np.repeat(scales.astype(np.float32), 32, axis=1)
        error = np.square(values - w).reshape(64, 8, 32).sum(axis=2)
        if best is None:
            best, least = [codes, scales], error
        else:
            take = error < least
            best[0] = np.where(np.repeat(take, 32, axis=1), codes, best[0])
            best[1], least = np.where(take, scales, best[1]), np.minimum(error, least)
    a = compared(tmp_path, w, gptq(NAME, best[0], np.full(best[1].shape, 8), best[1], 32))
    assert a.plain.verdict == BETTER and a.plain.rule == "" and a.plain.all_nearest
    assert "better than plain rounding (int4-sym-b32)" in sentence(a) and "follow no rule" in sentence(a)


def test_other_scales_that_lose_as_much_are_alike(tmp_path):
    w = weights(64, 256)
    codes, zeros, scales = rounded(w, symmetric=True, divide=6.7)
    a = compared(tmp_path, w, gptq(NAME, codes, zeros, scales, 32))
    assert a.plain.verdict in (ALIKE, WORSE) and a.plain.rule == ""
    assert "plain rounding (int4-sym-b32)" in sentence(a)


def block_fp8(w: np.ndarray, largest: float = 448) -> tuple[dict, dict]:
    tiles = np.abs(w).reshape(w.shape[0] // 128, 128, -1, 128).max(axis=(1, 3))
    scales = (tiles / largest).astype(np.float32)
    spread = np.repeat(np.repeat(scales, 128, 0), 128, 1)
    codes = (w / spread).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    return {NAME: codes, f"{NAME}_scale_inv": scales}, {NAME: "F8_E4M3"}


def test_block_fp8_is_plain_rounding_of_tiles_or_not(tmp_path):
    w = weights(256, 256)
    a = compared(tmp_path / "plain", w, *block_fp8(w))
    assert (a.plain.verdict, a.plain.rule, a.plain.scheme) == (EQUAL, "the largest weight / 448", "fp8_e4m3-b128x128")
    a = compared(tmp_path / "half", w, *block_fp8(w, 200))
    assert a.plain.rule == "" and a.plain.all_nearest and a.plain.verdict != EQUAL


def nvfp4(w: np.ndarray, key: str) -> tuple[dict, dict]:
    """As ModelOpt stores what a scheme makes of weights."""
    q = qv.quantize(w, key)
    pairs = q.codes.reshape(len(w), -1, 2)
    scales = q.scales.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    tensors = {NAME: pairs[..., 0] | pairs[..., 1] << 4, f"{NAME}_scale": scales}
    return tensors | {f"{NAME}_scale_2": np.float32(q.tensor_scale).reshape(())}, {f"{NAME}_scale": "F8_E4M3"}


@pytest.mark.parametrize("key, rule", [("nvfp4", "the largest weight / 6"),
                                       ("nvfp4:sixes=4", "the largest weight / 6 or / 4 (four over six)")])  # fmt: skip
def test_nvfp4_is_told_from_four_over_six(tmp_path, key, rule):
    w = weights(64, 256)
    a = compared(tmp_path, w, *nvfp4(w, key))
    assert (a.plain.verdict, a.plain.rule, a.plain.scheme) == (EQUAL, rule, key)
    assert a.plain.mse == pytest.approx(a.plain.plain_mse, rel=1e-5)


# -- other formats that hold the same ---------------------------------------------------------------


def test_equal_zero_points_make_it_symmetric(tmp_path):
    w = weights(64, 256)
    codes, zeros, scales = rounded(w, symmetric=True)
    said = sentence(compared(tmp_path / "a", w, gptq(NAME, codes, zeros, scales, 32)))
    assert "All zero points are 8: symmetric int4" in said
    zeros[3, 2], codes[3, 64:96] = 7, np.clip(codes[3, 64:96] - 1, 0, 15)
    assert "All zero points" not in sentence(compared(tmp_path / "b", w, gptq(NAME, codes, zeros, scales, 32)))


def test_scales_that_are_powers_of_two_are_mx(tmp_path):
    w = weights(64, 256)
    codes, zeros, scales = rounded(w, symmetric=True)
    powers = np.exp2(np.ceil(np.log2(scales.astype(np.float32)))).astype(np.float16)
    codes = np.clip(np.rint(w / np.repeat(powers.astype(np.float32), 32, 1)) + 8, 0, 15).astype(np.int64)
    assert "powers of two" in sentence(compared(tmp_path / "a", w, gptq(NAME, codes, zeros, powers, 32)))
    powers[0, 0] *= np.float16(1.5)
    assert "powers of two" not in sentence(compared(tmp_path / "b", w, gptq(NAME, codes, zeros, powers, 32)))


def test_codes_within_fewer_bits(tmp_path):
    w = weights(64, 256)
    codes, zeros, scales = rounded(w, bits=3, symmetric=True)
    said = sentence(compared(tmp_path / "a", w, gptq(NAME, codes + 4, zeros + 4, scales, 32)))
    assert "No weight needs more than 3 of the 4 bits: int3" in said
    codes[5, 6] = 9
    assert "No weight needs" not in sentence(compared(tmp_path / "b", w, gptq(NAME, codes + 4, zeros + 4, scales, 32)))


def test_a_sign_alone_holds_no_zeros(tmp_path):
    w = np.zeros((64, 256), np.float32)
    w[:, ::3] = -1
    codes, scales = (8 + w).astype(np.int64), np.ones((64, 8), np.float16)
    said = sentence(compared(tmp_path, w, gptq(NAME, codes, np.full((64, 8), 8), scales, 32)))
    assert "No weight needs more than 2 of the 4 bits: int2" in said and "int1" not in said


def test_fp8_that_is_fp4(tmp_path):
    w = np.random.default_rng(0).choice([0, 0.5, 1, 1.5, 2, 3, 4, 6], (128, 128)).astype(np.float32)
    codes = w.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    tensors = {NAME: codes, f"{NAME}_scale_inv": np.full((1, 1), 0.75, np.float32)}
    said = sentence(compared(tmp_path / "a", w * np.float32(0.75), tensors, {NAME: "F8_E4M3"}))
    assert "numbers of FP4 (e2m1) too" in said and "powers of two" not in said
    w[3, 4] = 5
    tensors[NAME] = w.astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    assert "FP4" not in sentence(compared(tmp_path / "b", w * np.float32(0.75), tensors, {NAME: "F8_E4M3"}))
