"""Models whose tensors are not what they seem: codes are offered nowhere, and what was turned says so."""

from __future__ import annotations

import json

from tests.checkpoints.layouts import example_of
from tests.checkpoints.test_recognition import PLAIN, marks, written
from tests.pages.running import opened
from tests.sources.builders import safetensors, weights


def said(app) -> str:
    return " ".join(str(e.value) for kind in ("warning", "info", "error", "markdown", "caption") for e in app.get(kind))


def test_codes_are_not_offered_and_a_link_to_them_says_why(tmp_path) -> None:
    exl2 = example_of("EXL2")
    folder = written(tmp_path, exl2.tensors | PLAIN, marks(exl2))
    app = opened(ref=str(folder), tensor="l.q_weight", scheme="int8-sym-b32", pinned="none")
    assert not app.exception
    (refused,) = (str(e.value) for e in app.error)
    assert "stored as EXL2" in refused
    assert sorted(app.sidebar.selectbox(key="tensor").options) == sorted([*PLAIN, "l.q_weight"])
    app = opened(ref=str(folder), scheme="int8-sym-b32", pinned="none")
    assert not app.exception and not app.error
    assert sorted(app.sidebar.selectbox(key="tensor").options) == sorted(PLAIN)


def test_a_matrix_that_was_turned_says_so(tmp_path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors({"h.0.mlp.c_fc.weight": weights(64, 256)}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    app = opened(ref=str(tmp_path), tensor="h.0.mlp.c_fc.weight", scheme="int4-sym-b64", pinned="none")
    assert not app.exception
    assert "256 × 64" in said(app) and "inputs before outputs" in said(app)
