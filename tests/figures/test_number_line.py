"""The number line: every value of small formats a tick, honest gaps in wide ones, marks where numbers land."""

import numpy as np
import pytest

from quantviz.figures.number_line import (
    MOST_TICKS,
    FormatRow,
    Linear,
    SymmetricLog,
    describe,
    number_line,
    ticks,
    whole_range,
)
from quantviz.formats import FORMATS, get
from quantviz.formats.bits import decode, ranks


@pytest.mark.parametrize("f", [f for f in FORMATS.values() if f.bits <= 8], ids=lambda f: f.name)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_every_value_of_a_small_format_is_a_tick(f, logarithmic):
    lines = [FormatRow(f)]
    row = number_line(lines, whole_range(lines), logarithmic).data[0]
    finite = {v for c in range(2**f.bits) if np.isfinite(v := decode(f, c))}
    assert len(row.x) == len(ranks(f)) == len(finite)
    assert list(row.x) == sorted(row.x)


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("place", [Linear(), SymmetricLog(2.0**-140)])
def test_wide_formats_are_drawn_to_the_pixel(name, place):
    line = FormatRow(get(name))
    values = ticks(line, (-8.0, 8.0), place)
    assert len(values) <= MOST_TICKS and values[0] == -8 and values[-1] == 8
    assert all(np.diff(values) > 0)


def test_symmetric_log_is_odd_monotone_and_inverted():
    place = SymmetricLog(0.25)
    x = np.array([-100, -1, -0.25, -0.1, 0, 0.1, 0.25, 1, 100])
    assert np.all(np.diff(place(x)) > 0)
    assert np.array_equal(place(-x), -place(x))
    assert place.inverse(place(x)) == pytest.approx(x)
    assert float(place(1.0)) == 3  # two octaves above the threshold, which lies at 1


def test_marks_only_what_the_window_shows():
    lines = [FormatRow(get("fp8_e4m3"), landed=0.1015625), FormatRow(get("fp4_e2m1"), landed=0.0)]
    figure = number_line(lines, (-1, 1), marked=0.1)
    diamonds = [t for t in figure.data if t.marker.symbol == "diamond"]
    assert [t.x[0] for t in diamonds] == [0.1015625, 0.0]
    assert figure.layout.shapes[0].x0 == 0.1
    outside = number_line(lines, (0.5, 1), marked=0.1)
    assert not outside.layout.shapes and len(outside.data) == 2


def test_a_scale_moves_the_values():
    values = ticks(FormatRow(get("int4"), 0.5), (-10, 10), Linear())
    assert values[0] == -4 and values[-1] == 3.5 and len(values) == 16


def test_words_count_and_say_where_the_number_lands():
    lines = [FormatRow(get("fp8_e4m3"), landed=0.1015625), FormatRow(get("bf16"), landed=0.10009765625)]
    text = describe(lines, (-1.0, 1.0), 0.1)
    assert "fp8_e4m3 has 113" in text and "drawn as one" in text
    assert "0.1 (dashed line) becomes 0.1015625 in fp8_e4m3, 0.10009765625 in bf16" in text
    assert "dashed" not in describe(lines, (1.0, 2.0), 0.1)


@pytest.mark.parametrize("window", [(0.1, 0.11), (-3e38, 3e38), (0.0, 0.0), (-1e-45, 1e-45)])
def test_any_window_draws_with_labels(window):
    figure = number_line([FormatRow(get("fp32")), FormatRow(get("nf4"))], window, logarithmic=True)
    assert len(figure.layout.xaxis.ticktext) >= 1
    assert figure.layout.xaxis.range[0] < figure.layout.xaxis.range[1]
