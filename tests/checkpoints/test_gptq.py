"""GPTQ: what config.json says against what the tensors are, the order of inputs, and damaged files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import Case, load

CASES = {case.name: case for case in load("gptq")[2]}


def case_with(name: str, settings: dict | None = None, **parts: tuple | None) -> Case:
    """A golden layer with some of config.json, or of its tensors, exchanged; None leaves a tensor out."""
    case = CASES[name]
    base = case.weight.removesuffix("weight")
    tensors = case.tensors | {base + part: tensor for part, tensor in parts.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    config = case.config
    if settings is not None:
        said = case.config["config.json"]["quantization_config"] | settings
        config = {"config.json": {"quantization_config": said}}
    return replace(case, tensors=tensors, config=config)


def opened(folder: Path, case: Case) -> tuple:
    model = qv.open_model(case.write(folder))
    return model.load(case.weight), model.info(case.weight)


def refused(folder: Path, case: Case, match: str) -> None:
    """Whether the codes are listed as such or the weight fails when it is read: in one sentence."""
    model = qv.open_model(case.write(folder))
    codes = case.weight.removesuffix("weight") + "qweight"
    name = case.weight if any(t.name == case.weight for t in model.tensors) else codes
    with pytest.raises(qv.QuantvizError, match=match) as said:
        model.load(name)
    assert "\n" not in str(said.value) and len(str(said.value)) < 500


@pytest.mark.parametrize(
    ("name", "stored_as"),
    [("auto-round-less-one-4", "GPTQ int4 g32"), ("v1-act-order-3", "GPTQ int3 g32 act-order"),
     ("v1-channel", "GPTQ int4 channel"), ("v1-short-group", "GPTQ int4 g64"), ("v1-dynamic", "GPTQ int8 g16"),
     ("planar-5", "GPTQ int5 g32 act-order planar"), ("no-config", "GPTQ int3 g32")],
)  # fmt: skip
def test_a_layer_is_called_what_it_is_and_nothing_is_told_where_all_agree(tmp_path, name: str, stored_as: str) -> None:
    _, info = opened(tmp_path, CASES[name])
    assert (info.dtype, info.notices) == (stored_as, ())


def test_where_config_says_other_bits_or_groups_the_tensors_decide_and_it_is_told(tmp_path: Path) -> None:
    found, info = opened(tmp_path, case_with("auto-round-less-one-4", {"bits": 8, "group_size": 128}))
    assert np.array_equal(found.astype(np.float16), CASES["auto-round-less-one-4"].expected)
    bits, groups = info.notices
    assert bits == "config.json says 8 bits, and the shapes are those of 4: they decide."
    assert groups == "config.json says groups of 128, and the shapes are those of groups of 32: they decide."


@pytest.mark.parametrize("said", [{"bits": "four", "group_size": [1]}, {"bits": 2**70, "group_size": -(2**70)},
                                  {"dynamic": 7, "extra_config": {"x": 3}}, {"group_size": 0}])  # fmt: skip
def test_nonsense_in_config_does_no_harm(tmp_path: Path, said: dict) -> None:
    found, _ = opened(tmp_path, case_with("auto-round-less-one-4", said))
    assert np.array_equal(found.astype(np.float16), CASES["auto-round-less-one-4"].expected)


def test_version_1_stores_zero_points_less_one_and_0_as_the_largest_code(tmp_path: Path) -> None:
    case = CASES["auto-round-less-one-4"]
    first, _ = opened(tmp_path / "a", case)
    second, _ = opened(tmp_path / "b", case_with(case.name, {"packing_format": "auto_round"}))
    scales = np.frombuffer(case.tensors[case.weight.replace("weight", "scales")][2], np.float16).reshape(3, -1)
    assert np.array_equal((second - first), np.repeat(scales.T.astype(np.float32), 32, axis=1))
    base = case.weight.removesuffix("weight")
    zeros = case.tensors[base + "qzeros"]
    largest = case_with(case.name, qzeros=(*zeros[:2], b"\xff" * len(zeros[2])))
    smallest = case_with(case.name, {"packing_format": "auto_round"}, qzeros=(*zeros[:2], bytes(len(zeros[2]))))
    assert np.array_equal(opened(tmp_path / "c", largest)[0], opened(tmp_path / "d", smallest)[0])


def test_order_by_activation_needs_a_g_idx(tmp_path: Path) -> None:
    refused(tmp_path / "a", case_with("v1-act-order-4", g_idx=None), r"GPTQ: .*\(desc_act\), and it has no g_idx; open")
    found, _ = opened(tmp_path / "b", case_with("v1-channel", {"desc_act": True}))
    assert np.array_equal(found.astype(np.float16), CASES["v1-channel"].expected), "one group has no order"


def test_groups_that_nothing_places_are_refused(tmp_path: Path) -> None:
    case = case_with("v1-short-group", {"group_size": None}, g_idx=None)
    refused(tmp_path, case, "nothing says where the 3 groups of its 160 inputs begin")


@pytest.mark.parametrize("wrong", [-1, 5, 2**31 - 1])
def test_a_g_idx_out_of_range_is_refused(tmp_path: Path, wrong: int) -> None:
    idx = np.zeros(160, np.int32)
    idx[7] = wrong
    case = case_with("v1-act-order-4", g_idx=("I32", (160,), idx.tobytes()))
    refused(tmp_path, case, f"names group {wrong:,}, where there are 5; the file is damaged")


def test_scales_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    case = CASES["v1-channel"]
    dtype, shape, content = case.tensors[case.weight.replace("weight", "scales")]
    bad = np.frombuffer(content, np.float16).copy()
    bad[5] = np.nan
    refused(tmp_path, case_with("v1-channel", scales=(dtype, shape, bad.tobytes())), "no numbers, so the file is")


@pytest.mark.parametrize("parts", [
    {"qzeros": ("I32", (1, 3), bytes(12))}, {"qzeros": ("I32", (2, 4), bytes(32))}, {"g_idx": ("I32", (7,), bytes(28))},
    {"g_idx": ("I32", (1, 128), bytes(512))}, {"scales": ("F16", (1, 31), bytes(62))},
    {"g_idx": ("F32", (128,), bytes(512))},
    {"qzeros": None}, {"qzeros": ("I16", (1, 8), bytes(16))}, {"scales": ("I32", (1, 32), bytes(128))},
    {"scales": ("F16", (32,), bytes(64))}, {"qweight": ("I32", (16, 2, 16), bytes(2048))},
])  # fmt: skip
def test_tensors_that_contradict_each_other_are_refused(tmp_path: Path, parts: dict) -> None:
    refused(tmp_path, case_with("v1-channel", **parts), "is stored as .* codes, not weights, and ")


@pytest.mark.parametrize(
    ("said", "name"),
    [({"checkpoint_format": "marlin"}, "marlin"), ({"is_marlin_format": True}, "marlin"),
     ({"checkpoint_format": "bitblas"}, "bitblas"), ({"format": ["x"]}, "x")],
)  # fmt: skip
def test_layouts_in_another_order_are_refused_by_name(tmp_path: Path, said: dict, name: str) -> None:
    refused(tmp_path, case_with("v1-channel", said), f"names their layout .*{name}.*, in which")


def test_codes_say_what_they_stand_for(tmp_path: Path) -> None:
    case = CASES["auto-round-4"]
    stored = qv.open_model(case.write(tmp_path)).open(case.weight)
    taken = stored.unpacked(3, 9)
    assert taken.codes.max() <= 15 and stored.layer.levels.tolist() == list(range(16))
    by_hand = (taken.codes - np.repeat(taken.zeros, 32, axis=1)) * np.repeat(taken.scales, 32, axis=1)
    assert np.array_equal(by_hand.astype(np.float16), case.expected[3:9])
    assert stored.layer.fields[0].order == tuple(range(8))


@pytest.mark.parametrize("name", ["v1-act-order-2", "v1-act-order-3", "v1-act-order-4", "v1-act-order-8"])
@pytest.mark.parametrize(("outputs", "inputs"), [(24, 160), (32, 90), (7, 33), (1, 160)])
def test_words_that_are_not_full_are_read(tmp_path: Path, name: str, outputs: int, inputs: int) -> None:
    base, bits, parts = CASES[name].weight.removesuffix("weight"), int(name[-1]), {}
    needed = {"qweight": (-(-inputs * bits // 32), outputs), "qzeros": (5, -(-outputs * bits // 32)),
              "scales": (5, outputs), "g_idx": (inputs,)}  # fmt: skip
    for part, shape in needed.items():
        dtype, whole, content = CASES[name].tensors[base + part]
        stored = np.frombuffer(content, np.float16 if dtype == "F16" else np.int32).reshape(whole)
        cut = stored[tuple(slice(n) for n in shape)]
        parts[part] = dtype, cut.shape, cut.tobytes()
    found, _ = opened(tmp_path, case_with(name, **parts))
    assert np.array_equal(found.astype(np.float16), CASES[name].expected[:outputs, :inputs])


def test_a_rotation_is_told_and_its_matrix_belongs_to_the_layer(tmp_path: Path) -> None:
    matrix = ("F32", (4, 4), np.eye(4, dtype=np.float32).tobytes())
    case = case_with("v1-channel", {"rotation_config": {"block_size": 4}}, hadamard_matrix=matrix)
    found, info = opened(tmp_path, case)
    assert np.array_equal(found.astype(np.float16), CASES["v1-channel"].expected) and info.nbytes == case.nbytes
    (said,) = info.notices
    assert said.startswith("config.json says that inputs are rotated (rotation_config): these weights are those of")
