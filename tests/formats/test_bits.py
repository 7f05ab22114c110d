"""Codes, values, neighbours: against ml_dtypes over every code, and against the reference kernel."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantviz.formats import FORMATS, FloatFormat, IntFormat, bits, get

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


def test_e8m0_takes_the_power_of_two_below():
    assert [bits.decode(bits.E8M0, bits.encode(bits.E8M0, Fraction(x))) for x in ("3.99", "4", "0.3")] == [2, 4, 0.25]


def test_the_articles_float4_spans_three_and_ocps_six():
    article = FloatFormat("article", 2, 1, "ieee", "")
    assert (article.max, get("fp4_e2m1").max) == (3.0, 6.0)
    assert math.isinf(bits.decode(article, 0b0110)) and math.isnan(bits.decode(article, 0b0111))


def test_packing_is_most_significant_bit_first():
    assert bits.pack(get("fp4_e2m1"), [0xA, 0x1, 0xF]) == b"\xa1\xf0"
    assert bits.pack(get("fp6_e2m3"), []) == b""
