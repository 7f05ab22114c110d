"""The table of packed formats on the page says what is true."""

from __future__ import annotations

import json
from importlib.resources import files

import quantviz.checkpoints
from quantviz.checkpoints.conformance import FILE, conformance, conformance_rows
from tests.checkpoints.conformance import text


def test_the_table_is_that_of_the_readers_as_they_are():
    kept = files(quantviz.checkpoints).joinpath(FILE).read_text("utf-8")
    assert json.loads(kept) == json.loads(text()), "write it anew: python -m tests.checkpoints.conformance"


def test_everything_is_equal_and_every_layout_says_how_it_lies():
    for row in conformance():
        assert row.holds and row.cases > 0 and row.library[-1].isalnum()
        assert all(layout.fields and layout.rule and layout.bits_per_weight > 0 for layout in row.layouts)
    assert len(conformance_rows()) == len(conformance())
