"""Every figure of Learn: plotly takes each of its properties, it has words, and it can be enlarged for a class."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.figures import alt_text, lessons
from quantviz.figures.style import enlarged
from quantviz.lessons.memory import sizes
from quantviz.lessons.next_words import NextWords
from quantviz.lessons.outlier import block_sizes, pulled
from quantviz.lessons.rounding import SIX, rounded
from quantviz.lessons.speed import allowed

WORDS = (" light", " no")
FIGURES = {
    "memory": lambda: lessons.memory_bars(sizes(8.0), 16_000_000_000),
    "rounding": lambda: lessons.rounding_line(rounded(SIX, "int4-asym-tensor:scale=fp32")),
    "near zero": lambda: lessons.near_zero(
        qv.describe(np.random.default_rng(0).standard_normal((64, 64), np.float32)), ("int8", "nf4")
    ),
    "outlier": lambda: lessons.pulled(pulled(20.0)),
    "blocks": lambda: lessons.block_curve(block_sizes("sym"), 32),
    "next words": lambda: lessons.next_words(
        NextWords(None, WORDS, (0.75, 0.25), " light", 0.0, (1.0,)),
        NextWords("int4-sym-b32", WORDS, (0.5, 0.25), " light", 0.1, (1.1,)),
    ),
    "speed": lambda: lessons.tokens_allowed(allowed("8b")),
}


@pytest.mark.parametrize("name", FIGURES)
def test_plotly_takes_every_property_and_the_figure_can_be_enlarged(name):
    fig = FIGURES[name]()
    large = enlarged(fig, 1.6)
    assert alt_text(large) == alt_text(fig) and len(alt_text(fig)) > 40
    assert large.layout.height == pytest.approx(1.6 * fig.layout.height)


def test_every_value_of_a_format_stands_where_its_largest_is_the_layer_s():
    statistics = qv.describe(np.random.default_rng(0).standard_normal((64, 64), np.float32))
    reach = statistics.max_abs / statistics.std
    nf4, fp4, fp8 = lessons.near_zero(statistics, ("nf4", "fp4_e2m1", "fp8_e4m3")).data[1:]
    assert [len(trace.x) for trace in (nf4, fp4, fp8)] == [16, 15, 253]
    for trace in (nf4, fp4, fp8):
        assert (trace.x[0], trace.x[-1]) == (pytest.approx(-reach), pytest.approx(reach))
