"""Every format's properties, and what is told of its codes and of typed numbers, as before."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction

import pytest

from quantviz.errors import QuantvizError
from quantviz.formats import FORMATS, CodebookFormat, FloatFormat, bits, numerals, worked
from tests.checkpoints.in_memory import told

ALL = [*FORMATS.values(), bits.E8M0]
NUMBERS = ("0", "-0", "0.1", "-0.1", "1", "-1", "2.5", "-3.5", "5/3", "2^-9", "2^-24", "2^-127", "2^-150", "6", "7.3",
           "-8.5", "127.5", "448", "463", "480", "-1e5", "65519", "65521", "3e38", "1e39", "-1e300")  # fmt: skip
TEXTS = ("nan", "-inf", "∞", "0x3", "0b1", "0xfff", "0x1_0000", "0x100000000", "1,5", "1,5,5", "5/0", "x", "1e400",
         "1e401", "2^400", "2^401", "1e-300", "1e-301", "0e401", "0e400", "1" + "0" * 200, "1" * 201)  # fmt: skip
SCALES = ("1", "0", "-1", "2^-20", "2^-140", "1/448", "0.3", "1e6", "0x00", "0x7f", "0xff", "0x7e", "1e39", "nan")


def codes_of(f: bits.AnyFormat) -> list[int]:
    """All of them, or those around each change of the exponent of a longer format."""
    count = bits.element(f).bits
    if count <= 8:
        return list(range(2**count))
    return sorted({(sign << (count - 1)) + (1 << i) + near for i in range(count - 1) for near in (-1, 0, 1)
                   for sign in (0, 1)})  # fmt: skip


def of_code(f: bits.AnyFormat, code: int) -> list:
    return [
        worked.arithmetic(f, code), worked.arithmetic(f, code, 0.75), worked.remark(f, code), bits.neighbours(f, code),
        bits.rank_of(f, code), worked.value_table(f, [code], 0.75), numerals.text_of(f, code, 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("f", ALL, ids=lambda f: f.name)
def test_what_is_told_of_codes(f: bits.AnyFormat, kept: Callable) -> None:
    """A few are kept in words, and a sum of all."""
    codes = codes_of(f)
    told = {code: of_code(f, code) for code in codes}
    kept({code: told[code][:3] for code in codes[:: max(len(codes) // 4, 1)]})
    kept(zlib.crc32(repr(told).encode()))
    kept([bits.scale_format(f) and bits.scale_format(f).name, [asdict(part) for part in bits.fields(f)]])
    every = bits.ranks(f)
    kept([every[0], every[-1], *bits.ranks_between(f, -1.5, 2.0)[:1], len(bits.ranks_between(f, -1.5, 2.0, 0.75))])
    listed = worked.codes_to_list(f, codes[len(codes) // 3], around=10)
    kept([len(listed), listed[0], listed[-1], bits.pack(f, codes[:11]).hex()])


@pytest.mark.parametrize("f", [f for f in FORMATS.values() if isinstance(f, FloatFormat | CodebookFormat)],
                         ids=lambda f: f.name)  # fmt: skip
def test_tables_of_values(f: FloatFormat | CodebookFormat, kept: Callable) -> None:
    if f.bits > 16:
        with pytest.raises(QuantvizError) as refused:
            f.values  # noqa: B018
        return kept(str(refused.value))
    kept(told(f.values))
    if isinstance(f, CodebookFormat):
        kept([told(f.order), told(f.thresholds), f.values.tolist()])
    else:
        kept([f.max_code, f.max, f.min_normal, f.min_subnormal, f.epsilon, f.emin, f.emax, f.bias, f.has_negative_zero])


@pytest.mark.parametrize("f", FORMATS.values(), ids=FORMATS)
def test_the_properties_of_formats(f: bits.AnyFormat, kept: Callable) -> None:
    kept(worked.properties(f) | {"measured": worked.packed_bytes_a_weight(f, 100)})
    if bits.scale_format(f):
        scales = SCALES if f.name in ("int8", "mxfp4") else SCALES[1::3]
        kept([numerals.scale_of_unit_range(f), {text: tried(numerals.read_scale, text, f) for text in scales}])
    kept([bits.value(f, code, scale) for code in (1, 2**f.bits - 1) for scale in (0.5, 1e38)])


def test_the_bytes_of_a_weight_are_measured_on_whole_bytes() -> None:
    assert worked.packed_bytes_a_weight(FORMATS["fp4_e2m1"]) == 0.5


@pytest.mark.parametrize("f", ALL, ids=lambda f: f.name)
def test_what_typed_numbers_become(f: bits.AnyFormat, kept: Callable) -> None:
    numbers = [number for number in NUMBERS if f is not bits.E8M0 or Fraction(number.replace("2^", "1e")) > 0]
    found = [tried(numerals.read, number, f, scale) for number in numbers for scale in (1.0, 0.75)]
    kept([" ".join(code.partition(" ")[0] for code in found), found[-1], zlib.crc32(repr(found).encode())])
    texts = TEXTS if f.name in ("int8", "fp8_e5m2") else TEXTS[:2]
    kept({text[:20]: tried(numerals.read, text, f) for text in texts})


def tried(read: Callable, *what: object) -> str:
    """The code that is read and what is said of it, or why there is none."""
    try:
        reading = read(*what)
    except QuantvizError as refused:
        return str(refused)
    return f"{reading.code:x}{f' {reading.notice}' if reading.notice else ''}"


@pytest.mark.parametrize("x", [0.0, -0.0, 0.1, 1 / 3, 1e22, 2.0**-149, 2.0**-20, 3.4e38, 1e39, -1e300, 12345678.9])
def test_numbers_in_short_and_exactly(x: float, kept: Callable) -> None:
    kept([numerals.short(x), numerals.exact(x), numerals.digits(x), numerals.exact(x, longest=14)])
