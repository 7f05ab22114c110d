"""A layer of which a part is lost is refused in a sentence: what is left of it is never measured as weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed, refusal
from tests.checkpoints.golden import Case, load

# Codes that lie in a type of floats: nothing but what is beside them tells that they are no weights.
AS_FLOATS = [
    pytest.param(case, part, id=f"{file}-{case.name}-{part}")
    for file, begin in (("bitsandbytes", ("nf4 g32 24x128 in bfl", "fp4 g128 nested 24x128")), ("quanto", "qfloat8"))
    for case in load(file)[2]
    if case.name.startswith(begin)
    for part in case.tensors
    if part.endswith(("absmax", "quant_state.bitsandbytes__nf4", "quant_state.bitsandbytes__fp4", "_scale"))
    and not part.endswith(("put_scale", "nested_absmax"))
]


@pytest.mark.parametrize("case, part", AS_FLOATS)
@pytest.mark.parametrize("told", [True, False])
def test_codes_kept_as_floats_are_no_weights_without_a_part(tmp_path: Path, case: Case, part: str, told: bool) -> None:
    said = refusal(tmp_path, changed(case, without=(part,), config=None if told else {}))
    assert "elements are codes, not weights" in said and ("not beside it" in said or "absmax" in said)


def test_one_of_bitsandbytes_parts_is_enough_to_tell_its_codes(tmp_path: Path) -> None:
    case = case_of("bitsandbytes", "nf4 g32 24x128 in bfloat16")
    left = {n: t for n, t in case.tensors.items() if n in ("l.weight", "l.weight.quant_map")}
    assert "is stored as bitsandbytes 4-bit" in refusal(tmp_path, replace(case, tensors=left))


def test_torchao_misses_what_its_metadata_name(tmp_path: Path) -> None:
    case = case_of("torchao", "nvfp4 24x96 two scales")
    said = refusal(tmp_path, changed(case, without=("_per_tensor_scale",)))
    assert "the file's metadata name its per_tensor_scale, which is not there" in said


def test_torchao_names_one_scale_where_there_is_one(tmp_path: Path) -> None:
    case = case_of("torchao", "nvfp4 24x96 one scale")
    layer = qv.open_model(case.write(tmp_path)).open("l.weight").layer
    assert layer.rule.endswith("scale of its block") and [f.part for f in layer.fields] == ["qdata", "scale"]


def test_quarks_codes_without_a_sign_need_zero_points(tmp_path: Path) -> None:
    case = case_of("quark", "Uint4PerGroup asym reorder float32")
    assert "its zero points are not there" in refusal(tmp_path, changed(case, without=("_zero_point",)))


def test_a_codebook_that_only_config_json_names_is_told(tmp_path: Path) -> None:
    case = case_of("exl3", "1-mcg")
    config = {"quantization_config": {"quant_method": "exl3", "bits": 1.0, "codebook": "mcg"}}
    whole = qv.open_model(changed(case, config=config).write(tmp_path / "whole"))
    lost = qv.open_model(changed(case, without=(".mcg",), config=config).write(tmp_path / "lost"))
    assert not whole.open(case.weight).layer.notices
    assert "the codebook is mcg, and the tensors beside this one say 3inst" in lost.open(case.weight).layer.notices[0]
    assert not np.array_equal(whole.load(case.weight), lost.load(case.weight))


@pytest.mark.parametrize("file, name, part", [("gptq", "auto-round-4", ".scales"), ("mlx", "int4 g64", ".scales")])
def test_words_without_scales_are_codes_in_a_model_that_says_so(
    tmp_path: Path, file: str, name: str, part: str
) -> None:
    case = changed(case_of(file, name), without=(part, ".biases"))
    assert "nothing beside them says what they stand for" in refusal(tmp_path / "a", case)
    model = qv.open_model(case.write(tmp_path / "b"))
    assert not any("none of its tensors holds codes" in told for info in model.tensors for told in info.notices)
