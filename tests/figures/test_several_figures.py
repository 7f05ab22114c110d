"""A line a scheme over several tensors."""

from __future__ import annotations

import math

import pytest

from quantviz.figures import alt_text, over_tensors
from quantviz.figures.several import MOST_LINES
from tests.sweep.made_up import frame, refused, row

Q, UP = "model.layers.{}.self_attn.q_proj.weight", "model.layers.{}.mlp.up_proj.weight"


def layers(*names: str, schemes: str = "ab", many: int = 3):
    return frame(*(
        row(name.format(layer), "mlp up", layer, scheme, (1.0 + layer) * 4**k)
        for name in names for layer in range(many) for k, scheme in enumerate(schemes)
    ))  # fmt: skip


def test_a_line_a_scheme_over_the_layers_of_a_part():
    fig = over_tensors(layers(Q), "sqnr_db", "b")
    a, b = fig.data
    assert a.y == pytest.approx((20, 16.99, 15.23), abs=0.01) and a.x == (0, 1, 2) and b.line.width > a.line.width
    assert fig.layout.xaxis.ticktext == ("0", "1", "2") and fig.layout.xaxis.title.text == "layer of self_attn.q_proj"
    assert "a: 20.00 dB" in a.text[0] and Q.format(0) in a.text[0]
    assert {note.text for note in fig.layout.annotations} == {"a", "b"}
    assert f"a from 15.23 dB ({Q.format(2)}) to 20.00 dB ({Q.format(0)})" in alt_text(fig)
    assert "3 tensors under 2 schemes" in alt_text(fig)


def test_each_part_has_a_line_of_its_own_and_its_name_under_the_axis():
    fig = over_tensors(layers(Q, UP))
    assert fig.data[0].x == (0, 1, 2, None, 3, 4, 5) and fig.data[0].y[3] is None and len(fig.layout.shapes) == 1
    assert {"self_attn.q_proj", "mlp.up_proj"} <= {note.text for note in fig.layout.annotations}
    assert fig.layout.xaxis.ticktext == ("0", "1", "2") * 2


def test_tensors_of_different_parts_stand_with_their_names():
    fig = over_tensors(layers(Q, UP, "model.embed_tokens{}", many=1))
    assert fig.layout.xaxis.ticktext == ("layers.0.self_attn.q_proj", "layers.0.mlp.up_proj", "embed_tokens0")
    assert fig.data[0].x == (0, 1, 2) and fig.layout.margin.b > 100


@pytest.mark.parametrize("many", [16, 17])
def test_many_names_stand_upright(many):
    """They take too much room aslant."""
    names = [f"block_{i}.{'abcdefghijklmnopq'[i]}_proj.weight" for i in range(many)]
    fig = over_tensors(frame(*(row(name, "other", None, "a", 1.0) for name in names)))
    assert fig.layout.xaxis.tickangle == (40 if many == 16 else 90)


def test_errors_over_decades_are_drawn_on_a_logarithmic_axis_and_gaps_are_not():
    found = layers(Q, schemes="abcdef")
    fig = over_tensors(found, "mse")
    assert fig.layout.yaxis.type == "log" and fig.layout.yaxis.range[0] < math.log10(0.01) < fig.layout.yaxis.range[1]
    heights = sorted(note.y for note in fig.layout.annotations)
    assert all(b - a > 0.1 for a, b in zip(heights, heights[1:], strict=False))
    against = over_tensors(found, "mse", against="b")
    assert against.layout.yaxis.type is None and "minus b" in against.layout.yaxis.title.text
    assert against.data[1].y == (0, 0, 0) and "minus b's" in alt_text(against)
    median = over_tensors(found, "relative_l2_error", against="median")
    assert median.data[0].y[1] == 0 and "pp" in median.data[0].text[0] and "median" in alt_text(median)


def test_what_has_no_figure_leaves_a_gap():
    found = frame(
        row(Q.format(0), "attention q", 0, "a", 0.0), row(Q.format(1), "attention q", 1, "a", 1.0),
        refused(Q.format(2), "attention q", 2, "a", "Gone."), refused(Q.format(0), "attention q", 0, "b", "Gone."),
    )  # fmt: skip
    fig = over_tensors(found)
    assert fig.data[0].y == (None, 20.0, None) and set(fig.data[1].y) == {None}
    assert len(fig.layout.annotations) == 1
    assert "nothing is measured yet" in alt_text(over_tensors(found[found.scheme == "b"]))
    assert "nothing is measured yet" in alt_text(over_tensors(found[:0]))


def test_many_schemes_and_names_of_strangers():
    keys = [f"<b>{i}</b>" for i in range(MOST_LINES + 3)]
    fig = over_tensors(frame(*(row("<i>x</i>", "other", None, key, i + 1.0) for i, key in enumerate(keys))))
    assert len(fig.data) == MOST_LINES and fig.layout.height >= 16 * MOST_LINES
    assert "&lt;b&gt;" in fig.data[0].text[0] and "&lt;i&gt;" in fig.layout.xaxis.ticktext[0]
    assert not any("<b>" in note.text for note in fig.layout.annotations)
