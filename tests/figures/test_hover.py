"""What a figure tells where the pointer is: what was counted, not what was drawn; and text of strangers as text."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import figures
from quantviz.figures.quality_details import layer_errors
from quantviz.figures.style import plotly_text
from quantviz.quality.results import LayerError


@pytest.mark.parametrize("axis", ["log", "linear"])
def test_an_empty_bin_says_nothing_is_in_it(axis):
    w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    e = qv.evaluate(w, "int4-sym-tensor")
    for fig in (figures.weights(e, axis=axis), figures.errors(e, axis=axis)):
        for trace in fig.data:
            assert "customdata" in trace.hovertemplate
            empty = [told for told, y in zip(trace.customdata, trace.y, strict=True) if y < 1]
            assert all(round(float(told)) == 0 for told in empty)
    assert 0 in figures.weights(e, axis=axis).data[-1].customdata


def test_names_are_not_read_as_html_or_formulas():
    hostile = '<a href="http://evil.example">x</a><img src="x"> $y$ %{x}'
    drawn = layer_errors([LayerError(hostile, "int4-sym-b32", 0.1, 0.2, 4.5)]).to_json().replace("\\u003c", "<")
    assert "<a href" not in drawn and "<img" not in drawn and "$y$" not in drawn
    assert plotly_text("q4_0") == "q4_0" and plotly_text("a & b") == "a &amp; b"
