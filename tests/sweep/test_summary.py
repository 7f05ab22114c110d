"""A sweep in short: sums of tensors, cells of layers and roles, the ranking, refusals."""

from __future__ import annotations

import math

import pytest

from quantviz.sweep.summary import (
    OUTSIDE,
    cells,
    joined,
    measured,
    of_cell,
    ranking,
    refusals,
    sentences,
    share_read,
)
from quantviz.sweep.totals import totals
from tests.sweep.made_up import frame, row, small


def test_totals_are_of_the_sums_of_all_tensors_that_have_figures():
    found = totals(small()).set_index("scheme")
    a, b = found.loc["a"], found.loc["b"]
    assert (a.tensors, a.refused, a.weights) == (5, 0, 600) and (b.tensors, b.refused, b.weights) == (4, 1, 500)
    assert a.relative_l2_error == pytest.approx(math.sqrt(11 / 600))
    assert b.relative_l2_error == pytest.approx(math.sqrt(2 / 500))
    assert a.sqnr_db == pytest.approx(-10 * math.log10(11 / 600))
    assert (a["bits_per_weight"], a["bits"]) == (4.5, 4.5 * 600)
    assert math.isnan(a.weighted_mse)


def test_weighted_error_is_of_the_sums_too():
    given = {"weighted_squared_error": 3.0, "importance": 12.0}
    found = totals(frame(row("x", "mlp up", 0, "a", 1.0, **given), row("y", "mlp up", 1, "a", 1.0)))
    assert found["weighted_mse"].tolist() == [0.25]


def test_cells_hold_sums_of_their_tensors_and_name_the_worst_first():
    found = cells(small(), "a", "relative_l2_error")
    assert found.layers == (OUTSIDE, 0, 1) and found.roles == ("attention q", "mlp down", "embedding")
    assert found.values[1, 1] == pytest.approx(math.sqrt(4 / 200))
    assert found.tensors[1, 1] == ("l0.down[1]", "l0.down[0]") and found.tensors[0, 2] == ("embed",)
    assert math.isnan(found.values[2, 1]) and (2, 1) not in found.tensors
    assert cells(small(), "b", "sqnr_db").tensors[1, 1] == ("l0.down[0]",)
    assert list(of_cell(small(), OUTSIDE, "embedding")["scheme"]) == ["a", "b"]


@pytest.mark.parametrize(
    "metric, expected",
    [("mse", 4 / 200), ("rmse", math.sqrt(4 / 200)), ("max_abs_error", math.sqrt(3 / 100)),
     ("cosine_similarity", 1 - 2 / 100), ("sqnr_db", -10 * math.log10(4 / 200)), ("bits_per_weight", 4.5)],
)  # fmt: skip
def test_a_metric_of_several_tensors(metric, expected):
    assert joined(metric, of_cell(measured(small(), "a"), 0, "mlp down")) == pytest.approx(expected)


def test_no_error_at_all_is_an_infinite_sqnr_and_no_rows_are_no_figure():
    exact = frame(row("x", "mlp up", 0, "fp32", 0.0))
    assert joined("sqnr_db", exact) == math.inf and joined("relative_l2_error", exact) == 0
    assert math.isnan(joined("sqnr_db", exact[:0])) and math.isnan(joined("zeroed_fraction", exact))


def test_the_ranking_has_shares_of_the_error_and_of_the_weights():
    found = ranking(small(), "a")
    assert found["tensor"].tolist() == ["l1.q", "l0.down[1]", "l0.q", "embed", "l0.down[0]"]
    assert found["error_share"].sum() == pytest.approx(1) and found["error_share"][0] == pytest.approx(4 / 11)
    assert found["weights_share"][3] == pytest.approx(2 / 6)


def test_sentences_say_who_carries_the_error_and_nothing_where_there_is_none():
    first, second = sentences(small(), "a")
    assert "l1.q carries 36.4% of all squared error with 16.7% of the weights" in first
    assert "attention q suffers most: 54.5% of the error, 33.3% of the weights" in second
    even = frame(row("x", "mlp up", 0, "a", 1.0), row("y", "mlp down", 0, "a", 1.0))
    assert len(sentences(even, "a")) == 1
    assert sentences(frame(row("x", "mlp up", 0, "a", 0.0), row("y", "mlp up", 1, "a", 0.0)), "a") == []


def test_refusals_are_named_with_their_reason():
    assert refusals(small()) == [("b", "l0.down[1]", "Its rows hold no whole blocks.")]
    assert share_read(small()) == 1
    assert share_read(frame(row("x", "mlp up", 0, "a", 1.0, share=0.01))) == 0.01
