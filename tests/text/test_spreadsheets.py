"""Tables that people open in a spreadsheet compute nothing that a stranger wrote, and numbers stay numbers."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest

from quantviz.text.spreadsheets import csv_text, file_name

FORMULAS = (
    "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "a\r=1", '  =HYPERLINK("http://a.b")', "|x",
)  # fmt: skip


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_becomes_a_formula_in_a_cell_or_a_heading(text):
    for cell in (read(csv_text([text], [[text]]))[0][0], read(csv_text(["a"], [[text]]))[1][0]):
        assert cell[0] not in "=+-@\t\r |" and "\r" not in cell and cell[-2:] == text[-2:]


def test_numbers_stay_numbers():
    row = [-1.5, -3, np.float32(-0.25), np.int64(-7), 1e-300, math.inf, math.nan, None, True, (2, 3)]
    assert read(csv_text(map(str, range(len(row))), [row]))[1] == [
        "-1.5", "-3", "-0.25", "-7", "1e-300", "inf", "", "", "True", "2x3",
    ]  # fmt: skip


def test_text_that_is_no_utf8_and_separators_survive():
    assert read(csv_text(["a"], [['b,"c"\nd']]))[1] == ['b,"c"␊d']
    csv_text(["a"], [["\udcff"]]).encode()


@pytest.mark.parametrize("tensor", ("../../etc/passwd", "a/b:c", "CON?*<>|", "é" * 300, "\n\u202e", "", ".", "-rf"))
def test_files_are_called_by_plain_characters(tensor):
    name = file_name("quantviz", tensor, "int4-sym-b64")
    assert name.startswith("quantviz") and name.isascii() and len(name) <= 120
    assert not set(name) & set('/\\:*?"<>|\n ') and file_name(tensor).strip(".-_")
