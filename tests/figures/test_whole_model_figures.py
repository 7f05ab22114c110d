"""The map of a whole model, and its roles side by side."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.figures import alt_text, by_role, layer_map
from quantviz.figures.outliers import LINES
from tests.sweep.made_up import frame, row, small


def test_the_map_has_a_cell_a_layer_and_role_and_the_colours_of_all_schemes():
    a, b = layer_map(small(), "a", "relative_l2_error"), layer_map(small(), "b", "relative_l2_error")
    heat, points = a.data
    assert list(heat.y) == ["none", "0", "1"] and list(heat.x) == ["attention q", "mlp down", "embedding"]
    assert (heat.zmin, heat.zmax) == (b.data[0].zmin, b.data[0].zmax) == pytest.approx((0.0353553, 0.2), rel=1e-5)
    assert not heat.reversescale and layer_map(small(), "a", "sqnr_db").data[0].reversescale
    assert set(points.customdata) == {"-1,embedding", "0,attention q", "0,mlp down", "1,attention q"}
    assert any("2 tensors, the worst l0.down[1]" in text for text in points.text)
    assert "the worst is l1.q with 20.00%" in alt_text(a) and "2 layers and 3 roles" in alt_text(a)


def test_the_open_cell_has_a_ring_and_one_that_is_not_there_none():
    assert len(layer_map(small(), "a", opened=(1, "attention q")).data) == 3
    assert len(layer_map(small(), "a", opened=(7, "attention q")).data) == 2


def test_an_infinite_figure_is_drawn_at_the_end_of_the_colours_and_nothing_measured_is_said():
    found = frame(row("x", "mlp up", 0, "a", 0.0), row("y", "mlp up", 1, "a", 1.0), row("z", "mlp up", 2, "a", 4.0))
    heat = layer_map(found, "a").data[0]
    assert np.isfinite(np.asarray(heat.z, float)).all() and heat.z[0][0] == heat.zmax
    assert "nothing is measured yet" in alt_text(layer_map(found, "b"))


def test_roles_side_by_side_have_a_point_a_tensor():
    fig = by_role(small(), ["a", "b"], "relative_l2_error")
    assert [box.name for box in fig.data] == ["a", "b"] and len(fig.data[0].x) == 5 and len(fig.data[1].x) == 4
    assert list(fig.layout.xaxis.categoryarray) == ["attention q", "mlp down", "embedding"]
    assert "a: attention q 17.07%" in alt_text(fig)
    assert len(by_role(small(), ["a"] * 9).data) == len(LINES)


def test_names_of_a_stranger_are_text():
    found = frame(row("<b>x</b>", "mlp up", 0, "a", 1.0))
    assert "&lt;b&gt;" in layer_map(found, "a").data[1].text[0]
    assert "&lt;b&gt;" in by_role(found, ["a"]).data[0].text[0]
