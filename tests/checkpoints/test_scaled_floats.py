"""FP8 and FP4 with scales: what their goldens do not show, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import quantviz as qv
from quantviz.tensors.float8 import FLOAT8, FNUZ, float8_values
from tests.checkpoints.golden import Case, Tensors

RNG = np.random.default_rng(0)
SCALE = np.array(0.5, np.float32)


def raw(dtype: str, array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    """uint8 stands for any type of a byte."""
    return dtype, array.shape, array.tobytes()


def small(*shape: int) -> np.ndarray:
    return RNG.integers(0, 0x60, shape, np.uint8)


def opened(folder: Path, tensors: Tensors, config: dict | None = None):
    files = {"config.json": {"quantization_config": config}} if config else {}
    return qv.open_model(Case("", "", tensors, SCALE, config=files).write(folder))


def refused(folder: Path, tensors: Tensors, config: dict | None = None) -> str:
    """The sentence that refuses the weight, or its codes where it is not listed as one: the first of the tensors."""
    model = opened(folder, tensors, config)
    listed = any(info.name == "l.weight" for info in model.tensors)
    with pytest.raises(qv.QuantvizError) as found:
        model.load("l.weight" if listed else next(iter(tensors)))
    said = str(found.value)
    assert "\n" not in said and len(said) < 600
    return said


@pytest.mark.parametrize("dtype", [*FLOAT8, *FNUZ])
def test_every_float8_is_what_ml_dtypes_says(dtype: str) -> None:
    theirs = getattr(ml_dtypes, dtype if dtype in FLOAT8 else "float8_" + dtype.removeprefix("F8_").lower())
    right = np.arange(256, dtype=np.uint8).view(theirs).astype(np.float32)
    assert np.array_equal(float8_values(dtype), right, equal_nan=True)
    assert np.array_equal(np.signbit(float8_values(dtype))[:0x80], np.signbit(right)[:0x80])


@pytest.mark.parametrize(
    ("codes", "suffix", "scale", "says"),
    [
        ((8, 64), "weight_scale", ("F32", (8, 3)), "its scales [8, 3] of float32 do not fit its shape [8, 64]"),
        ((8, 64), "weight_scale", ("F32", (9, 1)), "do not fit its shape"),
        ((8, 64), "weight_scale_inv", ("F32", (8, 64, 1)), "do not fit its shape"),
        ((8, 64), "weight_scale", ("I64", (8, 1)), "its scales are I64, which is no type of scales"),
        ((64,), "weight_scale", ("F32", (64,)), "quantviz reads matrices of FP8 numbers"),
        ((2, 2, 8, 64), "weight_scale", ("F32", (2,)), "quantviz reads matrices of FP8 numbers"),
    ],
)  # fmt: skip
def test_scales_that_do_not_fit_fp8_are_refused(tmp_path: Path, codes, suffix, scale, says) -> None:
    item = {"F32": 4, "I64": 8}[scale[0]]
    tensors = {"l.weight": raw("F8_E4M3", small(*codes)),
               f"l.{suffix}": (*scale, bytes(int(np.prod(scale[1])) * item))}  # fmt: skip
    assert says in refused(tmp_path, tensors)


def test_a_scale_a_tensor_or_a_row_is_named_and_told(tmp_path: Path) -> None:
    codes = small(8, 32)
    values = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    rows = RNG.random((8, 1)).astype(np.float32)
    model = opened(tmp_path / "a", {"l.weight": raw("F8_E4M3", codes), "l.weight_scale": raw("F32", rows)})
    assert np.array_equal(model.load("l.weight"), values * rows)
    assert model.open("l.weight").stored_as == "FP8 e4m3 channel"
    assert "a scale for each row, by which it is multiplied" in model.open("l.weight").notices[0]
    comfy = {"l.weight": raw("F8_E4M3", codes), "l.scale_weight": raw("F32", SCALE),
             "scaled_fp8": raw("F8_E4M3", small(2))}  # fmt: skip
    model = opened(tmp_path / "b", comfy)
    assert np.array_equal(model.load("l.weight"), values * SCALE)
    assert model.open("l.weight").stored_as == "ComfyUI FP8 e4m3 tensor"
    assert not model.info("scaled_fp8").holds_weights


def test_stacked_experts_that_lie_with_their_inputs_first_are_told(tmp_path: Path) -> None:
    name, codes = "l.experts.gate_up_proj", small(2, 16, 24)
    scales = RNG.random((2, 1, 24)).astype(np.float32)
    model = opened(tmp_path, {name: raw("F8_E4M3", codes), f"{name}_scale": raw("F32", scales)})
    values = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32) * scales
    assert model.info(name).shape == (2, 24, 16)
    assert np.array_equal(model.load(name), values.transpose(0, 2, 1))
    assert np.array_equal(model.load(name, rows=(20, 30)), values.transpose(0, 2, 1).reshape(48, 16)[20:30])
    assert "keeps these experts as [in, out]" in model.open(name).notices[1]


@pytest.mark.parametrize("inputs", [16, 24])
def test_fbgemm_keeps_a_scale_a_row_of_what_stands_for_columns(tmp_path: Path, inputs: int) -> None:
    """Scales [experts, out, 1] of codes [experts, in, out]; where both are alike, the method's name decides."""
    name, codes = "l.experts.down_proj", small(2, inputs, 24)
    scales = RNG.random((2, 24, 1)).astype(np.float32)
    tensors = {name: raw("F8_E4M3", codes), f"{name}_scale": raw("F32", scales)}
    values = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    found = opened(tmp_path / "a", tensors, {"quant_method": "fbgemm_fp8"}).load(name)
    assert np.array_equal(found, values.transpose(0, 2, 1) * scales)
    if inputs == 24:
        assert np.array_equal(opened(tmp_path / "b", tensors).load(name), values * scales)


