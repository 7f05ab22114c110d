"""`plan` on the command line, on a sweep that is handed to it."""

from __future__ import annotations

import json

import pytest

import quantviz.cli.plan as command
from quantviz.cli import main

from .frames import demo, made_up
from .plans import TENSORS


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_read_sweep", lambda path: (demo(("int4-sym-b32", "int8-sym-b32", "q4_0")), "demo"))


def test_a_table(swept: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "demo.parquet", "--bits", "5"]) == 0
    said = capsys.readouterr()
    assert "bits per weight over" in said.out and "best uniform scheme" in said.out and "proven" in said.out
    assert "model.layers.3.mlp.down_proj.weight" in said.out


def test_a_recipe_alone_on_standard_output(swept: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "demo.parquet", "--size", "2.5MB", "--allow", "q4_0", "--allow", "int8-sym-b32", "--keep",
                 "embed_tokens", "--share", "none", "--export", "quantviz"]) in (0, 2)  # fmt: skip
    capsys.readouterr()
    assert main(["plan", "demo.parquet", "--bits", "6", "--export", "quantviz", "--share", "qkv,gate-up"]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1 and all("=" in rule for rule in said.out.strip().split(";"))


def test_json(swept: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "demo.parquet", "--bits", "6", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rules"]["share"] == ["experts"] and len(document["tensors"]) == 29


def test_bad_input_is_one_sentence(swept: None, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--bits", "1"], ["--bits", "99"], [], ["--bits", "5", "--size", "2MB"], ["--size", "4"],
                      ["--bits", "5", "--export", "gguf"], ["--bits", "5", "--keep", "nothing"],
                      ["--bits", "5", "--export", "llama.cpp"], ["--bits", "5", "--damage", "kl"]):  # fmt: skip
        assert main(["plan", "demo.parquet", *arguments]) == 2, arguments
        said = capsys.readouterr()
        assert said.out == "" and "Traceback" not in said.err and said.err.strip()


def test_a_model_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    frame = made_up(TENSORS, ("int4-sym-b32", "int8-sym-b32"))
    monkeypatch.setattr(command, "_read_sweep", lambda path: (frame, "/not/there"))
    assert main(["plan", "x.parquet", "--size", "1MB"]) in (0, 2)
    assert "is unknown" in capsys.readouterr().err
