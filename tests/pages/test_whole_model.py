"""The page Whole model: a sweep of the demo model, its cells, the ranking, a plan and its recipe."""

from __future__ import annotations

import pytest

import quantviz as qv
from pages.components.selection import ModelRef
from pages.components.whole_model.controls import Ask
from pages.components.whole_model.take_along import sweep_command, sweep_snippet
from pages.components.whole_model.weighing import Weighing
from tests.pages.running import figures, opened, settled, shown

SCHEMES = ["int3-asym-b32", "int4-asym-b32", "int8-sym-b32"]
LAYER = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def app():
    app = opened("whole_model", ref="demo", schemes=SCHEMES)
    assert not app.exception and not app.error
    return app


def said(app) -> str:
    return " ".join([*(shown(m) for m in app.markdown), *(shown(c) for c in app.caption)])


def table(app, column: str):
    return next(t.value for t in app.dataframe if column in t.value)


def metric(app, label: str) -> str:
    return next(m.value for m in app.metric if m.label == label)


def press(app, label: str) -> None:
    next(button for button in app.button if button.label == label).click()
    settled(app.run())


def test_totals_and_the_ranking_are_those_of_evaluate(app):
    totals = next(t.value for t in app.dataframe if {"bits", "refused"} <= set(t.value)).set_index("scheme")
    assert list(totals.index) == SCHEMES and (totals["tensors"] == 29).all() and (totals["refused"] == 0).all()
    assert totals["relative_l2_error"].is_monotonic_decreasing
    ranked = table(app, "error_share").set_index("tensor")
    assert ranked["error_share"].sum() == pytest.approx(1)
    alone = qv.evaluate(qv.open_model("demo").open(LAYER), SCHEMES[0], detail="metrics").metrics
    assert ranked.loc[LAYER, "sqnr_db"] == alone["sqnr_db"]
    assert "carries" in said(app) and len(figures(app)) >= 4


def test_a_cell_opens_its_tensor_under_every_scheme():
    app = opened("whole_model", ref="demo", schemes=SCHEMES, cell="1,mlp down", metric="relative_l2_error")
    cell = next(t.value for t in app.dataframe if list(t.value.columns[:2]) == ["tensor", "scheme"])
    assert set(cell["tensor"]) == {LAYER} and cell["scheme"].tolist() == SCHEMES
    assert not app.exception


@pytest.mark.parametrize("cell", ["9,mlp down", "1,nothing", "x", "1"])
def test_a_cell_that_is_not_there_is_told(cell):
    app = opened("whole_model", ref="demo", schemes=SCHEMES, cell=cell)
    assert not app.exception and "There is no cell" in shown(app.warning[0])


def test_a_plan_costs_less_than_a_single_scheme_of_its_size_and_its_recipe_is_there():
    app = opened("whole_model", ref="demo", schemes=SCHEMES, bits="4.75", recipe="quantviz")
    assert not app.exception and not app.error
    assert float(metric(app, "Bits per weight")) <= 4.75
    assert float(metric(app, "Less than one scheme for all").rstrip("%")) > 0
    assert any("=int" in code.value for code in app.code)
    assert any("no larger, int4-asym-b32, takes 4.62" in shown(text) for text in app.markdown)
    app = opened("whole_model", ref="demo", schemes=SCHEMES, bits="4.75", recipe="llama.cpp")
    assert not app.exception and "llama" in " ".join(shown(e) for e in [*app.error, *app.caption])


def test_a_pattern_that_means_nothing_is_told():
    app = opened("whole_model", ref="demo", schemes=SCHEMES, plan_kept="nothing_like_it")
    assert not app.exception and any("nothing_like_it" in shown(e) for e in app.error)


def test_one_scheme_alone_is_swept_and_no_plan_is_made():
    app = opened("whole_model", ref="demo", schemes=SCHEMES[:1])
    assert not app.exception and any("two schemes" in shown(i) for i in app.info)


def test_a_sample_says_what_was_read():
    app = opened("whole_model", ref="demo", schemes=SCHEMES[1:], sample="10%")
    assert not app.exception and "Estimated from" in said(app)


def test_a_random_tensor_is_no_model_and_no_schemes_are_asked_for():
    app = opened("whole_model")
    assert any("no model" in i.value for i in app.info)
    next(b for b in app.button if b.label == "Open the demo model").click()
    app = settled(app)
    assert app.query_params["ref"] == "demo" and not app.exception
    app = opened("whole_model", ref="demo", schemes="")
    assert any("Choose schemes" in i.value for i in app.info)


def test_importance_weighs_the_errors_and_the_plan():
    app = opened("whole_model", ref="demo", schemes=SCHEMES[:2])
    assert "weighed by importance" not in said(app)
    press(app, "Let the model read a text")
    assert "weighed by importance from importance-demo.safetensors" in said(app)
    assert not app.exception and not app.error
    assert (table(app, "refused")["weighted_mse"] > 0).all()
    assert "output" in next(box.options for box in app.selectbox if box.label == "Damage")[1]
    press(app, "Forget importance-demo.safetensors")
    assert "weighed by importance" not in said(app) and not app.exception


def test_what_is_taken_along_names_the_importance():
    ask = Ask(ModelRef("demo", "demo"), ("q4_k",), "1%", Weighing("0", "my imatrix.gguf", "/tmp/0.gguf"))
    assert "schemes, \"sweep.parquet\", sample='1%', importance='my imatrix.gguf')" in sweep_snippet(ask)
    assert sweep_command(ask).endswith("--out sweep.parquet --sample 1% --importance 'my imatrix.gguf'\n")