def test_the_rows_of_gpt_oss_are_said_to_alternate(tmp_path: Path) -> None:
    def layer(part: str) -> Tensors:
        name = f"l.experts.{part}_proj"
        return {f"{name}_blocks": raw("U8", small(2, 4, 2, 16)), f"{name}_scales": raw("U8", small(2, 4, 2))}

    model = opened(tmp_path, layer("gate_up") | layer("down"))
    assert "even ones are gate_proj's" in model.open("l.experts.gate_up_proj").notices[0]
    assert model.open("l.experts.down_proj").notices == ()
    assert model.open("l.experts.down_proj").stored_as == "MXFP4 g32"


def test_what_modelopt_does_to_inputs_is_told_and_kept_within_reach(tmp_path: Path) -> None:
    tensors = {
        "l.weight": raw("U8", small(8, 16)), "l.weight_scale": raw("F8_E4M3", small(8, 2)),
        "l.weight_scale_2": raw("F32", SCALE), "l.pre_quant_scale": raw("F32", np.ones(32, np.float32)),
        "l.svdquant_lora_a": raw("F32", np.ones((2, 32), np.float32)),
        "l.svdquant_lora_b": raw("F32", np.ones((8, 2), np.float32)),
    }  # fmt: skip
    stored = opened(tmp_path / "a", tensors).open("l.weight")
    assert "multiplied by pre_quant_scale" in stored.notices[0] and "svdquant_lora_a" in stored.notices[1]
    assert stored.layer.parts["pre_quant_scale"].info.name == "l.pre_quant_scale"
    tensors["l.pre_quant_scale"] = raw("F32", np.ones(31, np.float32))
    assert "its pre_quant_scale has 31 entries for 32 inputs" in refused(tmp_path / "b", tensors)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"l.weight_scale": None}, "the scales of its groups are not there"),
        ({"l.weight_scale": raw("F8_E4M3", small(8, 3))}, "do not fit its shape [8, 32]"),
        ({"l.weight_scale": raw("F8_E4M3", small(64))}, "do not fit its shape [8, 32]"),
        ({"l.weight_scale_2": raw("F32", np.ones(3, np.float32))}, "do not fit its shape"),
        ({"l.weight_scale_2": raw("F32", np.ones((8, 1), np.float32))}, "no single number"),
        ({"l.weight": raw("U8", small(2, 2, 2, 8))}, "quantviz reads matrices of such codes"),
        ({"l.weight_scale_2": raw("F32", np.array(np.nan, np.float32))}, "scales or zero points that are no numbers"),
        ({"l.weight_scale": raw("F8_E4M3", np.full((8, 2), 0x7F, np.uint8))}, "that are no numbers"),
        ({"l.weight_scale": raw("F32", np.ones((8, 2), np.float32))}, "which neither NVFP4 nor MX formats have"),
        ({"l.weight": ("F4", (8, 31), bytes(124))}, "end inside a byte"),
    ],
)  # fmt: skip
def test_damaged_nvfp4_is_refused(tmp_path: Path, change: dict, says: str) -> None:
    tensors = {"l.weight": raw("U8", small(8, 16)), "l.weight_scale": raw("F8_E4M3", small(8, 2)),
               "l.weight_scale_2": raw("F32", SCALE)}  # fmt: skip
    tensors = {name: t for name, t in (tensors | change).items() if t}
    assert says in refused(tmp_path, tensors, {"quant_method": "modelopt"})


