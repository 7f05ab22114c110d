"""One's own numbers: every way of writing them gives the same float32, and what cannot be read is one sentence."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sources import values
from quantviz.sources.pasted import MOST_PASTED, read_numbers, shortest
from quantviz.sources.values import Values

SIX = "values:-0.89,0.16,0.08,-0.13,0.16,-0.54"
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
GRIDS = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(2, 5)), elements=FLOATS)


def same(text: str, x: np.ndarray) -> bool:
    """Whether a text is read as these bits, zeros with their signs included."""
    found = read_numbers(text).numbers
    return found.shape == x.shape and found.tobytes() == x.tobytes()


def joined(x: np.ndarray, between: str, rows: str, point: str = ".") -> str:
    return rows.join(between.join(shortest(v).replace(".", point) for v in row) for row in x)


@given(GRIDS)
@settings(max_examples=40, deadline=None)
def test_whatever_way_they_are_written_the_numbers_are_read_back_exactly(x):
    assert Values.parse(Values(x).ref).numbers.tobytes() == x.tobytes()
    assert Values.parse(Values(x).ref).ref == Values(x).ref
    ways = {
        "the reference": Values(x).ref,
        "the box": Values(x).text,
        "commas": joined(x, ", ", "\n"),
        "commas and semicolons": joined(x, ", ", "; "),
        "spaces": joined(x, "  ", "\n"),
        "a spreadsheet": joined(x, "\t", "\r\n") + "\r\n",
        "a spreadsheet with a heading": "\t".join("abcde"[: x.shape[1]]) + "\n" + joined(x, "\t", "\n"),
        "quotes": joined(x, '","', '"\n"').join('""'),
        "semicolons in lines": joined(x, ";", "\n"),
        "JSON": json.dumps(x.astype(float).tolist()),
        "a script": f"w = np.array({x.tolist()}, dtype=np.float32)",
        "MATLAB": f"[{joined(x, ' ', '; ')}]",
    }
    if len(x) == 1:  # of several, semicolons alone are between rows
        ways.pop("semicolons in lines")
    for way, text in ways.items():
        assert same(text, x), way


@given(GRIDS)
@settings(max_examples=40, deadline=None)
def test_what_numpy_and_torch_print_is_read_as_they_print_it(x):
    with np.printoptions(floatmode="unique", linewidth=60):
        assert same(str(x), x) and same(repr(x), x)
    for dtype in (torch.float32, torch.bfloat16):  # four digits are printed: those are read
        w = torch.nn.Parameter(torch.from_numpy(x).clamp(-1e4, 1e4).to(dtype))
        read = torch.from_numpy(read_numbers(repr(w)).numbers)
        assert torch.allclose(read, w.detach().float(), rtol=1e-2, atol=1e-3)


@given(st.lists(st.integers(-9999, 9999), min_size=2, max_size=8))
@settings(max_examples=60, deadline=None)
def test_decimal_commas_are_read_and_told(numbers):
    x = np.float32([n / 10000 for n in numbers])[None]
    written = [f"{n / 10000:.4f}".replace(".", ",") for n in numbers]
    for between in ("; ", " ", "\n", "\t"):
        found = read_numbers(between.join(written))
        assert (found.numbers == x).all() and found.numbers.shape == x.shape
        assert "decimal signs" in found.notes[0]


@given(st.text("0123456789.,;-+e[]()'\" \t\nxn", max_size=40) | st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_refused_in_a_sentence(text):
    try:
        found = Values.read(text)
    except QuantvizError as problem:
        assert str(problem).endswith(".") or text.startswith("values:")
    else:
        assert np.isfinite(found.numbers).all() and found.numbers.ndim == 2 and found.numbers.size
        assert Values.parse(found.ref).numbers.tobytes() == found.numbers.tobytes()
        assert Values.read(found.text).numbers.tobytes() == found.numbers.tobytes()


def test_no_text_takes_long():
    for text in (
        "[1]," * 20_000 + "[1]",
        "(" + "a=" * 50_000,
        '"' * 50_000,
        "[1" + "]" * 50_000,
        "1" + " " * 50_000,
    ):
        began = time.thread_time()
        with suppress(QuantvizError):
            read_numbers(text)
        assert time.thread_time() - began < 2, text[:9]


def test_a_column_is_a_row_and_lines_are_rows():
    assert read_numbers("1\n2\n3").numbers.shape == (1, 3)
    assert read_numbers("1 2\n3 4").numbers.shape == (2, 2)
    assert Values.parse("values:1;2;3").numbers.shape == (3, 1), "a reference is taken at its word"
    assert read_numbers(Values.parse("values:1;2;3").text).numbers.shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no numbers yet"),
        (" \n\t", "no numbers yet"),
        ("# only a remark", "no numbers in it"),
        ("0.1 abc 0.2", "'abc' (the 2nd entry) is no number"),
        ("1,2\n3,x", "'x' (line 2, the 2nd entry) is no number"),
        ("1 2\n3 nan", "'nan' (line 2, the 2nd entry) is no finite number"),
        ("1, -inf", "'-inf' (the 2nd entry) is no finite number"),
        ("[0.5, null]", "'null' (the 2nd entry) is no finite number"),
        ("1e39", "beyond float32"),
        ("2, -1e400", "'-1e400' (the 2nd entry) is beyond float32"),
        ("1, 2, 3\n4, 5", "Line 2 has 2 numbers and line 1 3"),
        ("1, 2,, 3", "a comma with no number beside it, after '2'"),
        ("1, 2,", "may have been cut off"),
        ("[[1, 2], [3", "never closed, so the text was probably cut off"),
        ("1, 2]]", "] closes no list"),
        ("[[[1, 2]]]", "nested more than twice"),
        ("[1, [2, 3]]", "outside the lists"),
        ("[]", "lists are empty"),
        ("[[1, 2], []]", "Row 2 has 0 numbers and row 1 2"),
        ("array([0.1, ..., 0.2])", "leaves numbers out"),
        ("1_000", "'1_000' (the 1st entry) is no number"),
        ("٣", "is no number"),
        ("9" * 5000, "is no number"),
        ("a\0b", "no text"),
        ("1 " * (MOST_PASTED + 1), "over 100,000 numbers"),
        ("1," * 999_999 + "1", "over 100,000 numbers"),
        ("x" * (values.MOST_TEXT + 1), "characters"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, says):
    with pytest.raises(QuantvizError) as caught:
        Values.read(text)
    assert says in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("values:", "holds no numbers"),
        ("values:0.1,0.", "cut off"),
        ("values:0.1,-", "cut off"),
        ("values:0.1,", "cut off"),
        ("values:0.1,2e", "cut off"),
        ("values:0.1,2e-", "cut off"),
        ("values:0.1,0.2;", "cut off"),
        ("values:1,2;3", "Row 2 has 1 number and row 1 2"),
        ("values:1;;2", "Row 2 has 0 numbers"),
        ("values:;", "cut off"),
        ("values:0.1,a", "'a' (the 2nd entry) is no number"),
        ("values:nan", "no finite number"),
    ],
)
def test_a_wrong_reference_is_one_sentence(ref, says):
    with pytest.raises(QuantvizError) as caught:
        qv.open_model(ref)
    assert says in str(caught.value)


def test_the_six_numbers_of_the_article():
    model = qv.open_model("values:-0.890, 0.16,0.08,-0.13,0.16,-5.4e-1")
    assert model.ref == SIX and [t.name for t in model.tensors] == ["values"]
    w = model.load("values")
    assert w.shape == (1, 6)
    for scheme, codes, error in (
        ("int4-sym-tensor:scale=fp32", [-7, 1, 1, -1, 1, -4], 0.18003),
        ("int4-asym-tensor:scale=fp32", [0, 15, 14, 11, 15, 5], 0.08524),
    ):
        assert qv.quantize(w, scheme).codes.reshape(-1).tolist() == codes
        assert qv.evaluate(w, scheme).metrics["mean_relative_error"] == pytest.approx(error, abs=5e-6)


def test_what_float32_rounds_is_told():
    stored = qv.open_model("values:0.123456789012,1").open("values")
    assert "0.123456789012 became 0.12345679" in stored.remarks[0]
    assert not qv.open_model(SIX).open("values").remarks


def test_a_file_of_numbers(tmp_path):
    file = tmp_path / "six numbers.CSV"
    file.write_text('"first","second"\n-0.89,0.16\n0.08,-0.13\n', "utf-8-sig")
    model = qv.open_model(file)
    assert model.tensors[0].name == "six numbers" and model.tensors[0].shape == (2, 2)
    assert (model.load("six numbers", (1, 2)) == np.float32([[0.08, -0.13]])).all()
    assert "is a heading and was left out" in model.open("six numbers").remarks[0]
    assert "heading" in qv.evaluate(model.open("six numbers"), "int4-sym-b32").notices[0]
    utf16 = tmp_path / "a.txt"
    utf16.write_text("0,89\n0,16", "utf-16")
    assert (qv.open_model(utf16).load("a") == np.float32([[0.89, 0.16]])).all()
    for content, says in (
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "no text in UTF-8"), (b"a,b\nc,d", "no number"), (b"", "no numbers yet"),
        (b"1\0", "no text"), (b"\xff\xfe\x00", "no text in UTF-8"), (b"<html>1</html>", "no number"),
    ):  # fmt: skip
        utf16.write_bytes(content)
        with pytest.raises(QuantvizError, match=says):
            qv.open_model(utf16)


def test_a_file_of_numbers_has_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "MAX_FILE", 100)
    monkeypatch.setattr(values, "MOST_IN_FILE", 10)
    file = tmp_path / "a.txt"
    file.write_text("1 " * 60)
    with pytest.raises(QuantvizError, match="may take 100 B"):
        qv.open_model(file)
    file.write_text("1 " * 11)
    with pytest.raises(QuantvizError, match="over 10 numbers"):
        qv.open_model(file)
