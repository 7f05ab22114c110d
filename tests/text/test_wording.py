"""One writer of numbers: the same quantity reads the same everywhere, and nothing reads as what it is not."""

from __future__ import annotations

import ast
import itertools
import math
import re
from pathlib import Path

import pytest

from quantviz.metrics import METRICS, difference, value_text
from quantviz.text.wording import (
    MINUS,
    about,
    bits,
    count,
    decibels,
    decimals,
    duration,
    number,
    plural,
    share,
    signed,
    size,
)

ROOT = Path(__file__).parents[2]
VALUES = (
    0.0,
    -0.0,
    1e-30,
    9.6e-16,
    0.05713,
    0.5,
    0.99995,
    1.0,
    4.3125,
    9.9995,
    12.0,
    99.995,
    999.95,
    1234.5,
    1e6,
    1e30,
)


@pytest.mark.parametrize("x", [*VALUES, *(-v for v in VALUES), math.inf, -math.inf, math.nan])
def test_there_is_one_minus_and_no_negative_nothing(x):
    texts = [number(x), number(x, 3, fixed=True), decimals(x, 3), decibels(x)]
    texts += [value_text(name, x) for name in METRICS]
    for text in texts:
        assert "-" not in text and text
        assert not (text.startswith(MINUS) and not re.search(r"[1-9∞]", text)), text
        assert not text.endswith("."), text


@pytest.mark.parametrize(("x", "text"), [(4.3125, "4.313"), (2.0625, "2.063"), (6.5625, "6.563"), (4.5, "4.500")])
def test_ties_are_written_as_browsers_write_them(x, text):
    assert bits(x) == text == value_text("bits_per_weight", x)


@pytest.mark.parametrize(
    ("values", "of"), [((9.27, 9.111, 11.06, 10.6, 18.003), "mean_relative_error"), ((0.5, 0.125, 0.3), "rmse")]
)
def test_figures_of_a_column_keep_their_zeros(values, of):
    scale = 100 if METRICS[of].unit == "fraction" else 1
    assert {len(re.sub(r"\D", "", value_text(of, v / scale)).lstrip("0")) for v in values} == {4}


def test_a_sqnr_of_nothing_is_nothing():
    assert decibels(-9.643e-16) == "0.00 dB" and value_text("sqnr_db", -9.643e-16) == "0.00 dB"
    assert value_text("sqnr_db", math.inf) == "∞ dB" and value_text("sqnr_db", math.nan) == "undefined"


@pytest.mark.parametrize(
    ("n", "text"), [(1, "1 weight"), (0, "0 weights"), (2, "2 weights"), (1e6, "1 million weights")]
)
def test_one_is_singular(n, text):
    assert plural(n, "weight") == text


@pytest.mark.parametrize("n", [999, 999_499, 999_500, 999_999, 999_499_999, 999_500_000, 10**12, 10**15])
def test_counts_and_sizes_never_fall_back_to_powers(n):
    assert "e+" not in count(n) and "e+" not in size(n)
    assert float(re.match(r"[\d,.]+", count(n))[0].replace(",", "")) > 0


OURS = sorted([*ROOT.glob("pages/**/*.py"), *ROOT.glob("quantviz/**/*.py")])


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_counted_may_be_one(path):
    """A noun behind count() is written by plural(), which knows the singular."""
    found = []
    for text in (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.JoinedStr)):
        for n, words in itertools.pairwise(text.values):
            if isinstance(n, ast.FormattedValue) and isinstance(words, ast.Constant):
                called = isinstance(n.value, ast.Call) and ast.unparse(n.value.func) == "count"
                if called and re.match(r" (?!of )[a-z]+s\b", words.value):
                    found.append(f"{text.lineno}: {ast.unparse(n.value)}{words.value[:20]}")
    assert not found, f"{path.relative_to(ROOT)}: use plural(): " + "; ".join(found)


def test_a_share_hides_no_rest():
    assert share(0.9999999) == "over 99.9%" and share(1.0) == "100%" and share(1e-12) == "less than 0.0001%"
    assert share(1 / 6) == "16.7%"


def test_a_time_is_not_about_less_than_a_second():
    assert about(0.3) == duration(0.3) == "less than a second" and about(3599) == "about 60 min"


def test_differences_have_a_sign_unless_they_are_nothing():
    assert difference("sqnr_db", 20, 20.0001) == "0.00 dB" and difference("mse", 1, 2) == f"{MINUS}1.00"
    assert signed(decimals(0.2, 1)) == "+0.2" and signed(decimals(-0.2, 1)) == "−0.2" and signed("0") == "0"
    assert difference("sqnr_db", math.inf, 20) is None


# Where numbers are written for people outside wording: what is left is fixed formats of whole numbers, of settings
# that a visitor typed, of code to copy, and hover texts that Plotly fills in.
WRITERS = sorted([*ROOT.glob("pages/**/*.py"), *ROOT.glob("quantviz/figures/*.py"),
                  ROOT / "quantviz/evaluation/sentences.py", *ROOT.glob("quantviz/outliers/*.py")])  # fmt: skip
PLAIN = {"quantviz/figures/blocks.py": "x0 y0 x1 y1", "quantviz/outliers/cures.py": "percent"}  # paths, scheme keys


@pytest.mark.parametrize("path", WRITERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_number_is_written_past_the_writer(path):
    found, plain = [], PLAIN.get(str(path.relative_to(ROOT)), "").split()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
            spec = "".join(str(p.value) for p in node.format_spec.values if isinstance(p, ast.Constant))
            if re.search(r"[+~]|\d[gef%]|^[g%]$", spec) and ast.unparse(node.value) not in plain:
                found.append(f"{node.lineno}: {{{ast.unparse(node.value)}:{spec}}}")
    assert not found, f"{path.relative_to(ROOT)} writes numbers itself; use quantviz.text.wording: " + "; ".join(found)
