"""MLX: bits and groups that config.json says and the shapes allow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed, empty, refusal

CASE = "int4 g64 12x256"  # 32 words and 4 groups a row: also 2 bits in groups of 128, and 8 in groups of 32


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, "config.json does not say which"),
        ({"bits": 3, "group_size": 64}, "config.json says 3 bits in groups of 64"),
        ({"bits": "4", "group_size": 64}, "does not say which"),
        ({"bits": 4, "group_size": 64, "model.l": {"bits": 5}}, "config.json says 5 bits in groups of 64"),
        ({"bits": 2**70, "group_size": -(2**70)}, "config.json says"),
    ],
)
def test_where_shapes_allow_several_and_config_says_none_it_is_refused(
    tmp_path: Path, said: dict, sentence: str
) -> None:
    found = refusal(tmp_path, changed(case_of("mlx", CASE), config={"quantization": said or {"mode": "affine"}}))
    assert "2 bits in groups of 128 or 4 bits in groups of 64 or 8 bits in groups of 32" in found and sentence in found


def test_where_shapes_allow_one_alone_it_counts_and_a_contradiction_is_told(tmp_path: Path) -> None:
    case = case_of("mlx", "int5 g32 12x256")
    model = qv.open_model(changed(case, config={}).write(tmp_path / "a"))
    assert np.array_equal(model.load("model.l.weight"), case.expected) and not model.info("model.l.weight").notices
    model = qv.open_model(changed(case, config={"quantization": {"bits": 4, "group_size": 64}}).write(tmp_path / "b"))
    assert np.array_equal(model.load("model.l.weight"), case.expected)
    (notice,) = model.open("model.l.weight").notices
    assert notice.startswith(
        "config.json says 4 bits in groups of 64, and the shapes are those of 5 bits in groups of 32"
    )


def test_what_config_kept_of_the_model_it_was_converted_from_does_not_count(tmp_path: Path) -> None:
    case = case_of("mlx", CASE)
    both = {"quantization": {"bits": 4, "group_size": 64}, "quantization_config": {"quant_method": "fp8"}}
    assert np.array_equal(
        qv.open_model(changed(case, config=both).write(tmp_path)).load("model.l.weight"), case.expected
    )


def test_each_layer_s_own_settings_count(tmp_path: Path) -> None:
    model = qv.open_model(case_of("mlx", "int8 g32 12x128 biases per layer").write(tmp_path))
    assert model.info("model.l.weight").dtype == "MLX int8 g32"


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"model.l.scales": empty("F16", 12, 5), "model.l.biases": empty("F16", 12, 5)}, "do not fit"),
        ({"model.l.scales": empty("F16", 11, 4), "model.l.biases": empty("F16", 11, 4)}, "do not fit"),
        ({"model.l.biases": empty("F16", 12, 2)}, "differ in shape"),
        ({"model.l.biases": empty("I32", 12, 4)}, "no floats of 16 or 32 bits"),
        (
            {
                "model.l.weight": empty("U32", 12, 64),
                "model.l.scales": empty("F16", 12, 128),
                "model.l.biases": empty("F16", 12, 128),
            },
            "those of no number of bits",
        ),
        ({"model.l.weight": empty("U32", 384)}, "do not fit"),
    ],
)
def test_shapes_that_contradict_each_other_are_refused(tmp_path: Path, tensors: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(case_of("mlx", CASE), tensors))


def test_small_floats_need_their_scales(tmp_path: Path) -> None:
    case = case_of("mlx", "mxfp4 12x96")
    wrong = changed(case, {"model.l.scales": empty("F32", 12, 3)})
    assert "not those of mxfp4, mxfp8 or nvfp4" in refusal(tmp_path / "a", wrong)
    nan = changed(case, {"model.l.scales": ("U8", (12, 3), b"\xff" * 36)})
    assert "no numbers" in refusal(tmp_path / "b", nan)
