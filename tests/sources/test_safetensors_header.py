"""The header parser against hostile bytes: a sentence each, and no other error for any bytes at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from quantviz.errors import QuantvizError
from quantviz.sources.safetensors_header import DTYPES, header_length, parse_header, union
from tests.sources.builders import safetensors, weights, with_header


def parse(data: bytes):
    length = header_length(data[:8], len(data), "f.safetensors")
    return parse_header(data[8 : 8 + length], len(data) - 8 - length, "f.safetensors").entries


def line(dtype="F32", shape=(2, 2), offsets=(0, 16)) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_reads_what_the_safetensors_library_writes():
    arrays = {"a": weights(3, 5), "b": np.arange(4, dtype=np.int64), "c": weights(1, 1).astype(np.float16)}
    data = save(arrays, metadata={"format": "np"})
    entries = {entry.info.name: entry for entry in parse(data)}
    assert {name: (e.info.shape, e.info.dtype) for name, e in entries.items()} == {
        "a": ((3, 5), "float32"),
        "b": ((4,), "I64"),
        "c": ((1, 1), "float16"),
    }
    for name, array in arrays.items():
        start = entries[name].offset
        assert data[start : start + entries[name].info.nbytes] == array.tobytes()


def test_integer_dtypes_empty_and_zero_dimensional_tensors_are_listed():
    header = {
        "flag": line("BOOL", (3,), (0, 3)),
        "scalar": line("F32", (), (3, 7)),
        "empty": line("F32", (0, 9), (7, 7)),
        "half byte": line("F4", (4,), (7, 9)),
    }
    listed = {entry.info.name: (entry.info.dtype, entry.info.nbytes) for entry in parse(with_header(header, bytes(9)))}
    assert listed == {"flag": ("BOOL", 3), "scalar": ("float32", 4), "empty": ("float32", 0), "half byte": ("F4", 2)}


def test_padding_and_metadata_are_no_tensors():
    text = json.dumps({"__metadata__": {"a": "b"}, "w": line()}).encode() + b"   "
    assert [entry.info.name for entry in parse(with_header(text, bytes(16)))] == ["w"]


HOSTILE = {
    "empty file": (b"", "truncated"),
    "seven bytes": (b"1234567", "truncated"),
    "header of 2^63": ((2**63).to_bytes(8, "little") + b"{}", "9,223,372,036,854,775,808"),
    "header of 2^64-1": (b"\xff" * 8 + b"{}", "claims a header"),
    "header past the end": ((50).to_bytes(8, "little") + b"{}", "truncated"),
    "no JSON": (with_header(b"\x80\x04pickle"), "no JSON object"),
    "blanks first": (with_header(b" {}"), "no JSON object"),
    "metadata a number": (with_header({"__metadata__": {"a": 1}}), "__metadata__"),
    "metadata a list": (with_header({"__metadata__": ["a"]}), "__metadata__"),
    "minus nothing": (with_header(b'{"w":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'), "well-formed"),
    "infinity by its exponent": (with_header(b'{"a": 1e999}'), "well-formed"),
    "half a character inside": (with_header(b'{"__metadata__":{"a":"\\uD83d \\ude00"}}'), "half a character"),
    "no object": (with_header([1, 2]), "no JSON object"),
    "deep nesting": (with_header(b'{"a":' + b"[" * 200_000), "well-formed"),
    "long number": (with_header(b'{"a":' + b"9" * 10_000 + b"}"), "well-formed"),
    "NaN": (with_header(b'{"a": NaN}'), "well-formed"),
    "no UTF-8": (with_header(b'{"\xff": 1}'), "well-formed"),
    "lone surrogate": (with_header(b'{"\\ud800": 1}'), "half a character"),
    "duplicate names": (with_header(b'{"w": 1, "w": 2}'), "'w' twice"),
    "duplicate keys": (with_header(b'{"w": {"dtype": "F32", "dtype": "F64"}}'), "'dtype' twice"),
    "no dtype": (with_header({"w": {"shape": [], "data_offsets": [0, 4]}}), "lacks its dtype"),
    "line is a list": (with_header({"w": []}), "lacks its dtype"),
    "unknown dtype": (with_header({"w": line("F33")}, bytes(16)), "unknown dtype 'F33'. Did you mean"),
    "dtype a number": (with_header({"w": line(7)}, bytes(16)), "unknown dtype '7'"),
    "negative dimension": (with_header({"w": line(shape=(-2, -2))}, bytes(16)), "no valid shape"),
    "fractional dimension": (with_header({"w": line(shape=(2.0, 2))}, bytes(16)), "no valid shape"),
    "boolean dimension": (with_header({"w": line(shape=(True, 4))}, bytes(16)), "no valid shape"),
    "many axes": (with_header({"w": line(shape=[1] * 33 + [4])}, bytes(16)), "no valid shape"),
    "shape that overflows": (with_header({"w": line(shape=(2**40, 2**40))}, bytes(16)), "overflows"),
    "dimension of 2^64": (with_header({"w": line(shape=(2**64,))}, bytes(16)), "no valid shape"),
    "shape and bytes differ": (with_header({"w": line(shape=(2, 3))}, bytes(16)), "should take 24 bytes"),
    "half a byte": (with_header({"w": line("F4", (3,), (0, 2))}, bytes(2)), "whole bytes"),
    "three offsets": (with_header({"w": line(offsets=(0, 8, 16))}, bytes(16)), "data_offsets"),
    "offset negative": (with_header({"w": line(offsets=(-16, 0))}, bytes(16)), "data_offsets"),
    "offsets backwards": (with_header({"w": line(offsets=(16, 0))}, bytes(16)), "before it starts"),
    "outside the file": (with_header({"w": line(offsets=(0, 16))}, bytes(12)), "outside the file"),
    "overlap": (with_header({"a": line(), "b": line(offsets=(8, 24))}, bytes(24)), "'a' and 'b' overlap"),
    "same bytes twice": (with_header({"a": line(), "b": line()}, bytes(16)), "overlap"),
    "hole": (with_header({"a": line(), "b": line(offsets=(20, 36))}, bytes(36)), "belong to no tensor"),
    "hole at the start": (with_header({"a": line(offsets=(4, 20))}, bytes(20)), "belong to no tensor"),
    "trailing bytes": (with_header({"a": line()}, bytes(20)), "after the last tensor"),
}


@pytest.mark.parametrize("data, words", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_headers_get_one_sentence(data, words):
    with pytest.raises(QuantvizError) as caught:
        parse(data)
    assert words in str(caught.value) and "f.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


GOOD = safetensors({"a": weights(2, 3), "b": weights(4, 1), "c": np.zeros(3, np.int8)})


@given(st.data())
def test_damage_anywhere_gives_a_sentence_or_a_sound_list(data):
    """Bytes changed, cut or added: QuantvizError, or tensors that lie within the file."""
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] + data.draw(st.binary(max_size=3))
    check_sound(bytes(damaged))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
lines = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*DTYPES, "F31", None]),
        "shape": st.lists(st.integers(-1, 6), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 64), min_size=2, max_size=2) | json_values,
    }
)


@given(st.dictionaries(st.text(max_size=4), lines | json_values, max_size=4) | json_values, st.integers(0, 64))
def test_any_json_gives_a_sentence_or_a_sound_list(header, size):
    check_sound(with_header(header, bytes(size)))


@given(st.binary(max_size=64))
def test_any_bytes_give_a_sentence(data):
    check_sound(data)


def check_sound(data: bytes) -> None:
    try:
        entries = parse(data)
    except QuantvizError as problem:
        assert str(problem)
        return
    for entry in entries:
        assert 8 <= entry.offset <= entry.offset + entry.info.nbytes <= len(data)


def test_tensors_of_one_name_in_two_files_are_both_listed():
    one, two = (parse(safetensors({"w": weights(1, n), f"own{n}": weights(1, 1)})) for n in (2, 3))
    assert list(union([("x/a.safetensors", 1, one), ("b.safetensors", 2, two)])) == [
        "x/a.safetensors:w",
        "own2",
        "b.safetensors:w",
        "own3",
    ]


@pytest.mark.parametrize("size", [0, 7])
def test_a_file_shorter_than_its_headers_length_is_truncated(size):
    with pytest.raises(QuantvizError, match=f"{size} bytes are fewer than a safetensors header takes"):
        header_length(bytes(size), size, "m")


def test_a_file_of_eight_bytes_has_a_header_of_none():
    assert header_length(bytes(8), 8, "m") == 0
