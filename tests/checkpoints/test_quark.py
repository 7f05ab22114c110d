"""Quark's 4-bit integers: what config.json may say of them, or leave out."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed, empty, refusal
from tests.checkpoints.golden import Case

GROUPS, ROWS = "Uint4PerGroup asym reorder", "Int4PerChannel sym order"


def said(case: Case, **settings: Any) -> Case:
    """With some of config.json's settings replaced."""
    kept = deepcopy(case.config["config.json"]["quantization_config"]) | settings
    return changed(case, config={"quantization_config": kept})


def weights(kind: Any) -> dict[str, Any]:
    return {"weight": {"dtype": kind}}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"export": {}}, "in which order eight of them lie"),
        ({"export": {"pack_method": ["order"]}}, "in which order eight of them lie"),
        ({"export": 7}, "in which order eight of them lie"),
        ({"global_quant_config": None}, "does not say whether they are int4 or uint4"),
        ({"global_quant_config": weights("fp8_e4m3")}, "does not say whether they are int4 or uint4"),
        ({"global_quant_config": weights([4])}, "does not say whether they are int4 or uint4"),
        ({"layer_quant_config": {"*down*": weights("int4")}}, "speaks of both int4 and uint4"),
        ({"layer_type_quant_config": {"Linear": {"weight": [{"dtype": "fp8_e4m3"}, {"dtype": "int4"}]}}},
         "quantized twice"),
    ],
)  # fmt: skip
def test_settings_that_leave_something_open_are_refused(tmp_path: Path, settings: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, said(case_of("quark", GROUPS), **settings))


@pytest.mark.parametrize(
    ("name", "tensors", "sentence"),
    [
        (GROUPS, {"l.weight_zero_point": empty("I32", 4, 5)}, "contradict each other"),
        (GROUPS, {"l.weight_zero_point": empty("F32", 4, 48)}, "float scales and packed zero points"),
        (GROUPS, {"l.weight_scale": ("F32", (3, 48), bytes(576))}, "contradict each other"),
        (ROWS, {"l.weight_zero_point": empty("I32", 5)}, "contradict each other"),
        (ROWS, {"l.weight_scale": empty("I32", 48)}, "float scales and packed zero points"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, name: str, tensors: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(case_of("quark", name), tensors))


def test_settings_of_layers_that_are_not_packed_so_count_for_nothing(tmp_path: Path) -> None:
    case = case_of("quark", GROUPS)
    other = said(case, layer_quant_config={"lm_head": weights("fp8_e4m3"), "*gate*": None})
    assert np.array_equal(qv.open_model(other.write(tmp_path)).load("l.weight"), case.expected)


def test_symmetric_codes_need_no_zero_points(tmp_path: Path) -> None:
    case = case_of("quark", "Int4PerGroup sym order")
    alone = qv.open_model(changed(case, without=("_zero_point",)).write(tmp_path)).open("l.weight")
    assert np.array_equal(alone.numpy(), case.expected) and alone.layer.rule == "weight = code × scale"
