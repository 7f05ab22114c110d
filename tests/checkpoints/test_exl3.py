"""EXL3: its codebooks and bits by name, rows in any parts, and damaged files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import Case, load

CASES = {case.name: case for file in ("exl3", "exl3_more") for case in load(file)[2]}
BASE = "model.layers.0.self_attn.q_proj."


def case_with(name: str, **parts: tuple | None) -> Case:
    tensors = CASES[name].tensors | {BASE + part: tensor for part, tensor in parts.items()}
    return replace(CASES[name], tensors={name: tensor for name, tensor in tensors.items() if tensor})


@pytest.mark.parametrize(
    ("name", "stored_as"),
    [("1-mcg-128x128", "EXL3 1 bit mcg"), ("3-plain-128x128", "EXL3 3 bits"), ("5-mul1-128x128", "EXL3 5 bits mul1"),
     ("2-plain-signs-128x128", "EXL3 2 bits")],
)  # fmt: skip
def test_a_layer_is_called_by_its_bits_and_codebook(tmp_path: Path, name: str, stored_as: str) -> None:
    model = qv.open_model(CASES[name].write(tmp_path))
    info = model.info(BASE + "weight")
    assert info.dtype == stored_as
    assert info.bits_per_weight == 8 * CASES[name].nbytes / 128**2
    stored = model.open(BASE + "weight")
    assert stored.layer.levels is None and stored.unpacked(0, 128).codes is None, "no code is a weight's own"
    assert qv.evaluate(stored, "int4-sym-b32").metrics["sqnr_db"] > 10


def test_the_first_codebook_is_taken_where_none_is_named(tmp_path: Path) -> None:
    named, bare = CASES["4-mcg-128x128"], case_with("4-mcg-128x128", mcg=None)
    first, second = (qv.open_model(each.write(tmp_path / str(i))) for i, each in enumerate((named, bare)))
    assert second.info(BASE + "weight").dtype == "EXL3 4 bits"
    assert not np.allclose(first.load(BASE + "weight"), second.load(BASE + "weight"))


def test_signs_count_for_nothing_where_the_numbers_are_there(tmp_path: Path) -> None:
    signs = ("I16", (8,), b"\xff" * 16)
    case = case_with("3-plain-128x128", su=signs)
    found = qv.open_model(case.write(tmp_path)).load(BASE + "weight")
    assert np.array_equal(found.astype(np.float16), case.expected)


@pytest.mark.parametrize(("parts", "match"), [
    ({"trellis": ("I16", (8, 8, 8), bytes(1024))}, r"a trellis is .*, not \[8, 8, 8\]"),
    ({"trellis": ("I16", (8, 8, 144), bytes(18432))}, r"a trellis is .*, not \[8, 8, 144\]"),
    ({"trellis": ("I32", (8, 8, 16), bytes(4096))}, "a trellis is .* of int16"),
    ({"trellis": ("I16", (8, 1024), bytes(16384))}, "a trellis is "),
    ({"trellis": ("I16", (4, 8, 48), bytes(3072))}, r"its shape \[128, 64\] is no multiple of 128"),
    ({"mul1": ("I32", (), bytes(4)), "mcg": ("I32", (), bytes(4))}, "two codebooks, mcg and mul1"),
    ({"suh": None}, "its suh is not there"),
    ({"svh": ("F16", (64,), bytes(128))}, r"its svh is float16 \[64\], for 128 weights"),
    ({"suh": ("F32", (128,), bytes(512))}, "its suh is float32"),
    ({"suh": None, "su": ("I16", (128,), bytes(256))}, r"its suh is I16 \[128\]"),
])  # fmt: skip
def test_tensors_that_contradict_each_other_are_refused(tmp_path: Path, parts: dict, match: str) -> None:
    model = qv.open_model(case_with("3-plain-128x128", **parts).write(tmp_path))
    with pytest.raises(qv.QuantvizError, match="stored as EXL3.* codes, not weights, and .*" + match) as said:
        model.open(BASE + "trellis")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("part", ["suh", "svh"])
@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_factors_that_are_no_numbers_are_refused(tmp_path: Path, part: str, wrong: float) -> None:
    factors = np.ones(128, np.float16)
    factors[77] = wrong
    model = qv.open_model(case_with("3-plain-128x128", **{part: ("F16", (128,), factors.tobytes())}).write(tmp_path))
    with pytest.raises(qv.QuantvizError, match="so the file is damaged"):
        model.load(BASE + "weight")
