"""Codes, values, neighbours, typed numbers: against ml_dtypes over every code, and against the reference kernel."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantviz.errors import QuantvizError
from quantviz.formats import FORMATS, CodebookFormat, FloatFormat, IntFormat, bits, get, numerals, worked

PEERS = {
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
}
FLOATS = [f for f in FORMATS.values() if isinstance(f, FloatFormat)]
UP_TO_8_BITS = [f for f in FORMATS.values() if f.bits <= 8]
float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))


def number(x: float):
    return x if x == 0 else Fraction(x)


@pytest.mark.parametrize("name", PEERS)
def test_every_code_decodes_as_ml_dtypes_has_it(name):
    f = get(name)
    codes = np.arange(2**f.bits, dtype=np.uint8 if f.bits <= 8 else np.uint16)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        peer = codes.view(PEERS[name]).astype(np.float64)
    assert all(same(bits.decode(f, int(c)), float(v)) for c, v in zip(codes, peer, strict=True))


def test_fp32_decodes_as_numpy_has_it():
    rng = np.random.default_rng(0)
    edges = np.array([0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x80000000, 0xFF800000])
    codes = np.concatenate([edges, rng.integers(0, 2**32, 2000)]).astype(np.uint32)
    singles = codes.view(np.float32)
    assert all(same(bits.decode(get("fp32"), int(c)), float(v)) for c, v in zip(codes, singles, strict=True))


def test_e8m0_decodes_as_ml_dtypes_has_it():
    peer = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    assert all(same(bits.decode(bits.E8M0, c), float(peer[c])) for c in range(256))


@pytest.mark.parametrize("f", UP_TO_8_BITS, ids=lambda f: f.name)
def test_every_finite_value_and_tie_encodes_to_its_code(f):
    ladder = [bits.code_at(f, r) for r in bits.ranks(f)]
    values = [bits.decode(f, c) for c in ladder]
    assert values == sorted(set(values))
    for i, code in enumerate(ladder):
        if not (f.name == "mxint8" and i == 0):  # -128 is never given
            assert bits.encode(f, number(values[i])) == code
    for low, high in zip(ladder, ladder[1:], strict=False):
        middle = (Fraction(bits.decode(f, low)) + Fraction(bits.decode(f, high))) / 2
        assert bits.encode(f, middle - Fraction(1, 10**12)) in (low, low | 1 << (bits.element(f).bits - 1), high)
        assert bits.encode(f, middle) in (low, high, 1 << (bits.element(f).bits - 1))


@pytest.mark.parametrize("f", FLOATS, ids=lambda f: f.name)
@settings(max_examples=150, deadline=None)
@given(x=float32s)
def test_float_codes_equal_the_kernels(f, x):
    import torch

    from quantviz.kernels.reference.rules import encode_float

    tensor = torch.tensor([x], dtype=torch.float32)
    assert bits.encode(f, number(x)) == int(encode_float(tensor, f)[0])


@pytest.mark.parametrize("name", ["nf4", "bnb_fp4"])
@settings(max_examples=150, deadline=None)
@given(x=st.floats(-1, 1, width=32))
def test_code_book_codes_equal_the_thresholds_rule(name, x):
    f = get(name)
    assert bits.encode(f, number(x)) == int(f.order[np.searchsorted(f.thresholds, np.float32(x), side="left")])


@pytest.mark.parametrize("f", [f for f in FORMATS.values() if isinstance(f, IntFormat)], ids=lambda f: f.name)
def test_integers_round_to_even_and_saturate(f):
    if f.bits == 1:
        assert [bits.decode(f, bits.encode(f, x)) for x in (-3.0, -0.1, 0.0, 5.0)] == [-1, -1, 1, 1]
        return
    low, high = -(2 ** (f.bits - 1)), 2 ** (f.bits - 1) - 1
    for x in np.linspace(low - 2, high + 2, 41):
        assert bits.decode(f, bits.encode(f, Fraction(float(x)))) == min(max(round(float(x)), low), high)


@pytest.mark.parametrize("f", UP_TO_8_BITS, ids=lambda f: f.name)
def test_neighbours_are_the_next_values_and_lead_back(f):
    values = sorted({bits.decode(f, c) for c in range(2**f.bits) if math.isfinite(bits.decode(f, c))})
    for code in range(2**f.bits):
        v, (before, after) = bits.decode(f, code), bits.neighbours(f, code)
        if not math.isfinite(v):
            assert math.isinf(v) or (before, after) == (None, None)
            continue
        i = values.index(v)
        assert (None if before is None else bits.decode(f, before)) == (values[i - 1] if i else None)
        assert (None if after is None else bits.decode(f, after)) == (values[i + 1] if i + 1 < len(values) else None)


def test_infinity_is_followed_by_nothing_and_preceded_by_the_largest():
    f = get("fp8_e5m2")
    assert bits.neighbours(f, f.max_code + 1) == (f.max_code, None)


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


def test_a_scaled_value_is_rounded_to_float32_as_dequantization_does():
    scale = float(np.float32(0.1))
    assert bits.value(get("nf4"), 15, scale) == scale
    expected = np.float32(FORMATS["nf4"].levels[3]) * np.float32(0.1)
    assert bits.value(get("nf4"), 3, scale) == float(expected)
    assert bits.value(get("mxfp8_e4m3"), 0x7E, 2.0**127) == math.inf


@pytest.mark.parametrize("f", FORMATS.values(), ids=FORMATS)
def test_fields_cover_the_code(f):
    assert sum(part.width for part in bits.fields(f)) == f.bits
    parts = bits.split(f, 2**f.bits - 1)
    assert all(parts[p.name] == 2**p.width - 1 for p in bits.fields(f))
    assert len(bits.bit_string(f, 0)) == f.bits


# -- typed texts ---------------------------------------------------------------------------------


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


def test_e8m0_takes_the_power_of_two_below():
    assert [bits.decode(bits.E8M0, bits.encode(bits.E8M0, Fraction(x))) for x in ("3.99", "4", "0.3")] == [2, 4, 0.25]


@pytest.mark.parametrize("f", FORMATS.values(), ids=FORMATS)
def test_the_snippet_prints_what_it_says(f, capsys):
    scale = numerals.scale_of_unit_range(f)
    text = numerals.value_snippet(f, "0.1", scale)
    exec(text, {})
    assert capsys.readouterr().out.strip() == text.splitlines()[-1].removeprefix("# ")


# -- in words ------------------------------------------------------------------------------------


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
     ("bnb_fp4", 8, "level", "second code for 0"), ("fp4_e2m1", 0, "zero", "second zero")],
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


def test_the_articles_float4_spans_three_and_ocps_six():
    article = FloatFormat("article", 2, 1, "ieee", "")
    assert (article.max, get("fp4_e2m1").max) == (3.0, 6.0)
    assert math.isinf(bits.decode(article, 0b0110)) and math.isnan(bits.decode(article, 0b0111))


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


def test_packing_is_most_significant_bit_first():
    assert bits.pack(get("fp4_e2m1"), [0xA, 0x1, 0xF]) == b"\xa1\xf0"
    assert bits.pack(get("fp6_e2m3"), []) == b""
