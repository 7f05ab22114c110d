"""AQLM: names, rows, and damaged files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.golden import Case, load

CASES = {case.name: case for case in load("aqlm")[2]}
BASE = "model.layers.0.self_attn.q_proj."


def case_with(name: str, **parts: tuple | None) -> Case:
    tensors = CASES[name].tensors | {BASE + part: tensor for part, tensor in parts.items()}
    return replace(CASES[name], tensors={name: tensor for name, tensor in tensors.items() if tensor})


def test_a_layer_is_called_by_its_codebooks_and_its_rows_travel_alone(tmp_path: Path) -> None:
    for name, stored_as, every in (("2x8-1x8", "AQLM 2x8 g8", 1), ("2x6-4x4", "AQLM 2x6 g16", 4)):
        stored = qv.open_model(CASES[name].write(tmp_path / name)).open(BASE + "weight")
        assert (stored.stored_as, stored.layer.parts["codes"].every) == (stored_as, every)


def test_a_codebook_has_two_vectors_or_as_many_as_codes_reach(tmp_path: Path) -> None:
    for vectors, bits in ((2, 1), (256, 8)):
        books = "F16", (2, vectors, 1, 8), bytes(32 * vectors)
        stored = qv.open_model(case_with("2x8-1x8", codebooks=books).write(tmp_path / str(vectors))).open(
            BASE + "weight"
        )
        assert stored.stored_as == f"AQLM 2x{bits} g8"


@pytest.mark.parametrize(("parts", "match"), [
    ({"scales": None}, "codes that are integers with codebooks and scales that are floats"),
    ({"scales": ("F16", (12, 1, 1, 1), bytes(24))}, "are neither one a row nor one a group of 24 rows"),
    ({"codebooks": ("F16", (1, 256, 1, 8), bytes(4096))}, "contradict each other"),
    ({"codebooks": ("F16", (2, 255, 1, 8), bytes(8160))}, "255 vectors, which is no power of two"),
    ({"codebooks": ("F16", (2, 512, 1, 8), bytes(16384))}, "512 vectors, which is no power of two that int8 reaches"),
    ({"codebooks": ("F16", (2, 1, 1, 8), bytes(32))}, "1 vectors, which is no power of two"),
    ({"codebooks": ("F16", (512, 8), bytes(8192))}, "contradict each other"),
    ({"codes": ("I8", (24, 16), bytes(384))}, "contradict each other"),
    ({"codes": ("U16", (24, 8, 2), bytes(768))}, "codes that are integers"),
])  # fmt: skip
def test_tensors_that_contradict_each_other_are_refused(tmp_path: Path, parts: dict, match: str) -> None:
    model = qv.open_model(case_with("2x8-1x8", **parts).write(tmp_path))
    with pytest.raises(qv.QuantvizError, match="stored as AQLM.* codes, not weights, and .*" + match) as said:
        model.open(BASE + "codes")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(("part", "count"), [("scales", 24), ("codebooks", 4096)])
def test_scales_and_codebooks_that_are_no_numbers_are_refused(tmp_path: Path, part: str, count: int) -> None:
    dtype, shape, _ = CASES["2x8-1x8"].tensors[BASE + part]
    bad = (dtype, shape, np.full(count, np.nan, np.float16).tobytes())
    model = qv.open_model(case_with("2x8-1x8", **{part: bad}).write(tmp_path))
    with pytest.raises(qv.QuantvizError, match="no number.*, so the file is damaged"):
        model.load(BASE + "weight")
