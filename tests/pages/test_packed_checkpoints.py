"""Quantized checkpoints in the app: a layer opens as the weight it is, with its codes, and beside its original."""

from __future__ import annotations

import pytest

import quantviz as qv
from tests.checkpoints.golden import files, load
from tests.checkpoints.packing import write_gptq
from tests.pages.running import opened
from tests.pages.test_explore import title
from tests.pages.test_published_files import said

DOWN = "model.layers.0.mlp.down_proj"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    demo = qv.open_model("demo")
    layers = {DOWN: demo.load(f"{DOWN}.weight")}
    return str(
        write_gptq(tmp_path_factory.mktemp("gptq"), layers, {"model.norm.weight": demo.load("model.norm.weight")})
    )


def test_a_layer_shows_what_it_was_made_of(folder):
    app = opened(ref=folder, tensor=f"{DOWN}.weight", scheme="int4-sym-b64", pinned="none", stored="5,1")
    assert not app.exception and not app.error
    assert f"{DOWN}.weight under int4-sym-b64" in title(app) and "As it is stored: GPTQ int4 g32" in title(app)
    assert "Group 5, 1" in said(app) and "4.625 bits a weight" in said(app)
    weights = next(t.value for t in app.dataframe if "stands for" in t.value)
    assert weights.column.tolist() == list(range(32, 64))
    assert weights.value.tolist() == qv.open_model(folder).load(f"{DOWN}.weight")[5, 32:64].tolist()
    assert app.sidebar.selectbox(key="tensor").options == [f"{DOWN}.weight", "model.norm.weight"]


@pytest.mark.parametrize("swapped", [False, True])
def test_it_stands_beside_its_original_from_either_side(folder, swapped):
    ref, beside = (folder, "demo") if swapped else ("demo", folder)
    app = opened("published_files", ref=ref, beside=beside, tensor=f"{DOWN}.weight")
    assert not app.exception and not app.error
    assert f"{DOWN}.weight as GPTQ int4 g32" in title(app)


def test_the_address_that_the_page_had_before_leads_to_it(folder):
    app = opened("published_files")
    assert "Published files" in [str(t.value) for t in app.title]


@pytest.mark.parametrize("file", files()[::4])  # every reader is held to its library in tests/checkpoints
def test_a_layer_of_any_format_opens(tmp_path, file):
    case = load(file)[2][0]
    app = opened(ref=str(case.write(tmp_path)), tensor=case.weight, scheme="int4-sym-b32", pinned="none")
    assert not app.exception and not app.error
    assert "As it is stored" in title(app)
