"""One block's arithmetic, spelled out: every line gives its weight, and every rule is told by its own formula."""

from __future__ import annotations

import re

import numpy as np
import pytest

import quantviz as qv
from quantviz.inspection import inspect_block
from quantviz.inspection.worked import arithmetic, block_rows, code_text, code_values, is_whole, rule_text
from quantviz.schemes import Scheme
from quantviz.text.wording import number

W = np.random.default_rng(6).standard_normal((4, 256), dtype=np.float32)
RULES = {  # scheme -> how its rule begins, and one line of its arithmetic
    "int4-sym-b32": (r"weight = code × scale, with scale 0\.\d+$", r"−?\d+ × 0\.\d+"),
    "int1-sym-b32": (r"weight = code × scale, with scale [\d.]+$", r"−?1 × [\d.]+"),
    "ternary-b32": (r"weight = code × scale, with scale [\d.]+$", r"(−1|0|1) × [\d.]+"),
    "int4-asym-b32": (r"weight = \(code − zero point\) × scale, with scale 0\.\d+ and zero point \d+$",
                      r"\(\d+ − \d+\) × 0\.\d+"),
    "int4-offset-b32": (r"weight = minimum \+ code × scale, with minimum −\d+\.?\d* and scale 0\.\d+$",
                        r"−\d+\.?\d* \+ \d+ × 0\.\d+"),
    "mxint8": (r"weight = code / 64 × scale, with scale [\d.]+$", r"−?\d+/64 × [\d.]+"),
    "nf4-b32": (r"weight = level of the code × largest magnitude, with largest magnitude [\d.]+$",
                r"\d+ → −?[\d.]+ × [\d.]+"),
    "fp8_e4m3-b32": (r"weight = value of the bit pattern \(sign · exponent · mantissa\) × scale, with scale 0\.\d+$",
                     r"[01]·[01]{4}·[01]{3} → −?[\d.]+ × [\d.]+"),
    "mxfp4": (r"weight = value of the bit pattern \(sign · exponent · mantissa\) × scale, with scale [\d.]+$",
              r"[01]·[01]{2}·[01] → −?[\d.]+ × [\d.]+"),
    "nvfp4": (r"weight = value of the bit pattern .* × scale, with scale [\d.]+$",
              r"[01]·[01]{2}·[01] → −?[\d.]+ × [\d.]+"),
    "bf16": (r"weight = value of the bit pattern \(sign · exponent · mantissa\); nothing is scaled$", r"0x[0-9A-F]{4}"),
    "fp8_e5m2": (r"weight = value of the bit pattern .*; nothing is scaled$", r"[01]·[01]{5}·[01]{2}"),
    "q4_0": (r"weight = \(code − 8\) × scale, with scale −?[\d.]+$", r"\(\d+ − 8\) × −?[\d.]+"),
    "q8_0": (r"weight = code × scale, with scale 0\.\d+$", r"−?\d+ × 0\.\d+"),
    "q4_1": (r"weight = minimum \+ code × scale, with minimum −[\d.]+ and scale 0\.\d+$", r"−[\d.]+ \+ \d+ × 0\.\d+"),
    "q4_k": (r"weight = minimum \+ code × scale; each 32 weights have a scale and minimum of their own$",
             r"−?[\d.]+ \+ \d+ × [\d.]+"),
    "q6_k": (r"weight = \(code − 32\) × scale; each 16 weights have a scale of their own$", r"\(\d+ − 32\) × −?[\d.]+"),
    "iq4_nl": (r"weight = number of the code × scale, with scale −?[\d.]+$", r"\d+ → −?\d+ × −?[\d.]+"),
}  # fmt: skip


def worth(line: str) -> float:
    """What the left side of a line comes to, where it holds no bits of a cast."""
    left = line.partition(" = ")[0].replace("−", "-").replace("×", "*")
    return eval(re.sub(r"\S+ → ", "", left))


@pytest.mark.parametrize("key", RULES)
def test_every_line_gives_its_weight_and_the_rule_its_formula(key):
    block = inspect_block(W, key, 0, 0)
    rule, written = RULES[key]
    assert re.fullmatch(rule, rule_text(block)), rule_text(block)
    lines, values = arithmetic(block), block.dequantized.reshape(-1)
    assert len(lines) == values.size
    largest = float(np.abs(values).max())
    for line, value in zip(lines, values.tolist(), strict=True):
        assert re.fullmatch(rf"{written} = −?[\d.e-]+", line.replace("e−", "e-")), line
        assert float(line.rpartition(" = ")[2].replace("−", "-")) == pytest.approx(value, rel=1e-3)
        if Scheme.parse(key).rule != "cast":  # whose line shows the bits alone
            assert worth(line) == pytest.approx(value, rel=5e-3, abs=2e-3 * largest), line


def in_float32(line: str) -> np.float32:
    """What a line's left side comes to, each number of it a float32."""
    left = line.partition(" = ")[0].replace("−", "-").replace("×", "*").replace(",", "")
    numbers = re.sub(r"(?<![\w.])\d+\.?\d*(e-?\d+)?", lambda m: f"F({m[0]})", re.sub(r"\S+ → ", "", left))
    return eval(numbers, {"F": np.float32})


