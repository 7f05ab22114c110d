"""HQQ: shapes that a file claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed, empty, refusal

CASE = "int4 g64 axis 1 64x96"  # 96 groups


def shape(*numbers: int) -> dict:
    return {"l.shape": ("I64", (len(numbers),), np.array(numbers, np.int64).tobytes())}


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (shape(2**40, 2**40), "its shape is said to be"),
        (shape(-64, -96), "its shape is said to be"),
        (shape(0, 96), "its shape is said to be"),
        (shape(64, 96, 1), "says its shape is not beside it"),
        ({"l.shape": empty("F32", 2)}, "says its shape is not beside it"),
        (shape(64, 97), "those of no groups of"),
        (shape(2**30, 96), "those of no number of bits"),
        (shape(640, 96), "those of no number of bits"),
        ({"l.scale": empty("F16", 48, 1)}, "those of no groups of"),
        ({"l.scale": empty("F16", 48, 2), "l.zero": empty("F16", 48, 2)}, "those of no groups of"),
        ({"l.zero": empty("U8", 96, 1)}, "no floats of 16 or 32 bits"),
        ({"l.W_q": empty("U8", 48, 63)}, "those of no number of bits"),
        ({"l.scale_q": empty("U8", 96, 1)}, "quantized themselves"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, tensors: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(case_of("hqq", CASE), tensors))


@pytest.mark.parametrize(
    ("without", "sentence"), [((".shape",), "says its shape is not beside it"), ((".zero",), "are not there")]
)
def test_what_is_missing_is_named(tmp_path: Path, without: tuple[str, ...], sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(case_of("hqq", CASE), without=without))


def test_bits_that_config_says_otherwise_are_told(tmp_path: Path) -> None:
    for said, told in ((4, 0), (3, 1), ("4", 0), (2**70, 1)):
        params = {"quant_config": {"weight_quant_params": {"nbits": said}}}
        config = {"quantization_config": {"quant_method": "hqq", **params}}
        model = qv.open_model(changed(case_of("hqq", CASE), config=config).write(tmp_path / str(said)))
        assert len(notices := model.open("l.weight").notices) == told
        assert not told or notices[0].endswith("bits, and the shapes are those of 4, which counts.")
