"""Formats are data: values and limits equal those of ml_dtypes, and nothing in them can be changed."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from quantviz import QuantvizError
from quantviz.formats import FORMATS, CodebookFormat, FloatFormat, IntFormat, table

from ..kernels.peers import ML_DTYPES, bitsandbytes

DESIGNED = """fp32 fp16 bf16 fp8_e4m3 fp8_e5m2 fp8_e4m3fnuz fp8_e5m2fnuz fp6_e3m2 fp6_e2m3 fp4_e2m1 int1
int2 int3 int4 int5 int6 int7 int8
nf4 bnb_fp4 ternary mxfp8_e4m3 mxfp8_e5m2 mxfp6_e3m2 mxfp6_e2m3 mxfp4 mxint8 nvfp4""".split()


def test_every_format_is_there_once_under_its_name() -> None:
    assert sorted(FORMATS) == sorted(DESIGNED)
    assert all(f.name == name for name, f in FORMATS.items())
    assert len(table._ALL) == len(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_frozen_hashable_and_says_its_source(name: str) -> None:
    f = FORMATS[name]
    assert {f: 1}[dataclasses.replace(f)] == 1 and f.source
    with pytest.raises(dataclasses.FrozenInstanceError):
        f.name = "other"  # type: ignore[misc]
    if f.bits <= 16 and hasattr(f, "values"):
        with pytest.raises(ValueError, match="read-only"):
            f.values[0] = 1


@pytest.mark.parametrize("name", ML_DTYPES)
def test_every_code_has_ml_dtypes_value(name: str) -> None:
    f = FORMATS[name]
    codes = np.arange(2**f.bits, dtype=np.uint8 if f.bits <= 8 else np.uint16)
    expected = codes.view(ML_DTYPES[name]).astype(np.float32)
    np.testing.assert_array_equal(f.values, expected)  # NaN where NaN
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(f.values[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("name", [*ML_DTYPES, "fp32"])
def test_limits_are_ml_dtypes_finfo(name: str) -> None:
    f, info = FORMATS[name], ml_dtypes.finfo(ML_DTYPES.get(name, np.float32))
    assert f.bits == info.bits
    assert f.max == float(info.max)
    assert f.min_normal == float(info.smallest_normal)
    assert f.min_subnormal == float(info.smallest_subnormal)
    assert f.epsilon == float(info.eps)
    if f.bits <= 16:
        assert f.values[f.max_code] == f.max


def test_fp32_has_too_many_codes_for_a_table() -> None:
    with pytest.raises(QuantvizError, match="too many"):
        _ = FORMATS["fp32"].values


@pytest.mark.parametrize("bits", range(1, 9))
def test_integer_limits(bits: int) -> None:
    f = FORMATS[f"int{bits}"]
    assert isinstance(f, IntFormat)
    assert (f.max_symmetric, f.max_unsigned) == (max(2 ** (bits - 1) - 1, 1), 2**bits - 1)


@pytest.mark.parametrize(("name", "quant_type"), [("nf4", "nf4"), ("bnb_fp4", "fp4")])
def test_code_books_are_bitsandbytes(name: str, quant_type: str) -> None:
    f = FORMATS[name]
    assert isinstance(f, CodebookFormat)
    np.testing.assert_array_equal(f.values, bitsandbytes().get_4bit_type(quant_type, device="cpu").numpy())
    assert (np.diff(f.values[f.order]) >= 0).all()


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if hasattr(f, "element")])
def test_block_formats_follow_the_ocp_table(name: str) -> None:
    f = FORMATS[name]
    emax = {"mxfp8_e4m3": 8, "mxfp8_e5m2": 15, "mxfp6_e3m2": 4, "mxfp6_e2m3": 2, "mxfp4": 2, "mxint8": 0, "nvfp4": 2}
    assert f.element_emax == emax[name]
    assert f.block == (16 if name == "nvfp4" else 32)
    assert isinstance(f.element, IntFormat if name == "mxint8" else FloatFormat)


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(QuantvizError, match="fp8_e4m3"):
        table.get("fp8e4m3")
