"""Packed integers of compressed-tensors: what config.json contradicts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import Tensors
from tests.checkpoints.test_scaled_floats import opened, raw, refused

OUT, IN, GROUP = 16, 128, 32
RNG = np.random.default_rng(0)


def scheme(**said) -> dict:
    weights = {"num_bits": 4, "group_size": GROUP, "symmetric": True} | said
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


def layer(bits: int = 4, **more) -> Tensors:
    """With what is given by the ends of names put in place of its own, or left out for None."""
    words = RNG.integers(-(2**31), 2**31, (OUT, IN * bits // 32)).astype(np.int32)
    tensors = {
        "l.weight_packed": raw("I32", words),
        "l.weight_scale": raw("F32", np.ones((OUT, IN // GROUP), np.float32)),
        "l.weight_shape": raw("I64", np.array([OUT, IN])),
    }
    return {name: t for name, t in (tensors | {f"l.weight_{k}": t for k, t in more.items()}).items() if t}


def test_the_shapes_decide_how_many_bits_and_config_is_told_to_be_wrong(tmp_path: Path) -> None:
    tensors = layer()
    right = opened(tmp_path / "a", tensors, scheme()).load("l.weight")
    model = opened(tmp_path / "b", tensors, scheme(num_bits=8))
    assert np.array_equal(model.load("l.weight"), right)
    stored = model.open("l.weight")
    assert stored.stored_as == "compressed-tensors int4 g32 sym"
    assert "config.json says 8 bits, and the shapes are those of 4" in stored.notices[0]
    assert opened(tmp_path / "c", tensors, scheme()).open("l.weight").notices == ()
    for number, said in enumerate((None, {"config_groups": 7}, {"config_groups": {"a": {"weights": [1]}}},
                                   scheme(num_bits=True, group_size=-1), scheme(group_size=2**40))):  # fmt: skip
        found = opened(tmp_path / f"d{number}", tensors, said).load("l.weight")
        assert np.array_equal(found, right)


def test_a_config_that_fits_other_bits_and_groups_is_held_against_weight_shape(tmp_path: Path) -> None:
    model = opened(tmp_path, layer(), scheme(num_bits=8, group_size=16))
    with pytest.raises(qv.QuantvizError, match=r"weight_shape says 128 inputs, and config\.json's bits.* give 64"):
        model.load("l.weight")


def test_without_weight_shape_config_or_zero_points_tell(tmp_path: Path) -> None:
    tensors = layer()
    del tensors["l.weight_shape"]
    assert opened(tmp_path / "a", tensors, scheme()).info("l.weight").shape == (OUT, IN)
    assert "leave open, with its shapes alone, how many bits" in refused(tmp_path / "b", tensors)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"shape": raw("I64", np.array([OUT, 2**40]))}, "its weight_shape says [16, 1099511627776]"),
        ({"shape": raw("I64", np.array([OUT + 1, IN]))}, "its weight_shape says [17, 128]"),
        ({"shape": raw("I64", np.array([OUT, -1]))}, "its weight_shape says [16, -1]"),
        ({"shape": raw("I64", np.array([OUT, IN, 1]))}, "its weight_shape is I64 [3]"),
        ({"shape": raw("I64", np.array([OUT, 104]))}, "contradict each other"),
        ({"scale": None}, "its scales are not there"),
        ({"scale": raw("I32", np.ones((OUT, 4), np.int32))}, "its scales are not there, or are no floats"),
        ({"scale": raw("F32", np.ones((OUT, 5), np.float32))}, "contradict each other"),
        ({"scale": raw("F32", np.ones((OUT // 2, 4), np.float32))}, "do not fit its shape"),
        ({"scale": raw("F32", np.full((OUT, 4), np.nan, np.float32))}, "are no numbers"),
        ({"zero_point": raw("I32", np.ones((OUT, 4), np.int32))}, "contradict each other"),
        ({"zero_point": raw("I32", np.ones((2, 3), np.int32))}, "its zero points [2, 3] of I32 do not fit 4 bits"),
        ({"zero_point": raw("I64", np.ones((2, 4), np.int64))}, "its zero points [2, 4] of I64 do not fit 4 bits"),
        ({"g_idx": raw("I32", np.zeros(IN - 1, np.int32))}, "its g_idx [127] of I32 does not fit its 128 inputs"),
        ({"g_idx": raw("I32", np.full(IN, 4, np.int32))}, "names group 4, of 4; the file is damaged"),
        ({"g_idx": raw("I32", np.arange(IN, dtype=np.int32) - 1)}, "names group -1, of 4; the file is damaged"),
    ],
)  # fmt: skip
def test_contradictory_tensors_are_refused(tmp_path: Path, more: dict, says: str) -> None:
    assert says in refused(tmp_path, layer(**more))


def test_a_g_idx_of_nothing_but_minus_one_means_that_groups_follow_each_other(tmp_path: Path) -> None:
    scales = raw("F32", RNG.random((OUT, 4)).astype(np.float32))
    tensors = layer(scale=scales)
    right = opened(tmp_path / "a", tensors).load("l.weight")
    tensors["l.weight_g_idx"] = raw("I32", np.full(IN, -1, np.int32))
    assert np.array_equal(opened(tmp_path / "b", tensors).load("l.weight"), right)
    tensors["l.weight_g_idx"] = raw("I32", np.arange(IN, dtype=np.int32) // GROUP)
    model = opened(tmp_path / "c", tensors, scheme(actorder="group"))
    assert np.array_equal(model.load("l.weight"), right)
    assert model.open("l.weight").stored_as.endswith("int4 g32 sym act-order")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"actorder": "group"}, "its inputs are ordered (actorder), and weight_g_idx is not there"),
        ({"actorder": True}, "its inputs are ordered (actorder), and weight_g_idx is not there"),
        ({"symmetric": False}, "it is asymmetric, and its zero points are not there"),
    ],
)  # fmt: skip
def test_what_config_claims_and_the_tensors_lack_is_refused_by_name(tmp_path: Path, said: dict, says: str) -> None:
    assert says in refused(tmp_path / "a", layer(), scheme(**said))
    mixed = scheme(**said)
    mixed["config_groups"]["group_1"] = scheme()["config_groups"]["group_0"]
    assert opened(tmp_path / "b", layer(), mixed).load("l.weight").shape == (OUT, IN)


def test_groups_of_several_formats_are_each_read_as_their_tensors_say(tmp_path: Path) -> None:
    eight = {name.replace("l.", "m."): t for name, t in layer(8).items()}
    fp8 = {"n.weight": raw("F8_E4M3", RNG.integers(0, 0x60, (OUT, IN), np.uint8)),
           "n.weight_scale": raw("F32", np.ones((OUT, 1), np.float32))}  # fmt: skip
    said = scheme()
    said["config_groups"]["group_1"] = {"weights": {"num_bits": 8, "group_size": GROUP}, "format": "pack-quantized"}
    said |= {"format": "mixed-precision"}
    model = opened(tmp_path, layer() | eight | fp8, said)
    named = {info.name: info.dtype for info in model.tensors if info.holds_weights}
    assert named == {"l.weight": "compressed-tensors int4 g32 sym", "m.weight": "compressed-tensors int8 g32 sym",
                     "n.weight": "FP8 e4m3 channel"}  # fmt: skip
    assert not any("config.json" in notice for name in named for notice in model.open(name).notices)


@pytest.mark.parametrize("form", ["2:4 or sparse", "Marlin 2:4"])
def test_sparse_formats_are_refused_by_name(tmp_path: Path, form: str) -> None:
    sparse = {"l.weight.compressed": raw("F32", np.ones((4, 8), np.float32)),
              "l.weight.bitmask": raw("U8", np.ones((4, 2), np.uint8))}  # fmt: skip
    marlin = {"l.weight_packed": raw("I32", np.ones((4, 8), np.int32)),
              "l.scale_packed": raw("F32", np.ones((4, 1), np.float32))}  # fmt: skip
    tensors = sparse if form == "2:4 or sparse" else marlin
    assert f"stored as compressed-tensors {form}" in refused(tmp_path, tensors)
