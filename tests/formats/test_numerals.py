"""Typed numbers: read exactly, refused in a sentence, and written so that they read back."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantviz.errors import QuantvizError
from quantviz.formats import FORMATS, bits, get, numerals

UP_TO_8_BITS = [f for f in FORMATS.values() if f.bits <= 8]


@pytest.mark.parametrize("f", UP_TO_8_BITS, ids=lambda f: f.name)
@pytest.mark.parametrize("scale", [1.0, 0.125, float(np.float32(0.1))])
def test_text_of_a_code_reads_back_as_the_same_code(f, scale):
    scale = 1.0 if bits.scale_format(f) is None else scale
    for code in range(2**f.bits):
        assert numerals.read(numerals.text_of(f, code, scale), f, scale).code == code


@settings(max_examples=100, deadline=None)
@given(code=st.integers(0, 2**32 - 1))
def test_text_of_fp32_codes_reads_back(code):
    f = get("fp32")
    assert numerals.read(numerals.text_of(f, code), f).code == code


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1", Fraction(1, 10)), ("-3e-5", Fraction(-3, 10**5)), ("1/3", Fraction(1, 3)), ("2^-9", Fraction(1, 512)),
     ("-2^3", Fraction(-8)), ("−5", Fraction(-5)), (" +.5 ", Fraction(1, 2)), ("7.", Fraction(7))],
)  # fmt: skip
def test_numbers_are_read_exactly(text, value):
    assert numerals.parse(text) == value


def test_minus_zero_keeps_its_sign():
    assert math.copysign(1, numerals.parse("-0")) == -1
    assert numerals.read("-0", get("fp8_e4m3")).code == 0x80
    assert numerals.read("-1e-30", get("fp8_e4m3")).code == 0x80


@pytest.mark.parametrize(
    ("text", "says"),
    [("abc", "is no number"), ("", "is no number"), ("0,1", "decimal sign is a point: 0.1"), ("1/0", "is no number"),
     ("1e999999999999", "out of reach"), ("2^99999", "out of reach"), ("9" * 201, "at most 200"),
     ("1e-301", "out of reach"), ("nan", "The NaN of fp8_e5m2 is 0x7f"), ("-inf", "The infinity of fp8_e5m2 is 0x7c"),
     ("0x1ff", "has 9 bits"), ("__import__('os')", "is no number")],
)  # fmt: skip
def test_wrong_texts_get_one_sentence(text, says):
    with pytest.raises(QuantvizError, match=".") as error:
        numerals.read(text, get("fp8_e5m2"))
    assert says in str(error.value)


def test_a_format_without_nan_says_so():
    with pytest.raises(QuantvizError, match="fp4_e2m1 has no NaN"):
        numerals.read("nan", get("fp4_e2m1"))
    with pytest.raises(QuantvizError, match="fp8_e4m3 has no infinity"):
        numerals.read("inf", get("fp8_e4m3"))


def test_saturation_is_announced_past_half_a_step_only():
    f = get("fp8_e4m3")  # largest 448, step 32
    assert numerals.read("464", f).notice is None
    assert "saturate" in numerals.read("464.01", f).notice
    assert "lowest" in numerals.read("-1e10", f).notice
    assert numerals.read("448", f).notice is None
    assert "infinity" in numerals.read("1e10", get("fp16")).notice


@pytest.mark.parametrize("f", [f for f in FORMATS.values() if bits.scale_format(f)], ids=lambda f: f.name)
def test_scales(f):
    stored = bits.scale_format(f)
    unit = numerals.read_scale(numerals.scale_of_unit_range(f), f)
    assert bits.decode(stored, unit.code) > 0
    for text in ("0", "-1", "nan", "1e-299", "x"):
        if text != "1e-299" or stored is not bits.E8M0:
            with pytest.raises(QuantvizError):
                numerals.read_scale(text, f)


@pytest.mark.parametrize("f", FORMATS.values(), ids=FORMATS)
def test_the_snippet_prints_what_it_says(f, capsys):
    scale = numerals.scale_of_unit_range(f)
    text = numerals.value_snippet(f, "0.1", scale)
    exec(text, {})
    assert capsys.readouterr().out.strip() == text.splitlines()[-1].removeprefix("# ")
