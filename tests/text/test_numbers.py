"""Numbers written as text: every way in takes plain digits only, and says so in a sentence, however long they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz.text.numbers import real_number, whole_number

LONG = "9" * 5000  # Python refuses to read more than 4,300 digits
ODD = (LONG, "٣٢", "1_0", "+1", " 1", "1e3", "", "²", "0x10", "-")


@pytest.mark.parametrize("text", ODD)
def test_only_plain_digits_are_a_number(text):
    assert whole_number(text) is None


@given(st.integers(-(2**64), 2**64))
def test_every_number_is_read_back(number):
    assert whole_number(str(number), least=-(2**64), most=2**64) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_real_number_is_read_back(number):
    assert real_number(repr(number)) == number


@given(st.text(max_size=50))
def test_any_text_is_a_number_or_none(text):
    for found in (whole_number(text), real_number(text)):
        assert found is None or float(text) == found


@pytest.mark.parametrize("digits", [LONG, "٣٢", "1_0"])
@pytest.mark.parametrize(
    "ref", ["random:normal?rows={}", "random:normal?seed={}", "random:normal?scale={}", "random:student_t?df={}"]
)
def test_references(ref, digits):
    with pytest.raises(qv.QuantvizError) as caught:
        qv.open_model(ref.format(digits))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("digits", [LONG, "٣٢", "1_0"])
@pytest.mark.parametrize("key", ["int4-sym-b{}", "int{}-sym", "int4-sym-b8x{}", "int4-sym:keep={}%", "nf4-b64:clip={}"])
def test_scheme_keys(key, digits):
    with pytest.raises(qv.QuantvizError) as caught:
        qv.Scheme.parse(key.format(digits))
    assert len(str(caught.value)) < 1600


def test_tensors_whose_names_hold_long_numbers_are_listed_in_order():
    from quantviz.sources.model import natural_order

    names = [f"w{LONG}", "w10", "w2", "w02", "w"]
    assert sorted(names, key=natural_order) == ["w", "w2", "w02", "w10", f"w{LONG}"]


def test_a_message_is_one_line_of_bounded_length():
    said = str(qv.QuantvizError(f"The tensor {'x' * 10**6}\n\ud800 is wrong; choose another."))
    assert len(said) < 2000 and "\n" not in said and said.endswith("is wrong; choose another.")
    said.encode("utf-8")


# Where `int` reads text that this package or the machine wrote.
OWN = {"cache.py", "span.py", "ranged.py", "memory.py", "nvidia.py", "outliers.py", "numbers.py", "processor.py"}


def test_digits_of_strangers_are_matched_with_a_bound():
    """Expressions that match digits say 0 to 9, since \\d takes those of every alphabet."""
    root = Path(qv.__file__).parent
    for path in [*root.glob("**/*.py"), *(root.parent / "pages").glob("**/*.py")]:
        if "train_demo" in path.parts or path.name == "say.py":
            continue
        for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
            asks = re.search(r"isdecimal\(\)|isnumeric\(\)|r[\"'].*\\d", text)
            assert not asks or path.name in OWN, f"{path}:{number} takes digits of every alphabet"
