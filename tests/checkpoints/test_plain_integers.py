"""quanto, BitNet, Gemma's packed integers and EETQ: what does not fit, and what only config.json says."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed, empty, refusal
from tests.checkpoints.layouts import example_of
from tests.checkpoints.test_recognition import written


@pytest.mark.parametrize(
    ("name", "tensors", "sentence"),
    [
        ("qint8 20x33", {"l.weight._scale": empty("F32", 19, 1)}, "19 scales do not fit its 20 rows"),
        ("qint8 20x33", {"l.weight._scale": empty("I32", 20, 1)}, "scales of 16 or 32 bits"),
        ("qint4 20x256", {"l.weight._shift": empty("BF16", 39, 1)}, "no rows that share a scale"),
        ("qint4 20x256", {"l.weight._data._data": empty("U8", 21, 128)}, "no rows that share a scale"),
        ("qint4 20x256", {"l.weight._data._data": empty("I8", 20, 128)}, "its codes are no bytes"),
    ],
)
def test_what_does_not_fit_of_quanto_is_refused(tmp_path: Path, name: str, tensors: dict, sentence: str) -> None:
    assert sentence in refusal(tmp_path, changed(case_of("quanto", name), tensors))


def test_quanto_s_groups_say_that_they_are_shown_as_rows(tmp_path: Path) -> None:
    missing = changed(case_of("quanto", "qint4 20x256"), without=("_shift",))
    assert "its shifts are not there" in refusal(tmp_path / "a", missing)
    model = qv.open_model(case_of("quanto", "qint4 20x256").write(tmp_path / "b"))
    assert model.info("l.weight").shape == (40, 128)
    (notice,) = model.open("l.weight").notices
    assert "does not say how many make a row of the layer" in notice
    model = qv.open_model(case_of("quanto", "qint4 13x40").write(tmp_path / "c"))
    assert model.info("l.weight").shape == (13, 40) and not model.open("l.weight").notices


def test_bitnet_without_a_linear_class_divides_and_says_so(tmp_path: Path) -> None:
    case = case_of("bitnet", "ternary 24x33 divided")
    model = qv.open_model(changed(case, config={}).write(tmp_path / "a"))
    assert np.array_equal(model.load("l.weight"), case.expected)
    assert "names no linear_class" in model.open("l.weight").notices[0]
    for scale in ("00000000", "c2160100", "0100807f"):  # 0, 1e-40 whose reciprocal is infinite, a signalling NaN
        least = changed(case, {"l.weight_scale": ("F32", (1,), bytes.fromhex(scale))})
        assert "no numbers" in refusal(tmp_path / scale, least)
    assert "I32" in refusal(tmp_path / "c", changed(case, {"l.weight_scale": empty("I32", 1)}))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "stands in config.json alone"),
        ({"num_bits": 3}, "codes of 2 or 4 bits"),
        ({"num_bits": 2.0}, "codes of 2 or 4 bits"),
        ({"num_bits": 2**80}, "codes of 2 or 4 bits"),
        ({"module_quant_configs": ["l"]}, "no list of up to"),
        ({"module_quant_configs": {str(i): {} for i in range(300)}}, "no list of up to"),
        ({"module_quant_configs": {"l": 4}}, "codes of 2 or 4 bits"),
        ({"module_quant_configs": {"(": {}}}, "no regular expressions"),
        ({"module_quant_configs": {"(a+)+$": {}}}, "could take long to match"),
        ({"module_quant_configs": {"a*a*a*a*a*a*b": {}}}, "could take long to match"),
        ({"module_quant_configs": {"x" * 500: {}}}, "could take long to match"),
    ],
)
def test_bits_of_gemma_that_config_does_not_say_are_refused(tmp_path: Path, config: dict, sentence: str) -> None:
    began = time.monotonic()
    config = {"quantization_config": {"quant_method": "gemma", **config}} if config else {}
    assert sentence in refusal(tmp_path, changed(case_of("gemma", "int4 33x96"), config=config))
    assert time.monotonic() - began < 10


def test_bits_of_gemma_are_those_of_the_first_pattern_or_the_default(tmp_path: Path) -> None:
    case = case_of("gemma", "int2 20x32")
    for number, (said, bits) in enumerate(
        [({"module_quant_configs": {r"x\.l": {}, "^l$": {"num_bits": 2}}}, 2), ({"num_bits": 2}, 2), ({}, 4)]
    ):
        config = {"quantization_config": {"quant_method": "gemma", **said}}
        model = qv.open_model(changed(case, config=config).write(tmp_path / str(number)))
        assert (
            model.info("l.weight").shape == (20, 64 // bits)
            and model.info("l.weight").dtype == f"Gemma int{bits} channel"
        )


def test_scales_of_gemma_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    case = changed(case_of("gemma", "int4 31x64 embedding"), {"l.embedding_scale": empty("F32", 31, 3)})
    assert "do not fit its 31 rows of 64 weights" in refusal(tmp_path, case)


def test_eetq_says_why_it_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(qv.QuantvizError, match="EETQ.*interleaved for the cores of one kind of GPU"):
        qv.open_model(written(tmp_path, example_of("EETQ").tensors)).open("l.weight")
