"""Block FP8 against transformers' own reader, in every way a tensor is read."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import quantviz as qv
from quantviz.outliers.edits import Removal, apply
from quantviz.published.beside import whole
from quantviz.published.mixes import recipe
from tests.sources.builders import safetensors

SHAPES = [(256, 384), (128, 128), (576, 200), (5, 7), (1, 300)]  # the last three are ragged


def made(rows: int, cols: int, side: tuple[int, int] = (128, 128), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random codes, uint8 without NaN, and scales over ten orders of magnitude."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (rows, cols), np.uint8)
    codes[(codes & 0x7F) == 0x7F] = 0
    grid = -(-rows // side[0]), -(-cols // side[1])
    return codes, (10.0 ** rng.uniform(-8, 2, grid)).astype(np.float32)


def by_hand(codes: np.ndarray, scales: np.ndarray, side: tuple[int, int] = (128, 128)) -> np.ndarray:
    rows, cols = codes.shape
    spread = np.repeat(np.repeat(scales, side[0], 0)[:rows], side[1], 1)[:, :cols]
    return codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32) * spread


def model_of(folder: Path, codes: np.ndarray, scales: np.ndarray, config: dict | None = None, more: dict | None = None):
    tensors = {"a.weight": codes, "a.weight_scale_inv": scales, **(more or {})}
    dtypes = {"a.weight": "F8_E4M3"} | ({"a.weight_scale_inv": "BF16"} if scales.dtype == np.uint16 else {})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(tensors, dtypes))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return qv.open_model(folder)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_weights_are_code_times_scale(tmp_path: Path, shape: tuple[int, int]) -> None:
    codes, scales = made(*shape)
    right = by_hand(codes, scales)
    model = model_of(tmp_path, codes, scales)
    stored = model.open("a.weight")
    assert np.array_equal(model.load("a.weight"), right)
    assert stored.bits_per_weight == 8 + 32 * scales.size / codes.size
    assert model.info("a.weight").bits_per_weight == stored.bits_per_weight
    rng = np.random.default_rng(1)
    for start, stop in np.sort(rng.integers(0, right.size + 1, (30, 2)), axis=1).tolist():
        assert np.array_equal(stored.read(start, stop), right.reshape(-1)[start:stop])
    for a, b in np.sort(rng.integers(0, shape[0] + 1, (10, 2)), axis=1).tolist():
        if a < b:
            assert np.array_equal(model.load("a.weight", rows=(a, b)), right[a:b])
            assert np.array_equal(stored.row_range(a, b).numpy(), right[a:b])
            assert stored.row_range(a, b).bits_per_weight == stored.bits_per_weight
    assert qv.evaluate(stored, "int4-sym-channel").metrics["sqnr_db"] == pytest.approx(
        qv.evaluate(right, "int4-sym-channel").metrics["sqnr_db"]
    )
    assert "Stored as block FP8" in qv.evaluate(stored, "int8-sym-channel").notices[0]
    with pytest.raises(qv.QuantvizError, match="holds the scales of 'a.weight'.*choose that tensor"):
        model.open("a.weight_scale_inv")


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize("narrow", [False, True], ids=["float32 scales", "bfloat16 scales"])
def test_it_is_what_transformers_reads(tmp_path: Path, shape: tuple[int, int], narrow: bool) -> None:
    import torch
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    codes, scales = made(*shape, seed=2)
    weight, scale = torch.from_numpy(codes).view(torch.float8_e4m3fn), torch.from_numpy(scales)
    if narrow:
        scale = scale.bfloat16()
        scales = scale.view(torch.uint16).numpy()
    theirs = Fp8Dequantize(None)._dequantize_one(weight, scale, torch.float32).numpy()
    assert np.array_equal(model_of(tmp_path, codes, scales).load("a.weight"), theirs)


def test_the_config_says_how_large_a_tile_is_and_shapes_decide(tmp_path: Path) -> None:
    codes, scales = made(256, 256, (64, 32))
    config = {"text_config": {"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 32]}}}
    model = model_of(tmp_path / "a", codes, scales, config)
    assert np.array_equal(model.load("a.weight"), by_hand(codes, scales, (64, 32)))
    for number, said in enumerate(([64, 64], [0, 32], "128", [128], None)):
        config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": said}}
        model = model_of(tmp_path / str(number), codes, scales, config)
        assert np.array_equal(model.load("a.weight"), by_hand(codes, scales, (64, 32)))
        told = "config.json says tiles of 64 × 64, and the shapes are those of 64 × 32" in "".join(
            model.open("a.weight").notices
        )
        assert told == (said == [64, 64])
    with pytest.raises(qv.QuantvizError, match="'a.weight' is stored as block FP8: its float8_e4m3fn elements are"):
        model_of(tmp_path / "c", codes, scales[:3, :3]).open("a.weight")


def test_damaged_scales_and_codes_are_refused_in_a_sentence(tmp_path: Path) -> None:
    codes, scales = made(128, 128)
    scales[0, 0] = np.inf
    with pytest.raises(qv.QuantvizError, match="zero points that are no numbers"):
        model_of(tmp_path / "a", codes, scales).load("a.weight")
    scales[0, 0], codes[3, 4] = 1, 0x7F
    with pytest.raises(qv.QuantvizError, match=r"1 NaN value, the first at \[3, 4\]"):
        qv.evaluate(model_of(tmp_path / "b", codes, scales).open("a.weight"), "int8-sym-channel")


def test_outliers_are_put_into_the_weights_and_not_the_codes(tmp_path: Path) -> None:
    codes, scales = made(256, 128)
    codes[7, 8], scales[0, 0] = 0x38, 1  # a weight of 1 that is left alone
    stored = model_of(tmp_path, codes, scales).open("a.weight")
    edited = apply(stored, Removal(share=0.01))
    right, sizes = by_hand(codes, scales), np.abs(by_hand(codes, scales))
    kept = sizes < np.sort(sizes.reshape(-1))[-(right.size // 100) - 1]
    assert np.array_equal(edited.numpy()[kept], right[kept]) and edited.notices == stored.notices


def test_against_its_original_it_is_called_by_its_name(tmp_path: Path) -> None:
    codes, scales = made(128, 256)
    made_of_it = model_of(tmp_path / "a", codes, scales)
    (tmp_path / "b.safetensors").write_bytes(safetensors({"a.weight": by_hand(codes, scales)}))
    original = qv.open_model(tmp_path / "b.safetensors")
    (found,) = whole(original, made_of_it)
    assert found.evaluation.scheme == "block FP8" and found.evaluation.metrics["max_abs_error"] == 0
    assert found.requantized is None and found.why_not == "block FP8 is no type that quantviz rounds to"
    assert qv.evaluate(made_of_it.open("a.weight"), "int4-sym-b64").dtype == "block FP8"


def test_mixes_and_the_hub_see_the_weights(hub) -> None:
    codes, scales = made(512, 256)
    right = by_hand(codes, scales)
    name = "model.layers.0.self_attn.q_proj.weight"
    tensors = {name: codes, f"{name}_scale_inv": scales, "model.embed_tokens.weight": np.ones((64, 256), np.float32)}
    content = safetensors(tensors, {name: "F8_E4M3"})
    hub.add_repo("org/name", {"model.safetensors": content, "config.json": b'{"model_type": "llama"}'})
    model = qv.open_model("hf:org/name")
    assert np.array_equal(model.load(name, rows=(130, 260)), right[130:260])
    assert np.array_equal(model.load(name), right)
    assert model.packed_as == () and recipe(model, "q4_k_m").weights == right.size + 64 * 256
