"""A code spelled out: each step of its arithmetic is its value, and what is special about it is said."""

import math
from fractions import Fraction

import ml_dtypes
import pytest

from quantviz.formats import FORMATS, CodebookFormat, FloatFormat, bits, get, worked

from .test_bits import PEERS

FLOATS = [f for f in FORMATS.values() if isinstance(f, FloatFormat)]
UP_TO_8_BITS = [f for f in FORMATS.values() if f.bits <= 8]


def test_the_arithmetic_of_a_tenth():
    f = get("fp32")
    steps = worked.arithmetic(f, bits.encode(f, Fraction("0.1")))
    assert steps[0] == "(-1)^0 × 2^(123 - 127) × (1 + 5033165/8388608)"
    assert steps[-1] == "0.100000001490116119384765625"


@pytest.mark.parametrize("f", [f for f in FLOATS if f.bits <= 8], ids=lambda f: f.name)
def test_the_arithmetic_of_every_code_gives_its_value(f):
    for code in range(2**f.bits):
        if math.isfinite(v := bits.decode(f, code)):
            for line in worked.arithmetic(f, code)[:2]:
                assert eval(line.replace("^", "**").replace("×", "*")) == v


def test_integers_spell_out_as_well():
    assert worked.arithmetic(get("int8"), 0b11000010, 0.5) == ["-128 + 64 + 2", "-62", "-62 × scale 0.5", "-31"]
    assert worked.arithmetic(get("mxint8"), 0b00000110, 1.0) == ["(4 + 2) × 2^-6", "0.09375"]


@pytest.mark.parametrize(
    ("name", "code", "kind", "says"),
    [("fp8_e4m3", 0x7F, "NaN", "no infinity"), ("fp8_e5m2", 0x7C, "infinity", "never give"),
     ("fp8_e5m2", 0x7D, "NaN", "mantissa is not 0"), ("fp8_e4m3", 0x80, "negative zero", "keeps the sign"),
     ("fp8_e4m3", 0x01, "subnormal", "0.001953125"), ("fp8_e4m3", 0x7E, "normal", "largest"),
     ("ternary", 0b10, "unused", "unused"), ("int1", 0, "integer", "no zero"), ("int4", 8, "integer", "-7 to 7"),
     ("bnb_fp4", 8, "level", "second code for 0"), ("fp4_e2m1", 0, "zero", "second zero, -0"),
     ("fp8_e4m3fnuz", 0, "zero", "no second zero"), ("fp8_e5m2fnuz", 0x80, "NaN", "would be -0")],
)  # fmt: skip
def test_special_codes_are_explained(name, code, kind, says):
    assert bits.kind(get(name), code) == kind
    assert says in worked.remark(get(name), code)


def test_properties_of_every_format():
    rows = {name: worked.properties(f) for name, f in FORMATS.items()}
    assert all(set(row) == set(worked.PROPERTIES) for row in rows.values())
    for name, peer in PEERS.items():
        info = ml_dtypes.finfo(peer)
        assert rows[name]["largest"] == float(info.max)
        assert rows[name]["smallest normal"] == float(info.smallest_normal)
        assert rows[name]["smallest subnormal"] == float(info.smallest_subnormal)
        assert rows[name]["epsilon"] == float(info.eps)
    for name, f in FORMATS.items():
        if f.bits <= 16:
            finite = {v for c in range(2**f.bits) if math.isfinite(v := bits.decode(f, c))}
            assert rows[name]["finite values"] == len(finite)
    assert rows["mxfp4"]["bits a weight"] == 4.25 and rows["nvfp4"]["bits a weight"] == 4.5


def test_claim_1_bytes_a_weight():
    measured = {n: worked.packed_bytes_a_weight(get(n), 1000) for n in ("fp32", "fp16", "bf16", "fp8_e4m3", "fp4_e2m1")}
    assert measured == {"fp32": 4, "fp16": 2, "bf16": 2, "fp8_e4m3": 1, "fp4_e2m1": 0.5}


@pytest.mark.parametrize("f", UP_TO_8_BITS, ids=lambda f: f.name)
def test_the_table_of_values_lists_every_code(f):
    rows = worked.value_table(f, worked.codes_to_list(f, 0))
    assert [row["code"] for row in rows] == list(range(2**f.bits))
    assert all((row["value"] is None) == (row["kind"] in ("NaN", "infinity", "unused")) for row in rows)


def test_fp32_lists_what_surrounds_a_code():
    f = get("fp32")
    assert len(worked.codes_to_list(f, 0x3DCCCCCD, around=10)) == 21
    assert worked.codes_to_list(f, 0x7FC00000) == [0x7FC00000]
    assert isinstance(get("nf4"), CodebookFormat)