OPTIONS = (
    "mxfp4:rule=even", "mxint8:rule=rceil", "mxfp8_e4m3:rule=nearest", "int4-sym-b32:range=full", "nvfp4:tensor=none",
    "int8-sym-b32:range=full,scale=fp32", "nvfp4:sixes=4", "int4-offset-b32:edge=1",
    "int3-offset-b64:edge=1,scale=fp32",
)  # fmt: skip


@pytest.mark.parametrize("key", [*OPTIONS, *(key for key in RULES if Scheme.parse(key).rule != "cast")])
def test_the_left_side_comes_to_the_right_one_to_its_last_digit(key):
    for row, col in ((0, 0), (1, 1), (3, 0)):
        block = inspect_block(W, key, row, 0 if key == "q4_k" else col if Scheme.parse(key).fmt.bits < 6 else 0)
        for line, y in zip(arithmetic(block), block.dequantized.reshape(-1).tolist(), strict=True):
            right = line.rpartition(" = ")[2]
            assert right == number(y) == number(float(in_float32(line))), line


def test_the_end_from_which_codes_count_is_called_so():
    assert re.fullmatch(r"weight = edge \+ code × scale, with edge −?[\d.]+ and scale −?[\d.]+",
                        rule_text(inspect_block(W, "int4-offset-b32:edge=1", 0, 0)))  # fmt: skip


def test_weights_kept_apart_say_so():
    row, col = np.unravel_index(np.abs(W).argmax(), W.shape)
    block = inspect_block(W, "int4-sym-b64:keep=1%", row, col // 64)
    lines = arithmetic(block)
    assert [line.startswith("kept in 16 bit: ") for line in lines] == block.kept.reshape(-1).tolist()
    assert any(block.kept.reshape(-1))


# -- what each code stands for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "codes", "values"),
    [("int3-sym-b32", range(-3, 4), range(-3, 4)), ("int3-asym-b32", range(8), range(8)),
     ("int3-offset-b32", range(8), range(8)), ("ternary-b32", (-1, 0, 1), (-1, 0, 1)),
     ("int1-sym-b32", (-1, 1), (-1, 1)),
     ("q4_0", range(16), range(-8, 8)), ("fp4_e2m1", (15, 14, 13, 12, 11, 10, 9, 0, 8, 1, 2, 3, 4, 5, 6, 7),
                                         (-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0, 0.5, 1, 1.5, 2, 3, 4, 6))],
)  # fmt: skip
def test_codes_rise_with_what_they_stand_for(key, codes, values):
    found = code_values(Scheme.parse(key))
    assert (found[0].tolist(), found[1].tolist()) == (list(codes), list(values))
    assert (found[0].dtype, found[1].dtype) == (np.int64, np.float64)


def test_codes_of_mxint8_are_sixty_fourths_and_no_code_stands_for_infinity():
    codes, values = code_values(Scheme.parse("mxint8"))
    assert np.array_equal(values, codes / 64)
    for key, finite in (("fp8_e4m3", 254), ("fp8_e5m2", 248), ("fp16", 63488)):
        codes, values = code_values(Scheme.parse(key))
        assert len(codes) == finite and np.isfinite(values).all() and (np.diff(values) >= 0).all()


@pytest.mark.parametrize(
    ("key", "code", "text"),
    [("int4-sym-b32", -3, "-3"), ("mxfp4", 9, "1·00·1"),
     ("fp8_e4m3-b32", 0x7E, "0·1111·110"), ("bf16", 0x3DCC, "0x3DCC"),
     ("fp16", 15, "0x000F"), ("fp32", 0xFF, "0x000000FF"), ("nf4-b64", 15, "15"),
     ("q4_0", 7, "7"), ("mxint8", -5, "-5")],
)  # fmt: skip
def test_a_code_is_written_as_it_is_best_read(key, code, text):
    assert code_text(Scheme.parse(key), code) == text


@pytest.mark.parametrize(
    ("key", "whole"),
    [("int4-sym-b32", True), ("ternary-b32", True), ("mxint8", True), ("q4_0", True), ("q6_k", True),
     ("nf4-b64", False),
     ("iq4_nl", False), ("mxfp4", False), ("bf16", False), ("fp8_e4m3-b32", False)],
)  # fmt: skip
def test_whole_numbers_are_told_from_patterns_and_entries(key, whole):
    assert is_whole(Scheme.parse(key)) is whole


# -- as columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "more"),
    [("int4-sym-b16x16", []), ("q4_0", []), ("q6_k", ["scale"]), ("q4_k", ["scale", "minimum"]), ("bf16", [])],
)
def test_the_columns_say_where_each_weight_is(key, more):
    w = np.tile(W, (8, 1))
    block = inspect_block(w, key, 1 if Scheme.parse(key).granularity else 0, 0)
    rows = block_rows(block)
    assert list(rows) == ["row", "column", *("original", "code", "arithmetic", "dequantized", "error"), *more]
    assert len(set(map(len, rows.values()))) == 1
    assert np.array_equal(w[rows["row"], rows["column"]], rows["original"])
    assert np.array_equal(qv.quantize(w, key).dequantize()[rows["row"], rows["column"]], rows["dequantized"])
    assert np.array_equal(rows["error"], rows["dequantized"] - rows["original"])
    assert not any("−" in line for line in rows["arithmetic"]), "a hyphen, as the table's own numbers have"
