"""The figures of the outlier laboratory draw what was found, carry words, and stay small."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import figures
from quantviz.outliers import Injection, apply
from quantviz.outliers.attribution import attribute
from quantviz.outliers.cures import treat
from quantviz.outliers.curves import Growing, block_size_sweep, magnitude_sweep

MOST_BYTES = 100_000  # of one figure as JSON
KEYS = ("int4-sym-tensor", "int4-asym-b64", "fp8_e4m3", "nf4-b64", "mxfp4")


@pytest.fixture(scope="module")
def w() -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((256, 1024), dtype=np.float32)
    return apply(x, Injection(200, 20, "input channel", 70)).numpy()


def drawn(figure) -> None:
    assert len(figures.alt_text(figure)) > 40
    assert len(figure.to_json()) < MOST_BYTES


@pytest.mark.parametrize("key", KEYS)
def test_attribution_draws(w, key):
    a = attribute(w, key)
    drawn(figures.outliers.bands(a))
    bars = figures.outliers.bands(a).data
    assert np.allclose([sum(bar.y) for bar in bars], 1)
    sides = figures.outliers.block_sides(a, 6)
    assert (sides is None) == (qv.Scheme.parse(key).granularity is None)
    if sides is not None:
        drawn(sides)
        assert np.allclose(np.sum([bar.x for bar in sides.data], axis=0), 1)
        assert all(bool(text) == (x > 0.05) for bar in sides.data for text, x in zip(bar.text, bar.x, strict=True))
    for which in ("input", "output"):
        drawn(figures.outliers.channels(a, which))


def test_an_outlier_channel_stands_out_however_many_are_drawn_together(w):
    a = attribute(w, "int4-sym-b64")
    line = figures.outliers.channels(a, "input").data[0]
    assert len(line.x) == 512 and max(line.y) == a.cols.rmse.max()
    assert figures.alt_text(figures.outliers.channels(a)).endswith(f"channel {a.cols.rmse.argmax()}.")


@pytest.mark.parametrize("along", ["block size", "bits per weight"])
@pytest.mark.parametrize("metric", ["relative_l2_error", "sqnr_db"])
def test_curves_draw(w, along, metric):
    points = block_size_sweep(w[:, :48])
    figure = figures.outliers.block_sizes(points, metric, along)
    drawn(figure)
    assert [len(line.x) for line in figure.data] == [4, 4], "blocks that do not fit are left out"


def test_magnitudes_draw_with_a_name_at_each_line(w):
    m = magnitude_sweep(w, outliers=Growing((5.0, 20.0)))
    figure = figures.outliers.magnitudes(m)
    drawn(figure)
    names = figure.layout.annotations
    assert [n.text for n in names][:2] == ["one scale for all", "a scale a channel"]
    heights = sorted(n.y for n in names)
    assert min(np.diff(heights)) > 0.05 * max(heights), "names do not overlap"


def test_cures_draw_in_the_order_of_the_list(w):
    treated = treat(w, "int4-sym-b64")
    figure = figures.outliers.cures(treated)
    drawn(figure)
    assert list(figure.data[0].y)[::-1] == [t.cure.name for t in treated if t.metrics]


def test_a_lossless_scheme_needs_no_cure(w):
    figure = figures.outliers.cures(treat(w, "fp32"))
    drawn(figure)
    assert "lossless" in figures.alt_text(figure) and "nan" not in figures.alt_text(figure)


def test_before_and_after_share_their_range(w):
    before, after = qv.evaluate(w[:, :64], "int4-sym-b64"), qv.evaluate(w[:, 64:128], "int4-sym-b64")
    for full in (False, True):
        left, right = figures.outliers.before_and_after(before, after, "log", full)
        drawn(left), drawn(right)
        assert left.layout.xaxis.range == right.layout.xaxis.range
