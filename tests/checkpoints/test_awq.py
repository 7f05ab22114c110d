"""AWQ: its two layouts told apart, what config.json says against the shapes, and damaged files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import Case, load

CASES = {case.name: case for case in load("awq")[2]}


def case_with(name: str, settings: dict | None = None, **parts: tuple | None) -> Case:
    case = CASES[name]
    base = case.weight.removesuffix("weight")
    tensors = case.tensors | {base + part: tensor for part, tensor in parts.items()}
    said = case.config.get("config.json", {}).get("quantization_config", {}) | (settings or {})
    tensors = {name: tensor for name, tensor in tensors.items() if tensor}
    return replace(case, tensors=tensors, config={"config.json": {"quantization_config": said}})


def refused(folder: Path, case: Case, match: str) -> None:
    model = qv.open_model(case.write(folder))
    name = case.weight if any(t.name == case.weight for t in model.tensors) else case.weight[:-6] + "qweight"
    with pytest.raises(qv.QuantvizError, match=match) as said:
        model.load(name)
    assert "\n" not in str(said.value) and len(str(said.value)) < 500


@pytest.mark.parametrize(
    ("name", "stored_as"),
    [("autoawq", "AWQ int4 g64"), ("channel", "AWQ int4 channel"), ("gptqmodel-3", "AWQ int3 g16"),
     ("gemv-128", "AWQ int4 g128 gemv"), ("gemv-no-config", "AWQ int4 g128 gemv")],
)  # fmt: skip
def test_a_layer_is_called_what_it_is(tmp_path: Path, name: str, stored_as: str) -> None:
    info = qv.open_model(CASES[name].write(tmp_path)).info(CASES[name].weight)
    assert (info.dtype, info.notices) == (stored_as, ())


@pytest.mark.parametrize("name", ["autoawq", "gemv-128"])
def test_where_config_says_other_bits_or_groups_the_tensors_decide_and_it_is_told(tmp_path: Path, name: str) -> None:
    case = case_with(name, {"bits": 3, "group_size": 48, "version": "gemv" if name == "autoawq" else "gemm"})
    model = qv.open_model(case.write(tmp_path))
    assert np.array_equal(model.load(case.weight).astype(np.float16), case.expected)
    assert [said.split(",")[0] for said in model.info(case.weight).notices] == [
        "config.json says 3 bits", "config.json says groups of 48"]  # fmt: skip


def test_rows_of_gemv_travel_alone_and_those_of_gemm_whole(tmp_path: Path) -> None:
    for name, every in (("autoawq", 0), ("gemv-64", 1)):
        stored = qv.open_model(CASES[name].write(tmp_path / name)).open(CASES[name].weight)
        assert {part.every for part in stored.layer.parts.values()} == {every}


def test_codes_and_their_order_are_told(tmp_path: Path) -> None:
    case = CASES["autoawq"]
    stored = qv.open_model(case.write(tmp_path)).open(case.weight)
    codes = stored.unpacked(0, 72).codes
    words = np.frombuffer(case.tensors[case.weight[:-6] + "qweight"][2], np.uint32).reshape(128, 9)
    for at, output in enumerate(stored.layer.fields[0].order):
        assert np.array_equal(codes[8 * 5 + output], words[:, 5] >> np.uint32(4 * at) & np.uint32(15))


@pytest.mark.parametrize("parts", [
    {"qzeros": None}, {"qzeros": ("I32", (3, 9), bytes(108))}, {"qzeros": ("I32", (2, 8), bytes(64))},
    {"scales": ("F16", (2, 70), bytes(280))}, {"scales": ("I32", (2, 72), bytes(576))},
    {"scales": ("F16", (72,), bytes(144))},
    {"qweight": ("I64", (128, 9), bytes(128 * 72))}, {"qweight": ("I32", (1, 9), bytes(36))},
])  # fmt: skip
def test_tensors_that_contradict_each_other_are_refused(tmp_path: Path, parts: dict) -> None:
    refused(tmp_path, case_with("autoawq", **parts), "is stored as .* codes, not weights, and ")


def test_scales_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    for name in ("autoawq", "gemv-64"):
        dtype, shape, content = CASES[name].tensors[CASES[name].weight[:-6] + "scales"]
        bad = ("F16", shape, np.full(len(content) // 2, np.inf, np.float16).tobytes())
        refused(tmp_path / name, case_with(name, scales=bad), "no numbers, so the file is")


def test_groups_that_nothing_places_are_refused(tmp_path: Path) -> None:
    case = case_with("gemv-no-config")
    qzeros, scales = ("I32", (8, 7), bytes(224)), ("F16", (8, 56), bytes(896))
    refused(tmp_path, replace(case, tensors=case_with("gemv-no-config", qzeros=qzeros, scales=scales).tensors),
            "nothing says how long the groups of its 2,048 inputs are")  # fmt: skip
