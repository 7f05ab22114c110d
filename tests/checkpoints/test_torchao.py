"""torchao: what a file's metadata may claim, and where they are kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed, empty, refusal
from tests.checkpoints.golden import Case
from tests.sources.builders import with_header

MX = "mx torch.float8_e4m3fn 24x96"
SWIZZLED = "nvfp4 130x160 swizzled two scales"


def with_said(case: Case, **said) -> Case:
    kept = json.loads(case.metadata["l.weight"])
    kept = {**kept, **{k: v for k, v in said.items() if k.startswith("_")}}
    kept["_data"] = {**kept["_data"], **{k: v for k, v in said.items() if not k.startswith("_")}}
    return changed(case, metadata={**case.metadata, "l.weight": json.dumps(kept)})


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"_type": "Int4TilePackedTo4dTensor"}, "quantviz does not read torchao's Int4TilePackedTo4dTensor"),
        ({"_type": "os.system('x')"}, "nothing says which of torchao's kinds it is"),
        ({"_type": ["MXTensor"]}, "nothing says which of torchao's kinds it is"),
        ({"_type": "Int8Tensor"}, "are not those of torchao's Int8Tensor"),
        ({"_type": "Int4Tensor"}, "do not fit"),
        ({"block_size": 0}, "no length of a block that divides its rows"),
        ({"block_size": 36}, "no length of a block that divides its rows"),
        ({"block_size": 16}, "do not fit its 24 rows of 96 weights"),
        ({"block_size": 2**200}, "no length of a block that divides its rows"),
        ({"is_swizzled_scales": 1}, "no length of a block that divides its rows"),
        ({"is_swizzled_scales": True}, "do not fit its 24 rows of 96 weights"),
    ],
)
def test_what_metadata_claim_wrongly_is_refused(tmp_path: Path, said: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, with_said(case_of("torchao", MX), **said))


@pytest.mark.parametrize("text", ["{", "[]", "[" * 60_000, '{"a": NaN}', " " * 70_000])
def test_metadata_that_are_no_json_are_refused(tmp_path: Path, text: str) -> None:
    case = case_of("torchao", MX)
    assert "what the file's metadata say of it" in refusal(tmp_path, changed(case, metadata={"l.weight": text}))


def test_four_bits_without_metadata_are_refused_and_eight_are_known_by_their_types(tmp_path: Path) -> None:
    case = changed(case_of("torchao", "int4 24x96"), metadata={})
    assert "nothing says which of torchao's kinds it is" in refusal(tmp_path / "a", case)
    model = qv.open_model(case_of("torchao", "float8 without metadata").write(tmp_path / "b"))
    assert model.info("l.weight").dtype == "torchao fp8_e4m3 channel"


def test_swizzled_scales_are_read_where_they_lie(tmp_path: Path) -> None:
    case = case_of("torchao", SWIZZLED)
    model = qv.open_model(case.write(tmp_path))
    assert np.array_equal(model.load("l.weight", rows=(127, 130)), case.expected[127:])
    assert model.info("l.weight").dtype == "torchao nvfp4 g16 swizzled"


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        ("int8 row ASYM", {"l._weight_zero_point": empty("I8", 23, 1)}),
        ("int8 row ASYM", {"l._weight_scale": empty("F32", 24, 7)}),
        ("torch.float8_e4m3fn row", {"l._weight_scale": empty("F32", 23, 1)}),
        ("torch.float8_e4m3fn row", {"l._weight_scale": empty("F32", 24)}),
        ("int4 24x96", {"l._weight_scale": empty("BF16", 24, 3)}),
        (SWIZZLED, {"l._weight_scale": empty("F8_E4M3", 130, 10)}),
        (SWIZZLED, {"l._weight_per_tensor_scale": empty("F32", 2)}),
    ],
)
def test_shapes_that_contradict_each_other_are_refused(tmp_path: Path, name: str, tensors: dict) -> None:
    assert "fit" in refusal(tmp_path, changed(case_of("torchao", name), tensors))


def test_metadata_of_one_file_several_and_the_hub_are_kept(hub, tmp_path: Path) -> None:
    case = case_of("torchao", MX)
    content = (case.write(tmp_path / "a") / "model.safetensors").read_bytes()
    line = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    other = with_header({"__metadata__": {"format": "pt"}, "x": line}, bytes(4))
    index = {"weight_map": dict.fromkeys(case.tensors, "a.safetensors") | {"x": "b.safetensors"}}
    files = {
        "a.safetensors": content,
        "b.safetensors": other,
        "model.safetensors.index.json": json.dumps(index).encode(),
    }
    (tmp_path / "b").mkdir()
    for name, data in files.items():
        (tmp_path / "b" / name).write_bytes(data)
    hub.add_repo("org/name", files)
    for ref in (tmp_path / "b", tmp_path / "b" / "model.safetensors.index.json", "hf:org/name"):
        model = qv.open_model(ref)
        assert model.metadata == {**case.metadata, "format": "pt"}
        assert np.array_equal(model.load("l.weight"), case.expected)


def test_metadata_cost_of_the_budget_for_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from quantviz.sources import budget

    (tmp_path / "a.safetensors").write_bytes(with_header({"__metadata__": {"a": "x" * 2000}}))
    assert qv.open_model(tmp_path / "a.safetensors").metadata == {"a": "x" * 2000}
    monkeypatch.setattr(budget, "MAX_TEXT", 1000)
    with pytest.raises(qv.QuantvizError, match="claims over"):
        qv.open_model(tmp_path / "a.safetensors")


def test_a_scale_of_the_inputs_is_told_and_counted(tmp_path: Path) -> None:
    case = case_of("torchao", "int8 row ASYM")
    model = qv.open_model(changed(case, {"l._weight_act_pre_scale": empty("BF16", 96)}).write(tmp_path))
    (notice,) = model.open("l.weight").notices
    assert "act_pre_scale" in notice and model.info("l.weight").nbytes == case.nbytes + 192


def test_scales_beyond_float32_give_no_numbers(tmp_path: Path) -> None:
    case = case_of("torchao", SWIZZLED)
    beyond = ("F32", (), np.float32(3e38).tobytes())
    assert "no numbers" in refusal(tmp_path, changed(case, {"l._weight_per_tensor_scale": beyond}))
