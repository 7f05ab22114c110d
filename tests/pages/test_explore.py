"""Explore runs, reacts, and stays usable after every kind of wrong input."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from quantviz.evaluation import default_engine
from quantviz.metrics import value_text
from tests.sources.builders import safetensors, weights

from .running import opened, settled, shown


def title(app: AppTest) -> str:
    return " ".join(shown(h) for h in [*app.title, *app.header, *app.subheader])


def shows(app: AppTest, scheme: str) -> bool:
    return not app.exception and not app.error and len(app.metric) >= 6 and scheme in title(app)


def test_the_first_view_has_a_tensor_with_outliers_and_a_cure_pinned():
    app = opened(ref="")
    assert shows(app, "int4-sym-tensor")
    assert not app.warning
    assert any("set the scale of the whole tensor" in str(m.value) for m in app.markdown)
    assert any("pinned int4-sym-b64" in str(m.value) for m in app.markdown)
    assert any(f"engine {default_engine()}" in str(c.value) for c in app.caption)


@pytest.mark.parametrize(
    "scheme",
    ["fp32", "bf16", "fp8_e4m3", "fp8_e5m2-b128x128", "int8-sym-channel", "int4-asym-b64", "int2-offset-b32",
     "int1-sym-b16", "nf4-b64", "bnb_fp4-b64", "ternary-tensor", "mxfp4", "mxint8", "nvfp4", "int4-sym-b64:scale=bf16"],
)  # fmt: skip
def test_every_family_shows(scheme):
    app = opened(scheme=scheme)
    assert shows(app, scheme)
    assert not app.warning


def test_the_controls_write_the_key():
    app = opened(scheme="int4-sym-tensor")
    app.sidebar.selectbox(key="scheme_granularity").select("b64")
    settled(app)
    assert shows(app, "int4-sym-b64")
    app.sidebar.selectbox(key="scheme_format").select("int8")
    settled(app)
    assert shows(app, "int8-sym-b64")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ({"scheme": "int4-aysm-b64"}, "int4-asym-b64"),
        ({"scheme": "int99-sym-b64"}, "no format"),
        ({"tensor": "wieght"}, "weight"),
        ({"rows": "9:3"}, "Rows"),
        ({"rows": "all of them"}, "range of rows"),
        ({"ref": "random:cauchy"}, "cauchy"),
        ({"ref": "random:normal?rows=0"}, "rows"),
        ({"ref": "/nowhere/model.safetensors"}, "nowhere"),
        ({"ref": "model.bin"}, "ickle"),
        ({"ref": "hf:not/a/repo"}, "Hub repository"),
        ({"pinned": "int4-sym-b6x"}, "int4-sym"),
    ],
)
def test_a_wrong_link_falls_back_with_a_sentence(address, says):
    app = opened(**address)
    assert not app.exception and len(app.metric) >= 6, "the page stays usable"
    said = " ".join(str(w.value) for w in app.warning)
    assert says in said
    assert "instead" in said or "left out" in said


def test_a_block_larger_than_the_row_is_one_sentence():
    app = opened(ref="random:normal?rows=64&cols=48", scheme="int4-sym-b64")
    assert not app.exception
    assert "48" in " ".join(str(e.value) for e in [*app.error, *app.warning])


def test_nan_is_one_sentence_with_its_place(tmp_path):
    w = weights(64, 64)
    w[5, 7] = np.nan
    file = tmp_path / "w.safetensors"
    file.write_bytes(safetensors({"w": w}))
    app = opened(ref=str(file), tensor="w")
    assert not app.exception
    assert "[5, 7]" in " ".join(shown(e) for e in app.error)


def test_a_file_a_row_range_and_a_pin(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(safetensors({"a.weight": weights(64, 128), "b.weight": weights(32, 64)}))
    app = opened(ref=str(file), tensor="b.weight", rows="0:16", scheme="int4-sym-b32", pinned="int8-sym-b32")
    assert shows(app, "int4-sym-b32")
    assert any("16 × 64" in str(c.value) or "b.weight" in str(c.value) for c in [*app.caption, *app.markdown])


def test_the_snippet_runs_and_gives_the_figures_on_the_page():
    app = opened(scheme="int4-asym-b64", pinned="int8-sym-b64")
    app.session_state["details"] = "Python"
    settled(app)
    code = app.code[0].value.replace("figure.show()", "figure.to_json()")
    scope: dict = {}
    exec(compile(code, "snippet", "exec"), scope)  # noqa: S102
    shown = next(m.value for m in app.metric if m.label == "SQNR")
    assert f"{scope['r'].metrics['sqnr_db']:.4g}" in shown


def test_a_token_stays_out_of_the_snippet_and_the_address():
    app = opened()
    app.sidebar.segmented_control(key="source").set_value("Hub")
    settled(app)
    app.sidebar.text_input(key="hub_token").set_value("hf_secret_token")
    settled(app)
    app.session_state["details"] = "Python"
    settled(app)
    texts = [str(c.value) for c in app.code] + [str(app.query_params)]
    assert not any("hf_secret" in text for text in texts)


def test_uploaded_importance_weighs_the_error_and_the_search():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(256, dtype=np.float32))
    app = opened(scheme="int4-sym-b64:clip=mse", pinned="none")
    before = app.metric[1].value
    app.file_uploader(key="importance_file").set_value(("h.npy", buffer.getvalue(), "application/octet-stream"))
    settled(app)
    assert shows(app, "clip=mse") and app.metric[1].value != before
    app.session_state["details"] = "Python"
    settled(app)
    scope: dict = {"load": np.arange(256, dtype=np.float32)}
    code = app.code[0].value.replace("figure.show()", "figure.to_json()").replace("qv.load_importance('h.npy')", "load")
    exec(compile(code, "snippet", "exec"), scope)  # noqa: S102
    assert "weighted_mse" in scope["r"].metrics
    assert value_text("relative_l2_error", scope["r"].metrics["relative_l2_error"]) == app.metric[1].value


@pytest.mark.parametrize("page", ["explore", "outliers"])
def test_a_page_that_cannot_be_computed_says_which_it_is_and_what_to_do(page):
    app = opened(page, scheme="int4-asym-b32:solver=gptq")
    assert [shown(title) for title in app.title] and "int4-asym-b32:solver=gptq" in shown(app.title[0])
    assert "Inputs of the layer" in shown(app.error[0])
