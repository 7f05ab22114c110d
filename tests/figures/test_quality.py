"""The figures of Quality hold every scheme where it belongs, carry words, and stay small."""

from __future__ import annotations

import math

import pytest

from quantviz import figures
from quantviz.figures.quality import MOST_LINES, lines
from quantviz.quality.results import LayerError, SuperWeights
from quantviz.quality.train_demo.log import demo_checkpoints
from tests.quality.made_up import collapsed, result

MOST_BYTES = 100_000
RESULTS = [
    result("int8-sym-b32", 1.0004, 0.0005), result("int4-sym-b32", 1.0147, 0.004), result("int2-sym-b32", 3.6, 0.14),
    result("int8-asym-b32", 0.9999, 0.0002), result("int4-asym-b32", 1.0036, 0.003), result("nf4-b64", 1.01, 0.003),
    result("fp32", 1.0, 0.0), result("int4-sym-tensor", 1.05, 0.01, windows=3), collapsed("int2-sym-tensor"),
    result("down_proj=int8-sym-b32;*=int4-sym-b32", 1.008, 0.002),
]  # fmt: skip


def placed(figure) -> dict[str, tuple[float, float]]:
    """scheme -> where it stands"""
    return {
        text.removeprefix("<b>").partition("</b>")[0]: (x, y)
        for trace in figure.data
        if trace.text is not None
        for text, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }


@pytest.mark.parametrize("drawn", [figures.quality.ratios, figures.quality.divergences])
def test_every_scheme_stands_at_its_bits_and_cost(drawn):
    points = placed(drawn(RESULTS))
    assert set(points) == {r.scheme for r in RESULTS}
    for r in RESULTS:
        cost = r.added if drawn is figures.quality.ratios else r.kl_mean
        assert points[r.scheme][0] == r.bits_per_weight
        if not r.collapsed and cost > 0:
            assert points[r.scheme][1] == cost


def test_what_adds_nothing_stands_on_the_floor_and_what_is_lost_at_the_ceiling():
    figure = figures.quality.ratios(RESULTS)
    low, high = (10**end for end in figure.layout.yaxis.range)
    points = placed(figure)
    assert low < points["fp32"][1] == points["int8-asym-b32"][1] < 0.0004
    assert 2.6 < points["int2-sym-tensor"][1] < high
    legend = " ".join(annotation.text for annotation in figure.layout.annotations)
    assert "≈ 0" in legend and "no finite figure" in legend


def test_error_bars_reach_one_standard_error_and_never_below_the_floor():
    figure = figures.quality.ratios(RESULTS)
    floor = 10 ** figure.layout.yaxis.range[0]
    errors = {r.scheme: r.perplexity_ratio_se for r in RESULTS}
    for trace in figure.data:
        if trace.error_y.array is not None:
            for text, y, up, down in zip(
                trace.text, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True
            ):
                se = errors[text.removeprefix("<b>").partition("</b>")[0]]
                assert up == se and floor < y - down and down <= se * 1.0001


def test_integers_of_one_symmetry_and_granularity_share_a_line():
    drawn = {line.name: [r.scheme for r in line.results] for line in lines(RESULTS)}
    assert drawn["int sym b32"] == ["int2-sym-b32", "int4-sym-b32", "int8-sym-b32"]
    assert drawn["int sym tensor"] == ["int2-sym-tensor", "int4-sym-tensor"]
    assert drawn[""] == ["nf4-b64", "fp32", "down_proj=int8-sym-b32;*=int4-sym-b32"]
    many = [result(f"int{bits}-sym-b{block}") for bits in (2, 4) for block in (16, 32, 48, 64, 96, 128, 256, 512)]
    assert len(lines(many)) == MOST_LINES + 1, "what has no line left stands by itself"


def test_the_axis_of_bits_stands_still_while_results_arrive():
    keys = [r.scheme for r in RESULTS[:5]]
    first = figures.quality.ratios(RESULTS[:1], keys).layout.xaxis.range
    assert first[0] < 2.6 < 8.7 < first[1]
    assert figures.quality.ratios(RESULTS).layout.xaxis.type == "log", "32 bits would push the others together"
    assert figures.quality.ratios([], keys).layout.xaxis.range == first


def test_unfinished_results_are_paler():
    figure = figures.quality.ratios(RESULTS)
    opacity = {
        text.removeprefix("<b>").partition("</b>")[0]: opacity
        for trace in figure.data
        if trace.marker.opacity is not None
        for text, opacity in zip(trace.text, trace.marker.opacity, strict=True)
    }
    assert opacity["int4-sym-tensor"] < opacity["int4-sym-b32"] == 1


def test_words_tell_every_figure():
    words = figures.alt_text(figures.quality.ratios(RESULTS))
    assert all(r.scheme in words for r in RESULTS)
    assert "+1.47% ± 0.40%" in words and "×3.60 ± 0.14" in words and "not a number" in words


def test_training_makes_fragile_lines_through_every_checkpoint():
    checkpoints = demo_checkpoints()
    figure = figures.quality_details.fragility(checkpoints)
    assert len(figure.data) == len(checkpoints[-1].ratios)
    for trace in figure.data:
        assert list(trace.x) == [c.tokens / 1e6 for c in checkpoints]
    assert "int2-asym-tensor from ×4.28 to ×99.1" in figures.alt_text(figure)


def test_layers_and_the_largest_weights():
    errors = [LayerError(f"model.layers.{i}.mlp.up_proj", "int4-sym-b32", 0.1, 0.05 * i, 4.5) for i in range(4)]
    figure = figures.quality_details.layer_errors([*errors, LayerError("dead", "int4-sym-b32", 0.1, math.nan, 4.5)])
    assert "in 2 of them" in figures.alt_text(figure)
    supers = [SuperWeights(n, 1 + n / 100, (1.001, 1.002), ()) for n in (1, 4, 16)]
    figure = figures.quality_details.super_weights(supers)
    assert list(figure.data[0].y) == [1.01, 1.04, 1.16] and len(figure.data[1].x) == 6
    assert "16: +16.0% against +0.200%" in figures.alt_text(figure)


def test_nothing_one_and_only_lost_results_draw_and_stay_small():
    many = [result(f"int{bits}-{symmetry}-b{block}", 1 + bits / 100)
            for bits in range(2, 9) for symmetry in ("sym", "asym", "offset") for block in (16, 32, 64)]  # fmt: skip
    for some in ([], RESULTS[:1], [collapsed("int2-sym-tensor")], [result("fp32", 1.0, 0.0)], many):
        for drawn in (figures.quality.ratios, figures.quality.divergences):
            assert figures.alt_text(drawn(some)) and len(drawn(some).to_json()) < MOST_BYTES
