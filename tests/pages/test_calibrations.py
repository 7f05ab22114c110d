"""A calibration on a page: inputs that a model read, or that were made up; solvers that look at them, in one table."""

from __future__ import annotations

import pytest

from pages.components.shared.snippet import given_to_evaluate, importance_loading
from tests.pages.running import opened, settled, shown

LAYER = "model.layers.1.mlp.down_proj.weight"
SCHEMES = ["int3-asym-b64", "int3-asym-b64:solver=gptq"]


def pressed(app, label: str):
    next(button for button in app.button if button.label == label).click()
    return settled(app)


@pytest.mark.parametrize(
    ("view", "label"),
    [({"ref": "demo", "tensor": LAYER}, "Let the model read a text"),
     ({"ref": "random:normal?rows=64&cols=256"}, "Make up inputs")],
)  # fmt: skip
def test_one_press_gives_the_error_of_the_output_and_lets_gptq_be_measured(view, label):
    app = opened("compare", schemes=SCHEMES, pinned="none", **view)
    said = [shown(e) for e in [*app.caption, *app.markdown, *app.info, *app.warning]]
    assert not app.exception and any("without a calibration" in text for text in said)
    app = pressed(app, label)
    assert not app.exception and not app.error
    table = next(t.value for t in app.dataframe if "output_relative_error" in t.value).set_index("scheme")
    plain, solved = table.loc[SCHEMES[0]], table.loc[SCHEMES[1]]
    assert solved["output_relative_error"] < plain["output_relative_error"]
    assert solved["heldout_output_relative_error"] < plain["heldout_output_relative_error"]
    assert solved["relative_l2_error"] > plain["relative_l2_error"]
    assert not plain["uses data"]
    assert solved["uses data"].startswith("gptq, ") and solved["uses data"].endswith(" tokens")
    assert any("least error of the layer's output" in shown(m) for m in app.markdown)
    app = pressed(app, "Forget the calibration")
    assert not any("output_relative_error" in t.value for t in app.dataframe)


def test_the_script_makes_the_calibration_that_the_page_used():
    from pages.components.selection import Importance

    given = Importance("made up", "", None, "0", object(), "qv.Calibration.of(qv.synthetic_inputs(8, 64))")
    assert importance_loading(given) == [
        "calibration = qv.Calibration.of(qv.synthetic_inputs(8, 64))", "importance = calibration.importance",
    ]  # fmt: skip
    assert given_to_evaluate(given) == ", importance, calibration=calibration" and given_to_evaluate(None) == ""


def test_explore_shows_the_inputs_of_a_layer_and_the_error_of_its_output():
    key = "int8-sym-b32:act=int8-token,smooth=0.5"
    app = opened("explore", ref="random:normal?rows=64&cols=256", scheme=key, pinned="none")
    assert any("smooth=0.5 looks at the layer's inputs" in shown(e) for e in app.error)
    app = pressed(app, "Make up inputs")
    assert not app.exception and not app.error
    labels = [metric.label for metric in app.metric]
    assert "Output error, inputs too, held out" in labels and "Of that, the inputs'" in labels
    said = " ".join(shown(m) for m in app.markdown)
    assert "the largest channel reaches" in said and "as they meet the codes" in said


def test_explore_tells_the_story_of_gptq_on_the_open_block_turn_by_turn():
    key = "int4-asym-b64:solver=gptq"
    app = pressed(opened("explore", ref="random:normal?rows=64&cols=256", scheme=key, pinned="none"), "Make up inputs")
    assert not app.exception and not app.error
    turn = next(slider for slider in app.slider if slider.key == "gptq_turn")
    assert (turn.min, turn.max, turn.value) == (1, 64, 1)
    before = next(shown(m) for m in app.markdown if "comes to its turn" in shown(m))
    turn.set_value(64)
    app.run()
    after = next(shown(m) for m in app.markdown if "comes to its turn" in shown(m))
    assert after != before and "behind it in the block" in before and "behind it" not in after
    assert any("Weight by weight" in shown(m) for m in app.markdown) and not app.exception
