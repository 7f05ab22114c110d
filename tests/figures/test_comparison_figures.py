"""The figures of Compare hold every scheme where it belongs, carry words, and stay small."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import figures
from quantviz.evaluation.comparison import evaluations, pareto
from quantviz.evaluation.limits import gaussian_sqnr_db, optimal_scalar
from quantviz.figures.comparison import COLUMNS, MOST_PANELS, PANEL_BINS
from quantviz.figures.style import ORIGINAL, end_name

KEYS = ("int4-sym-tensor", "int4-sym-b64", "int4-asym-b64", "nf4-b64", "mxfp4", "int8-sym-b64", "fp32")
MOST_BYTES = 400_000


@pytest.fixture(scope="module")
def made() -> list[qv.Evaluation]:
    w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    w[0, 0] = 20
    return list(evaluations(w, KEYS))


@pytest.fixture(scope="module")
def limits(made):
    return optimal_scalar(made[0].statistics.histogram)


def points(figure) -> dict[str, tuple[float, float]]:
    return {
        key: (x, y)
        for trace in figure.data
        if trace.text is not None
        for key, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }


def test_words_stand_at_their_anchor_whatever_the_width_of_their_letters(made):
    notes = figures.histogram_grid(made).layout.annotations
    assert all(note.align == note.xanchor for note in notes) and end_name("a", 0, ORIGINAL)["align"] == "left"


def test_every_scheme_stands_at_its_bits_and_error(made, limits):
    placed = points(figures.trade_off(made, "int4-sym-b64", limits))
    assert set(placed) == set(KEYS) - {"fp32"}, "without an error there is no SQNR to draw"
    for e in made:
        if e.scheme in placed:
            assert placed[e.scheme] == (e.metrics["bits_per_weight"], e.metrics["sqnr_db"])


def test_the_front_and_the_limits_are_drawn(made, limits):
    figure = figures.trade_off(made, None, limits)
    finite = made[:-1]
    front = pareto([e.metrics["bits_per_weight"] for e in finite], [e.metrics["sqnr_db"] for e in finite])
    gaussian, scalar, line = figure.data[:3]
    t = made[0].statistics
    assert [gaussian_sqnr_db(x, t.mean, t.std) for x in gaussian.x] == pytest.approx(list(gaussian.y))
    assert list(scalar.x) == [q.bits for q in limits if q.resolved]
    assert list(line.x) == [finite[i].metrics["bits_per_weight"] for i in front]
    words = figures.alt_text(figure)
    assert all(finite[i].scheme in words for i in front)


def test_the_gaussian_line_of_weights_about_one_lies_above_what_was_measured():
    """N(1, 0.05): Σx² holds the mean, which costs no bits, so that 4 bits can give 50 dB."""
    w = 1 + 0.05 * np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    made = list(evaluations(w, ["int4-offset-tensor", "int8-offset-tensor"]))
    line = figures.trade_off(made, None).data[0]
    slope = (line.y[1] - line.y[0]) / (line.x[1] - line.x[0])
    at_four = line.y[0] + slope * (4 - line.x[0])
    assert slope == pytest.approx(6.0206, abs=1e-3) and at_four == pytest.approx(50.1, abs=0.2)
    for e in made:
        assert e.metrics["sqnr_db"] < line.y[0] + slope * (e.metrics["bits_per_weight"] - line.x[0])


def test_equal_weights_have_no_gaussian_line():
    made = list(evaluations(np.full((4, 64), 0.3, np.float32), ["int4-sym-b32", "nf4-b64"]))
    assert not figures.trade_off(made, None).data[0].x
    assert figures.limits_note(made, []).startswith("All weights are equal")


def test_the_pinned_scheme_is_marked(made, limits):
    assert "int4-sym-b64 (pinned)" in str(figures.trade_off(made, "int4-sym-b64", limits).layout.annotations)
    assert "(pinned)" not in str(figures.trade_off(made, "nvfp4", limits).layout.annotations)
    assert "(pinned)" in str(figures.histogram_grid(made, "nf4-b64").layout.annotations)


def test_the_note_names_what_has_no_place(made, limits):
    note = figures.limits_note(made, limits)
    assert "fp32" in note and "2,048 bins" in note
    assert "tells no more than" not in figures.limits_note(made, [q for q in limits if q.resolved])


def test_panels_are_staircases_that_stay_in_their_cell(made):
    figure = figures.histogram_grid(made)
    assert len(figure.data) == 2, "two paths, however many panels"
    for trace in figure.data:
        starts = np.flatnonzero(np.isnan(trace.x))
        assert len(starts) == len(made)
        panels = zip(np.split(trace.x, starts)[:-1], np.split(trace.y, starts)[:-1], strict=True)
        for position, (x, y) in enumerate(panels):
            row = -(-len(made) // COLUMNS) - 1 - position // COLUMNS
            assert len(x[~np.isnan(x)]) <= 2 * PANEL_BINS + 2
            assert position % COLUMNS <= np.nanmin(x) and np.nanmax(x) < position % COLUMNS + 1
            assert row <= np.nanmin(y) and np.nanmax(y) < row + 0.8


def test_figures_stay_small_and_say_what_they_show(made):
    many = (made * 40)[:200]
    for figure in (figures.trade_off(many), figures.histogram_grid(many)):
        assert figures.alt_text(figure) and len(figure.to_json()) < MOST_BYTES
    assert f"{MOST_PANELS} schemes" in figures.alt_text(figures.histogram_grid(many))


def test_nothing_one_and_only_perfect_schemes_draw(made):
    for some in ([], made[:1], made[-1:]):
        assert figures.alt_text(figures.trade_off(some)) and figures.alt_text(figures.histogram_grid(some))


def test_the_outputs_sqnr_has_an_axis_of_its_own_and_no_limits():
    x = np.random.default_rng(1).standard_normal((512, 128), dtype=np.float32)
    w = np.random.default_rng(2).standard_normal((32, 128), dtype=np.float32)
    c = qv.Calibration.of(x)
    made = [qv.evaluate(w, key, calibration=c) for key in ("int4-asym-b64", "int8-sym-b32")]
    figure = figures.trade_off(made, metric="output_sqnr_db")
    assert figure.layout.yaxis.title.text == "SQNR of the layer's output, dB" and not figure.data[0].x
    assert figures.alt_text(figure).startswith("Bits per weight against SQNR of the layer's output for 2 schemes")
    assert "dashed" not in figures.alt_text(figure)


def test_what_a_scheme_without_error_beats_is_drawn_as_beaten():
    w = np.full((1, 1), 0.5, np.float32)
    fig = figures.trade_off([qv.evaluate(w, key) for key in ("int4-sym-b64", "mxfp4")])
    assert fig.data[3].text == ("int4-sym-b64",) and not len(fig.data[4].x)
    assert "All are beaten by one without any error" in figures.alt_text(fig)
    assert "dashed" not in figures.alt_text(fig), "all weights are equal: no limit is drawn"
