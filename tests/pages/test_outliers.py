"""The outlier laboratory runs, reacts, and stays usable after every kind of wrong input."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from quantviz.metrics import value_text

from .running import opened, settled

SMALL = "random:normal?rows=256&cols=512&outliers=0.001"


def outliers(**address: str) -> AppTest:
    return opened("outliers", **{"ref": SMALL, **address})


def text(app: AppTest) -> str:
    return " ".join(str(e.value) for e in [*app.markdown, *app.caption, *app.subheader])


def shows(app: AppTest) -> bool:
    return not app.exception and not app.error and "What cures" in text(app) and len(app.dataframe) == 2


def test_the_first_view_says_who_carries_the_error_and_what_cures_it():
    app = outliers()
    assert shows(app) and not app.warning
    said = text(app)
    assert "it lies in the weights that share a scale with them" in said
    assert "blocks of 64 bring it to" in said
    assert "Outliers of 20σ multiply the error" in said
    assert "At about equal bits, " in said
    assert len(app.metric) == 4


@pytest.mark.parametrize("scheme", ["bf16", "fp8_e4m3-b128x128", "int8-asym-channel", "int2-offset-b32",
                                    "int1-sym-b16", "nf4-b64", "ternary-tensor", "mxfp4", "nvfp4"])  # fmt: skip
def test_every_family_shows(scheme):
    app = outliers(scheme=scheme)
    assert shows(app) and not app.warning


def test_a_lossless_scheme_needs_no_cure():
    app = outliers(scheme="fp32")
    assert not app.exception and not app.error and not app.warning
    assert "there is nothing to cure" in text(app)


def test_injecting_shows_before_and_after():
    app = outliers(ref="random:normal?rows=256&cols=512", edit="inject", inject_count="40", inject_magnitude="30",
                 inject_where="output channel", inject_channel="7")  # fmt: skip
    assert shows(app) and not app.warning
    assert len(app.metric) == 8
    assert "40 weights set to ±30σ, along output channel 7" in text(app)
    assert "grew" in text(app)
    app.number_input(key="inject_count").set_value(41)
    settled(app)
    assert "41 weights set to ±30σ" in text(app)


def test_removing_them_shows_before_and_after():
    app = outliers(edit="remove")
    assert shows(app) and "fell to" in text(app)
    app.segmented_control(key="remove_by").set_value("largest")
    settled(app)
    assert "The largest 0.1% of weights set to zero" in text(app)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ({"edit": "inject", "inject_count": "600", "inject_where": "output channel"}, "512 weights"),
        ({"edit": "inject", "inject_where": "input channel", "inject_channel": "9999"}, "counted from 0"),
        ({"edit": "inject", "inject_where": "input channel", "inject_channel": "last"}, "is no channel"),
        ({"edit": "inject", "ref": "random:normal?rows=1&cols=1"}, "equal"),
    ],
)
def test_an_edit_that_does_not_apply_is_one_sentence(address, says):
    app = outliers(**address)
    assert not app.exception
    assert says in " ".join(str(w.value) for w in app.warning)
    assert len(app.metric) == (8 if says == "is no channel" else 4), "without its channel, the seed chooses one"


def test_blocks_longer_than_the_rows_are_left_out_and_told():
    app = outliers(ref="random:normal?rows=64&cols=48", scheme="int4-sym-tensor")
    assert shows(app)
    assert "Left out: Rows of 48 weights are shorter than a block of 256" in text(app)
    assert "blocks of 64: Rows of 48 weights are shorter than a block of 64: each row is one block" in text(app)


def test_the_controls_of_the_curves_redraw_them():
    app = outliers()
    app.segmented_control(key="bits").set_value("8")
    app.segmented_control(key="swept").set_value("sqnr_db")
    app.segmented_control(key="along").set_value("bits per weight")
    settled(app)
    assert shows(app)


def test_the_snippet_runs_and_gives_the_figures_on_the_page():
    app = outliers(edit="inject", inject_count="100", scheme="int4-sym-b64")
    app.session_state["outlier_details"] = "Python"
    settled(app)
    code = app.code[0].value.replace("figure.show()", "figure.to_json()")
    scope: dict = {}
    exec(compile(code, "snippet", "exec"), scope)  # noqa: S102
    assert value_text("relative_l2_error", scope["r"].metrics["relative_l2_error"]) in [m.value for m in app.metric]


def test_the_data_is_there_to_take_along():
    app = outliers(edit="remove", scheme="int4-sym-b64")
    app.session_state["outlier_details"] = "Data and link"
    settled(app)
    assert shows(app)
    assert "The address bar holds this view" in text(app)
    assert [button.label for button in app.get("download_button")] == ["JSON", "CSV"]


def test_importance_weighs_the_search_and_every_cure():
    buffer = io.BytesIO()
    np.save(buffer, np.linspace(0, 4, 512, dtype=np.float32) ** 4)
    app = outliers(scheme="int4-sym-b64:clip=mse")
    before = app.metric[0].value
    app.file_uploader(key="importance_file").set_value(("h.npy", buffer.getvalue(), "application/octet-stream"))
    settled(app)
    assert len(app.metric) == 5 and app.metric[0].value != before
    assert next(frame.value for frame in app.dataframe if "cure" in frame.value)["weighted MSE"].notna().all()
    app.session_state["outlier_details"] = "Python"
    settled(app)
    code = app.code[0].value
    assert "load_importance('h.npy')" in code and "r.statistics, importance=importance)" in code
