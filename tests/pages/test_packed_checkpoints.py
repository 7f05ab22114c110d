"""Quantized checkpoints in the app: a layer opens as the weight it is, with its codes, and beside its original."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.damaged import case_of, changed
from tests.checkpoints.golden import files, load
from tests.checkpoints.packing import write_gptq
from tests.pages.running import opened, shown
from tests.pages.test_explore import title
from tests.pages.test_published_files import said
from tests.published.packing import model
from tests.sources.builders import weights

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


@pytest.mark.parametrize("file, name, noise, told", [
    ("exl3", "3-plain-128x128", 0, "This is plain quantization to EXL3 3 bits"),
    ("aqlm", "2x8-1x8", 0.3, "worse than plain quantization to AQLM 2x8 g8"),
])  # fmt: skip
def test_codes_that_are_no_numbers_stand_beside_the_best_that_a_search_finds(tmp_path, file, name, noise, told):
    case = next(case for case in load(file)[2] if case.name == name)
    packed = qv.open_model(case.write(tmp_path / "file"))
    w = packed.load(case.weight)
    original = model(tmp_path / "original", {case.weight: w + np.float32(noise) * w.std() * weights(*w.shape)})
    app = opened("published_files", ref=original.ref, beside=packed.ref, tensor=case.weight)
    assert not app.exception and not app.error
    assert told in said(app) and "stand for no numbers of their own, so none are counted" in said(app)


def test_the_address_that_the_page_had_before_leads_to_it(folder):
    app = opened("published_files")
    assert "Published files" in [str(t.value) for t in app.title]


@pytest.mark.parametrize("file", files()[::4])  # every reader is held to its library in tests/checkpoints
def test_a_layer_of_any_format_opens(tmp_path, file):
    case = load(file)[2][0]
    app = opened(ref=str(case.write(tmp_path)), tensor=case.weight, scheme="int4-sym-b32", pinned="none")
    assert not app.exception and not app.error
    assert "As it is stored" in title(app)


def test_layers_that_cannot_be_read_are_told_beside_what_can(tmp_path):
    lost = changed(case_of("gptq", "auto-round-4"), without=(".qzeros",))
    case = replace(lost, tensors=lost.tensors | {"norm.weight": ("F32", (32,), bytes(128))})
    app = opened(ref=str(case.write(tmp_path)), scheme="int4-sym-b32", pinned="none")
    assert not app.exception
    told = " ".join(shown(caption) for caption in app.sidebar.caption)
    assert "1 tensor holds codes of GPTQ, which quantviz does not decode" in told and "The table tells why." in told
