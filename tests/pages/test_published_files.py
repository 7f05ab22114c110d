"""Published files in the app: stored blocks on Explore, a file against its original, the named mixes."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from quantviz.published.mixes import MIXES
from tests.pages.running import opened, settled
from tests.pages.test_explore import title
from tests.sources.gguf_builder import demo

PAGE = "published_files"


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> str:
    return str(demo(tmp_path_factory.mktemp("gguf") / "demo-Q8_0.gguf", {"blk.0.ffn_up.weight": "q4_k"}))


def said(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.warning, app.info, app.error, app.success)
    return " ".join(str(element.value) for kind in kinds for element in kind)


def test_a_gguf_file_opens_on_explore_with_its_blocks(file):
    app = opened(ref=file, tensor="blk.0.ffn_up.weight", scheme="int4-sym-b64", stored="5,0")
    assert not app.exception and not app.error
    assert "blk.0.ffn_up.weight under int4-sym-b64" in title(app) and "As it is stored: q4_k" in title(app)
    assert "144 bytes for 256 weights, 4.5 bits each" in said(app) and "row 5, columns 0 to 255" in said(app)
    fields = next(table.value for table in app.dataframe if "meaning" in table.value and "content" in table.value)
    assert fields.field.tolist() == ["d", "dmin", "scales", "qs"]


def test_a_stored_block_that_is_not_there_falls_back(file):
    app = opened(ref=file, tensor="blk.0.ffn_up.weight", scheme="int4-sym-b64", stored="0,7")
    assert "no block (0, 7)" in said(app) and "It is left out" in said(app)
    app = opened(ref=file, tensor="blk.0.ffn_up.weight", scheme="int4-sym-b64", stored="x")
    assert "'x' is no block" in said(app)


def test_other_tensors_have_no_such_section():
    app = opened(ref="demo", scheme="int4-sym-b64")
    assert "As it is stored" not in title(app)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_file_against_its_original_from_either_side(file, swapped):
    ref, beside = (file, "demo") if swapped else ("demo", file)
    tensor = "blk.0.attn_q.weight" if swapped else "model.layers.0.self_attn.q_proj.weight"
    app = opened(PAGE, ref=ref, beside=beside, tensor=tensor)
    assert not app.exception and not app.error
    assert "model.layers.0.self_attn.q_proj.weight as q8_0" in title(app)
    assert "exactly the bytes of the file" in said(app) and "interleaved" in said(app)
    assert len(app.metric) >= 5
    for button in [b for b in app.button if b.label == "Compare every tensor"]:  # another visitor may have asked before
        button.click()
        app = settled(app)
    table = next(t.value for t in app.dataframe if "in the file" in t.value)
    assert len(table) == 38 and (table["plain quantization"] == "same bytes").all()


def test_the_page_says_what_to_do_and_what_is_wrong(file):
    app = opened(PAGE, ref="demo")
    assert "Name the other model above" in said(app)
    app = opened(PAGE, ref="demo", beside="/nowhere/x.gguf")
    assert "no file" in said(app) and not app.exception
    app = opened(PAGE, ref="random:normal?rows=8&cols=256", beside=file)
    assert "no tensor in common" in said(app)


def test_every_mix_of_the_demo_model():
    app = opened(PAGE, ref="demo", gguf="Named mixes", mix="Q3_K_M")
    assert not app.exception and not app.error
    assert "Q3_K_M of demo" in title(app)
    table = next(t.value for t in app.dataframe if "bits per weight" in t.value)
    assert len(table) == len(MIXES)
    app.selectbox(key="mix").select("IQ2_M")
    app = settled(app)
    assert "only with an importance matrix" in said(app)
    app.toggle(key="mix_importance").set_value(True)
    app = settled(app)
    assert "only with an importance matrix" not in said(app)


def test_a_model_without_names_and_a_mix_that_is_none():
    app = opened(PAGE, ref="random:normal?rows=8&cols=256", gguf="Named mixes")
    assert "None of the architectures" in said(app) and not app.exception
    app = opened(PAGE, ref="demo", gguf="Named mixes", mix="Q4_K_XL")
    assert "Q4_K_M of demo" in title(app) and not app.exception
