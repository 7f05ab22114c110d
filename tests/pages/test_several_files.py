"""Several files of one model on Published files: each a row beside the original, with what it loses where."""

from __future__ import annotations

import pytest

import quantviz as qv
from tests.checkpoints.packing import write_gptq
from tests.pages.running import opened, settled, shown
from tests.sources.gguf_builder import demo

LAYERS = [f"model.layers.0.mlp.{name}_proj" for name in ("down", "gate", "up")]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    folder, model = tmp_path_factory.mktemp("files"), qv.open_model("demo")
    gptq = write_gptq(folder / "gptq", {name: model.load(f"{name}.weight") for name in LAYERS})
    return [str(demo(folder / "demo-Q8_0.gguf", {"blk.0.ffn_up.weight": "q4_k"})), str(gptq)]


def test_each_file_has_a_row_and_the_best_of_every_role_is_named(files):
    app = opened("published_files", ref="demo", gguf="Several files", files=files)
    assert not app.exception and not app.error
    next(button for button in app.button if button.label == "Compare these files").click()
    app = settled(app)
    assert not app.exception and not app.error
    tables = [t.value for t in app.dataframe]
    rows = next(t for t in tables if "bits per weight" in t)
    named = ["demo-Q8_0.gguf", "gptq"]  # without the folder in which both lie
    assert rows.file.tolist() == named and rows["main type"].tolist() == ["q8_0", "GPTQ int4 g32"]
    assert rows["bits per weight"].tolist()[1] == 4.625 and (rows.error > 0).all()
    assert rows.error[0] < rows.error[1]
    roles = next(t for t in tables if "role" in t)
    assert {"mlp up", "mlp down"} <= set(roles.role) and (roles[named[0]] > 0).all()
    assert set(roles.least.dropna()) == {named[0]}
    types = next(t for t in tables if "tensor" in t and named[1] in t)
    assert "q4_k" in set(types[named[0]]) and set(types[named[1]].dropna()) == {"GPTQ int4 g32"}
    assert any(f"{named[0]} and {named[1]} store" in shown(caption) for caption in app.caption)


def test_none_asks_for_files_and_one_that_does_not_open_is_told():
    app = opened("published_files", ref="demo", gguf="Several files")
    assert any("made from the model in the sidebar" in i.value for i in app.info)
    app = opened("published_files", ref="demo", gguf="Several files", files=["/nowhere/at-all.gguf"])
    assert not app.exception and "no file" in shown(app.error[0])
