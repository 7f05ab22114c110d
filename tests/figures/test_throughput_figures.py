"""The figures of a measurement draw what arrived, name every line, carry words, and stay small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantviz import figures
from quantviz.throughput import Card, Measurement

MOST_BYTES = 100_000  # of one figure as JSON
CARD = Card("cpu", "A processor", "cpu", 16 << 30, 8 << 30, 32 << 20, 2, None, {"python": "3.11"}, 20e9, None, 30e9)
SCHEMES = ("bf16", "int8-sym-channel", "int4-sym-b64", "int4-asym-b64", "nf4-b64", "mxfp4", "nvfp4", "fp8_e4m3",
           "int3-sym-b64", "int2-sym-b64", "fp4_e2m1-b64")  # fmt: skip


def measured(scheme: str = "int4-sym-b64", repeats: int = 1, median_s: float | None = 0.01, **more) -> Measurement:
    """A decode step of 1 GB of weights that takes median_s."""
    derived = {} if median_s is None else {
        "min_s": 0.9 * median_s, "max_s": 1.2 * median_s, "bytes_per_s": 1e8 / median_s, "tokens_per_s": 1 / median_s,
        "weights_per_s": 2e8 / median_s, "speedup_over_bf16": 0.02 / median_s, "share_of_copy": 0.005 / median_s,
    }  # fmt: skip
    facts = {"median_s": median_s, "repeats": repeats, "correct": True, "memory_bytes": 100_000_000, "model": "0.5B"}
    return Measurement("decode", scheme, (200_000_000,), 1, "cpu", **{**facts, **derived, **more})


def arrived(rounds: int = 5, schemes=SCHEMES) -> list[Measurement]:
    return [measured(s, r + 1, 0.01 + 0.001 * i) for r in range(rounds) for i, s in enumerate(schemes)]


def drawn(figure) -> None:
    assert len(figures.alt_text(figure)) > 30
    assert len(figure.to_json()) < MOST_BYTES


@pytest.mark.parametrize("quantity", ["bandwidth", "speed", "factor"])
def test_a_line_a_contender_each_named_at_its_end_without_overlap(quantity):
    figure = figures.throughput.rounds(arrived(), CARD, "decode", quantity)
    drawn(figure)
    lines = [t for t in figure.data if t.mode == "lines+markers"]
    assert [len(t.x) for t in lines] == [5] * len(SCHEMES)
    names = [a for a in figure.layout.annotations if a.xanchor == "left" and a.xref == "paper" and a.x == 1]
    assert [n.text.split()[0] for n in names] == list(SCHEMES)
    top = figure.layout.yaxis.range[1]
    heights = sorted(n.y for n in names)
    assert min(np.diff(heights)) >= 0.0549 * top and 0 <= heights[0] and heights[-1] <= top * 1.0001
    looks = {(t.line.color, t.line.dash) for t in lines}
    assert len(looks) == len(SCHEMES), "no two lines look alike"


def test_many_rounds_are_thinned_and_the_last_is_drawn():
    figure = figures.throughput.rounds(arrived(1001, SCHEMES[:2]), CARD, "decode")
    drawn(figure)
    for line in (t for t in figure.data if t.mode == "lines+markers"):
        assert len(line.x) <= 100 and line.x[-1] == line.customdata[-1] == 1001


def test_the_copy_ceiling_is_a_line_above_in_bytes_a_second_and_nowhere_else():
    figure = figures.throughput.rounds(arrived(), CARD, "decode", "bandwidth")
    ceilings = [t for t in figure.data if t.mode == "lines"]
    assert [t.y[0] for t in ceilings] == [20.0, 30.0]
    assert "copy bandwidth at 20 GB/s" in figures.alt_text(figure)
    others = [figures.throughput.rounds(arrived(), CARD, "decode", q) for q in ("speed", "factor")]
    assert not [t for fig in others for t in fig.data if t.mode == "lines"]


def test_nothing_timed_draws_nothing_and_says_so():
    for nothing in ([], [measured(median_s=None, repeats=0)], [measured()]):
        figure = figures.throughput.rounds(nothing, None, "linear")
        assert not figure.data and "No round of linear" in figures.alt_text(figure)
    empty = figures.throughput.error_and_speed([measured(median_s=None)], {"int4-sym-b64": 20.0})
    assert not empty.data and figures.alt_text(empty)


def test_without_a_ceiling_yet_the_lines_stand_alone():
    assert {t.mode for t in figures.throughput.rounds(arrived(1), None, "decode").data} == {"lines+markers"}


def test_speed_beside_error_places_each_scheme_by_both():
    schemes = {"bf16": 52.0, "int4-sym-b64": 19.0, "mxfp4": 18.5, "fp32": math.inf}
    lines = [measured("bf16", 9, 0.02), measured(median_s=0.01, memory_bytes=25_000_000),
             measured("mxfp4", 9, 0.04), measured("fp32", 9, 0.04), measured("nf4-b64", 9, 0.02),
             measured("nvfp4", 0, None)]  # fmt: skip
    figure = figures.throughput.error_and_speed(lines, schemes)
    drawn(figure)
    bubbles = figure.data[-1]
    assert list(bubbles.x[:3]) == [52.0, 19.0, 18.5] and list(bubbles.y) == [50.0, 100.0, 25.0, 25.0]
    assert bubbles.x[3] > 52 and "no error" in [a.text for a in figure.layout.annotations], "at the right end"
    assert bubbles.x[3] < figure.layout.xaxis.range[1]
    assert bubbles.marker.size[0] == pytest.approx(2 * bubbles.marker.size[1]), "area, not width, is memory"
    assert len(set(bubbles.marker.color)) == 3, "baseline, faster, slower"
    left_out = figures.throughput.without_place(lines, schemes)
    assert "fp32" not in left_out and "nf4-b64 (no SQNR" in left_out and "nvfp4 (not timed" in left_out
    assert figures.throughput.without_place(lines[:3], schemes) == ""


def test_labels_of_bubbles_do_not_cover_each_other():
    same = [measured(s, 9, 0.01) for s in SCHEMES[1:5]]
    figure = figures.throughput.error_and_speed(same, dict.fromkeys(SCHEMES, 20.0))
    labels = [a for a in figure.layout.annotations if a.text in SCHEMES]
    assert 1 <= len(labels) <= 2


def test_weights_a_second_are_drawn_in_millions_where_no_tokens_are_made():
    figure = figures.throughput.rounds([measured(tokens_per_s=None)], CARD, "decode", "speed")
    assert figure.data[0].y[0] == 2e10 / 1e6 and figure.layout.yaxis.title.text == "million weights/s"
