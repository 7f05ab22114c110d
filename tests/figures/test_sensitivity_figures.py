"""The figures of sensitivity: every unit where it belongs, the worst first, in words too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantviz import figures
from quantviz.checkpoints.names.roles import ROLES
from quantviz.figures.sensitivity import MOST_BARS, ROLE_STYLES
from quantviz.sensitivity import GRADES, agreement
from quantviz.sensitivity.frame import frame_of
from tests.sensitivity.made_up import TENSORS, sensitivity_frame, sensitivity_row, sweep_frame

KL = dict(zip(TENSORS, (np.random.default_rng(1).random(len(TENSORS)) + 0.1).tolist(), strict=True))


def test_every_role_has_a_look_of_its_own() -> None:
    assert tuple(ROLE_STYLES) == ROLES and len(set(ROLE_STYLES.values())) == len(ROLES)


@pytest.mark.parametrize("grade", GRADES)
def test_each_unit_stands_at_its_grade_and_divergence(grade) -> None:
    found = agreement(sweep_frame(), sensitivity_frame(KL))
    figure = figures.sensitivity.predicted(found, grade)
    placed = {(x, y) for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True)}
    assert placed == set(zip(found.points[grade], found.points["kl_mean"], strict=True))
    assert len(figure.data) == 5 and figure.layout.yaxis.type == "log"
    assert (figure.layout.xaxis.type == "log") == (grade != "sqnr_db")
    assert all(low < min(v) and max(v) < high for low, high, v in [
        (10 ** figure.layout.yaxis.range[0], 10 ** figure.layout.yaxis.range[1], [y for _, y in placed])])  # fmt: skip
    words = figures.alt_text(figure)
    assert "20 tensors" in words and "Rank correlation" in words and "95% interval" in words


def test_what_has_no_place_on_logarithmic_axes_is_counted() -> None:
    sweep = sweep_frame()
    sweep.loc[0, "squared_error"] = 0.0
    figure = figures.sensitivity.predicted(agreement(sweep, sensitivity_frame(KL | {TENSORS[1]: 0.0})))
    assert sum(len(trace.x) for trace in figure.data) == 18
    assert "2 without error or divergence are not drawn" in figures.alt_text(figure)
    empty = figures.sensitivity.predicted(agreement(sweep_frame(weighted=False), sensitivity_frame(KL)),
                                          "weighted_squared_error")  # fmt: skip
    assert not empty.data and "not known" in figures.alt_text(empty)


def test_bars_are_worst_first_with_their_errors() -> None:
    refused = sensitivity_row("lm_head.weight", math.nan, refused="It does not fit.")
    rows = [sensitivity_row(name, kl) for name, kl in KL.items()] + [refused]
    figure = figures.sensitivity.divergences(frame_of(rows))
    (bars,) = figure.data
    assert list(bars.x) == sorted(KL.values(), reverse=True) and list(bars.y) == list(range(20))
    assert list(bars.error_x.array) == [kl / 10 for kl in bars.x]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the worst on top
    assert "worst first" in figures.alt_text(figure) and "1 unit could not be quantized" in figures.alt_text(figure)


def test_names_of_strangers_are_text_and_many_bars_are_cut() -> None:
    names = {f"<b>{number}</b>": number + 1.0 for number in range(MOST_BARS + 5)}
    figure = figures.sensitivity.divergences(sensitivity_frame(names))
    assert len(figure.data[0].x) == MOST_BARS and "5 units of less are not drawn" in figures.alt_text(figure)
    assert "<b>" not in figure.layout.yaxis.ticktext[0] and "&lt;b&gt;" in figure.data[0].text[0]
    nothing = figures.sensitivity.divergences(frame_of([]))
    assert "nothing is measured" in figures.alt_text(nothing)
