"""How numbers and tables are written, over every branch of what writes them, is what it was before."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from quantviz.text import plain, printable, spreadsheets, typeset, wording
from quantviz.text.numbers import real_number, whole_number
from tests.recorded import interface

# About every limit at which something is written otherwise: below, on and above it.
EDGES = (1e-12, 1e-6, 1e-4, 0.01, 0.5, 1, 9.995, 12, 59.5, 60, 89.5, 90, 99.95, 100, 999.5, 1e3, 3599.5, 3600, 7260,
         9999.5, 999_500, 1e6, 999.5e6, 1e9, 999.5e9, 1e12, 999.5e12, 1e16, 1e300)  # fmt: skip
VALUES = [0.0, math.inf, *itertools.chain.from_iterable((0.9999 * x, x) for x in EDGES)]
WRITERS: dict[str, Callable[[float], str]] = {
    "number": wording.number,
    "two digits": lambda x: wording.number(x, 2),
    "fixed": lambda x: wording.number(x, 3, fixed=True),
    "decimals": lambda x: wording.decimals(x, 1),
    "no decimals": lambda x: wording.decimals(x, 0),
    "signed": lambda x: wording.signed(wording.number(x)),
    "share": wording.share,
    "bits": wording.bits,
    "decibels": wording.decibels,
}
OF_COUNTS: dict[str, Callable[[float], str]] = {
    "plural": lambda x: wording.plural(x, "tensor"),
    "irregular": lambda x: wording.plural(x, "granularity", "granularities"),
    "count": wording.count,
    "size": wording.size,
    "duration": wording.duration,
    "about": wording.about,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_numbers(writer, kept):
    kept({repr(x): WRITERS[writer](x) for x in [*VALUES, *(-x for x in VALUES[::5]), math.nan]})


@pytest.mark.parametrize("writer", OF_COUNTS)
def test_counts_sizes_and_times(writer, kept):
    kept({repr(x): OF_COUNTS[writer](x) for x in VALUES if math.isfinite(x)})


def test_places_names_and_shapes(kept):
    kept([wording.places("row", start, stop) for start, stop in ((0, 1), (3, 4), (0, 2), (999, 2001), (5, 5000))])
    names = [f"n{i}" for i in range(101)]
    kept({str(n): wording.listed(names[:n], 3) for n in range(1, 7)})
    kept([wording.listed(names[:100])[-12:], wording.listed(names)[-20:]])
    kept([wording.shape(dims) for dims in ((), (1,), (4096, 1024), (2, 3, 1000))])


def test_numbers_that_are_read(kept):
    texts = ("0", "-0", "7", "-7", "007", "18446744073709551615", "18446744073709551616", "9" * 40, "9" * 41, "-1",
             ".5", "5.", "-.5", "1e5", "1E+05", "1e12345", "1e-400", "1e400", ".", "-", "", "1.2.3", "e5")  # fmt: skip
    kept({text: [whole_number(text), whole_number(text, -5, 10), real_number(text)] for text in texts})
    kept([whole_number(str(n), -5, 10) for n in (-6, -5, -4, 9, 10, 11)])


HEADINGS = ["Scheme_1", "SQNR", "Error", "Bits", "Change", "Share", "Note"]
ROWS = {
    "plain": [["int4_x", "23.33 dB", "0.5", "4.5", "+0.3%", "12%", "a|b"],
              ["fp8~", "9.1 dB", "–", "1,234.125", "−12.25%", "3%", "ü → Ж"],
              ["<b>", "–", "", "16", "0%", "–", "50% & $5 #1 {x} \\ ^"]],
    "errors": [["a", "1.5 ± 0.25 dB", "1e-5", "4", "−1", "1 kB", "x"],
               ["b", "12.75 ± 0.5 dB", "2.5e+10", "5", "−2", "2 MB", "3"],
               ["c", "–", "3", "–", "–", "–", "4"]],
    "one": [["a", "1", "2.25", "−3", "+4.5", "5 dB", "6"]],
    "no numbers": [["a", "–", "", "x", "1 dB", "1", "1.2.3"], ["b", "–", "", "5", "2", "2 dB", "5"]],
    "none": [],
}  # fmt: skip


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("caption", ["", "Errors_of 100% & more | all"])
def test_typeset_tables(rows, caption, kept):
    for table in (typeset.latex, typeset.markdown):
        kept(dict(enumerate(table(HEADINGS, ROWS[rows], caption).splitlines())))


def test_every_sign_in_latex(kept):
    signs = "".join(typeset._LATEX) + "aéſƀЖ😀\n\x00"
    kept({sign: typeset._in_latex(sign) for sign in signs} | {"markdown": typeset._in_markdown(signs)})


def test_tables_for_spreadsheets_and_names_of_files(kept):
    values = [0, -1, 1.5, -0.25, math.nan, math.inf, None, True, False, "", "a", "=1", " +1", "-1", "a=1", (2, 3),
              (2, "x"), [1.5, 2], np.float32(0.1), np.int8(-3), "x" * 30_001, 'a"b', "a,b"]  # fmt: skip
    kept(dict(enumerate(line for v in values for line in spreadsheets.csv_text(["a", "b"], [[v, 1]]).split("\n")[1:])))
    names = (("quantviz", "a/b", "c:d=e"), ("..",), ("",), ("x" * 119,), ("x" * 120,), ("x" * 121,), ("é", 3), ("-a-",))
    kept([spreadsheets.file_name(*parts) for parts in names])
    kept(len(spreadsheets.file_name("a", "b" * 1100)))


def test_json_of_anything(kept):
    kept(plain.plain({"a": [1, (2.5, math.nan)], "b": {"c": math.inf, "d": np.arange(3) / 2, "e": None}, "f": True,
                      "g": np.float32("nan"), "h": "text", "i": np.bool_(False)}))  # fmt: skip


def test_printable_text(kept):
    texts = ("a", "a\nb\tc\r", "\x00\x1b[0m", "\ud800", "\u202eabc", "x" * 500, " a ", "é\u0301", "\x7f\x85", "\ufeff")
    kept({repr(text): printable.printable(text) for text in texts})
    kept([printable.printable("abcdefghij" * 5, most) for most in (10, 11, 20, 49, 50, 51)])


def test_the_interface(kept):
    kept(interface("text"))
