"""The same schemes on several tensors: which ones a text means, their table, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sweep.families import families, fits, named, own_layer, resolved, short
from quantviz.sweep.several import (
    MEDIAN,
    best_of_each,
    by_scheme,
    compare_tensors,
    gaps,
    reasons,
    rows_within,
    sentences,
)
from tests.sources.builders import safetensors
from tests.sweep.made_up import frame, refused, row

Q = "model.layers.{}.self_attn.q_proj.weight"


@pytest.fixture(scope="module")
def demo():
    return qv.open_model("demo")


@pytest.mark.parametrize(
    ("pattern", "name", "is_one"),
    [
        ("a.*.b", "a.b", False), ("a*b", "ab", True), ("*", "", True), ("a", "a", True), ("a", "aa", False),
        ("*a*a*", "a", False), ("*a*a*", "xaya", True), ("ab*bc", "abc", False), ("*.x", ".x.y", False),
    ],
)  # fmt: skip
def test_a_star_stands_for_any_text(pattern, name, is_one):
    assert fits(pattern, name) == is_one


def test_many_stars_against_a_long_name_take_no_time():
    assert not fits("a*" * 2000 + "b", "a" * 100_000)


def test_a_part_of_a_name_means_all_that_have_it_family_by_family(demo):
    assert named(demo, ["q_proj"]) == [Q.format(i) for i in range(4)]
    assert named(demo, [Q.format(2), Q.format(0), Q.format(2)]) == [Q.format(0), Q.format(2)]
    assert named(demo, ["model.norm.weight"]) == ["model.norm.weight"]  # what is no matrix may be named
    layer = named(demo, [own_layer(Q.format(1))])
    assert len(layer) == 7 and not any("norm" in name for name in layer)
    assert resolved(demo, "layers.*.q") == "*layers.*.q*" and resolved(demo, "q_proj") == "*q_proj*"
    assert resolved(demo, Q.format("*")) == Q.format("*")
    assert families([Q.format(0), Q.format(10), "lm_head.weight"]) == {Q.format("*"): [Q.format(0), Q.format(10)]}
    assert short("lm_head.weight") == "lm_head" and short("*.weight") == "*"


@pytest.mark.parametrize("text", ["nothing", "layers.*.nothing", Q.format(9), "[", "*" + "x" * 5000])
def test_a_text_that_means_nothing_is_a_sentence(demo, text):
    with pytest.raises(QuantvizError, match="No weight matrix of demo"):
        resolved(demo, text)


def test_the_figures_are_those_of_evaluate(demo):
    table = compare_tensors(demo, ["q_proj"], ["int4-sym-b32", "iq1_s"], rows=(8, 5000), detail="metrics")
    assert table.tensor.tolist() == [Q.format(i) for i in range(4) for _ in range(2)]
    assert table.layer.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and set(table.role) == {"attention q"}
    alone = qv.evaluate(demo.open(Q.format(3), (8, 256)), "int4-sym-b32", detail="metrics").metrics
    assert table.iloc[6].sqnr_db == alone["sqnr_db"] and table.iloc[6].refused == ""
    assert math.isnan(table.iloc[7].sqnr_db) and "importance" in table.iloc[7].refused


def test_a_tensor_that_cannot_be_measured_is_rows_that_say_why(tmp_path):
    good, bad = np.ones((4, 64), np.float32), np.full((4, 64), np.nan, np.float32)
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors({"layers.0.w": good, "layers.1.w": bad, "layers.2.w": good[:1]}))
    table = compare_tensors(qv.open_model(path), ["*"], ["int4-sym-b32", "q4_k"], rows=(2, 4))
    said = dict(zip(zip(table.tensor, table.scheme, strict=True), table.refused, strict=True))
    assert said["layers.0.w", "int4-sym-b32"] == "" and "256" in said["layers.0.w", "q4_k"]
    assert "NaN" in said["layers.1.w", "int4-sym-b32"] and "1 row" in said["layers.2.w", "q4_k"]
    assert reasons(table)["layers.2.w"] == "It has 1 row, and none from 2 on."
    assert set(reasons(table)) == {"layers.0.w", "layers.1.w", "layers.2.w"}


def test_rows_as_far_as_a_tensor_has_them(demo):
    info = demo.info(Q.format(0))
    assert rows_within(None, info) is None and rows_within((0, 256), info) is None
    assert rows_within((0, 9999), info) is None and rows_within((5, 9999), info) == (5, 256)


def small(*errors: tuple[float, float]):
    """Schemes a and b with these errors on each of the tensors x, y ..."""
    return frame(*(
        row(name, "mlp up", place, scheme, error)
        for place, (name, both) in enumerate(zip("xyz", errors, strict=False))
        for scheme, error in zip("ab", both, strict=True)
    ))  # fmt: skip


def test_whether_schemes_rank_alike_is_said():
    assert "same order on all 2 tensors" in sentences(small((1, 2), (2, 3)), "sqnr_db")[0]
    said = sentences(small((1, 2), (3, 2), (1, 4)), "relative_l2_error")
    assert "same order on 2 of 3 tensors. a does better than b on 2 of them, and worse on 1." in said[0]
    assert said[1].startswith("y suffers most under 1 of 2 schemes: 17.32% under a")
    assert "some do equally well" in sentences(small((1, 2), (2, 2)), "mse")[0]
    assert len(sentences(small((1, 1), (1, 1)), "mse")) == 1  # none suffers most
    assert not any("suffers" in text for text in sentences(small((1, 2), (3, 4), (3, 4)), "mse"))
    assert "y suffers most under 1 of 2" in " ".join(sentences(small((1, 2), (3, 4), (2, 4)), "mse"))
    assert not sentences(small((1, 2)), "mse") and not sentences(small((1, 2), (1, 2)), "compression_ratio")


def test_gaps_and_the_best_of_each_tensor():
    found = small((1, 4), (9, 4), (4, 4))
    assert gaps(found, "mse", "a").b.tolist() == pytest.approx([0.03, -0.05, 0])
    assert gaps(found, "mse", MEDIAN).a.tolist() == pytest.approx([-0.03, 0.05, 0])
    assert best_of_each(found, "mse") == {"x": ["a"], "y": ["b"]} and best_of_each(found, "sqnr_db")["y"] == ["b"]
    exact = small((0, 1), (0, 1))
    assert gaps(exact, "sqnr_db", "a").a.isna().all() and best_of_each(exact, "sqnr_db")["x"] == ["a"]


def test_what_was_refused_has_no_figure_and_one_reason():
    found = frame(
        row("x", "head", None, "a", 1.0), refused("x", "head", None, "b", "Too short."),
        refused("y", "head", None, "a", "Gone."), refused("y", "head", None, "b", "Gone."),
    )  # fmt: skip
    assert reasons(found) == {"x": "b: Too short.", "y": "Gone."}
    assert by_scheme(found, "mse").isna().sum().sum() == 3 and not sentences(found, "mse")