def test_a_global_scale_of_nothing_is_refused(tmp_path: Path) -> None:
    tensors = {"l.weight_packed": raw("U8", small(8, 16)), "l.weight_scale": raw("F8_E4M3", small(8, 2) | 1),
               "l.weight_global_scale": raw("F32", np.zeros(1, np.float32))}  # fmt: skip
    assert "are no numbers" in refused(tmp_path, tensors)


@pytest.mark.parametrize("code", [0, 254])
def test_the_smallest_and_largest_power_of_two_are_scales_and_the_last_code_is_none(tmp_path: Path, code: int) -> None:
    tensors = {"l.weight": raw("U8", np.full((2, 16), 0x12, np.uint8)),
               "l.weight_scale": raw("U8", np.full((2, 1), code, np.uint8))}  # fmt: skip
    found = opened(tmp_path / "a", tensors).load("l.weight")
    assert found[0, 0] == np.float32(2.0 ** (code - 127)) and found[0, 1] == np.float32(2.0 ** (code - 128))
    tensors["l.weight_scale"] = raw("U8", np.full((2, 1), 255, np.uint8))
    assert "are no numbers" in refused(tmp_path / "b", tensors)


def test_weights_beyond_float32_are_infinite_without_a_warning(tmp_path: Path) -> None:
    """NumPy would write one to standard error, where nobody asked."""
    tensors = {"l.weight": raw("F8_E4M3", np.full((4, 32), 0x7E, np.uint8)),
               "l.weight_scale": raw("F32", np.full((4, 1), 3e38, np.float32))}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w = opened(tmp_path, tensors).load("l.weight")
    assert np.isinf(w).all()
    with pytest.raises(qv.QuantvizError):
        qv.evaluate(w, "int4-sym-b32")


def test_int4_of_modelopt_says_where_config_contradicts_it(tmp_path: Path) -> None:
    tensors = {"l.weight": raw("U8", small(4, 64)), "l.weight_scale": raw("F32", np.ones((8, 2), np.float32))}
    model = opened(tmp_path / "a", tensors, {"quant_method": "modelopt", "group_size": 16})
    assert model.open("l.weight").stored_as == "ModelOpt int4 AWQ g32"
    assert "groups of 16, and the shapes are those of 32" in model.open("l.weight").notices[0]
    tensors["l.weight_scale"] = raw("F32", np.ones((8, 3), np.float32))
    assert "do not fit its shape [8, 64]" in refused(tmp_path / "b", tensors)


def test_int8_without_the_zero_points_it_is_said_to_have_is_refused(tmp_path: Path) -> None:
    tensors = {"l.weight": raw("I8", small(8, 64)), "l.weight_scale": raw("F32", np.ones((8, 1), np.float32))}
    said = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"symmetric": False}}}}
    assert "its zero points are not there" in refused(tmp_path / "a", tensors, said)
    tensors["l.weight_zero_point"] = raw("I8", small(8, 2))
    assert "its zero points [8, 2] do not fit its scales [8, 1]" in refused(tmp_path / "b", tensors, said)
