"""`demo` is a source like any other."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sources import demo, open_model

ROOT = Path(__file__).parent.parent.parent


def test_demo_lists_and_loads_the_tensors_of_its_folder():
    model, folder = open_model("demo"), open_model(demo.FOLDER)
    assert model.ref == "demo"
    assert model.tensors == folder.tensors
    name = "model.layers.0.mlp.down_proj.weight"
    assert np.array_equal(model.load(name), folder.load(name))
    assert model.load(name, rows=(3, 5)).shape == (2, model.info(name).cols)


def test_a_layer_of_the_demo_is_evaluated_like_any_other():
    weights = open_model("demo").load("model.layers.0.self_attn.q_proj.weight")
    at_8, at_4 = (qv.evaluate(weights, key).metrics["relative_l2_error"] for key in ("int8-sym-b32", "int4-sym-b32"))
    assert 0 < at_8 < at_4 < 0.2


def test_demo_opens_where_files_are_confined_to_another_folder(tmp_path):
    assert open_model("demo", root=tmp_path).tensors


def test_a_missing_folder_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "FOLDER", tmp_path / "none")
    with pytest.raises(QuantvizError, match="missing from this installation"):
        open_model("demo")


def test_every_file_of_the_folder_is_package_data():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["quantviz.quality"]
    for path in demo.FOLDER.iterdir():
        assert any(fnmatch(f"demo/{path.name}", pattern) for pattern in patterns), path.name
