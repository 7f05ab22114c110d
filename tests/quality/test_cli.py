"""`quality` on the command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantviz import cli
from quantviz.quality.model import replacing
from quantviz.quality.results import JSON_FIELDS

ROOT = Path(__file__).parent.parent.parent
SMALL = ["--tokens", "256", "--context", "128"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["quality", *arguments])
        return status, *capsys.readouterr()

    return call


def test_json_is_a_list_with_the_promised_fields_first(run, llama) -> None:
    status, out, err = run(str(llama), "int8-b32", "fp32", "--json", *SMALL)
    records = json.loads(out, parse_constant=pytest.fail)
    assert (status, err) == (0, "")
    assert [r["scheme"] for r in records] == ["int8-sym-b32", "fp32"]
    assert all(tuple(r)[: len(JSON_FIELDS)] == JSON_FIELDS for r in records)
    assert records[1]["perplexity_ratio"] == 1 and records[1]["kl_max"] == 0
    assert {r["ref"] for r in records} == {str(llama)} and records[0]["tokens"] == 256
    assert records[0]["targets"] == ["linear"] and "Gospel of John" in records[0]["text"]


def test_a_table_for_people(run, llama) -> None:
    status, out, _ = run(str(llama), "int4-asym-b32", "down_proj=int8-b32;*=int4-asym-b32", *SMALL)
    lines = out.splitlines()
    assert status == 0 and "126 tokens scored, computed in float32 on cpu" in lines[0] and "second half" in lines[1]
    assert lines[2].startswith("Text: the demo model's test book") and lines[2].endswith(".")
    assert lines[3] == "Quantized: 14 layers (linear); all else as it is stored."
    assert lines[-3].split()[:2] == ["scheme", "bits"] and lines[-2].startswith("int4-asym-b32 ")
    assert lines[-1].startswith("down_proj=int8-sym-b32;*=int4-asym-b32 ")


def test_text_method_and_targets(run, llama, tmp_path) -> None:
    (tmp_path / "text.txt").write_text("In the beginning was the Word. " * 60, encoding="utf-8")
    status, out, _ = run(
        str(llama), "int4-b32", "--text", str(tmp_path / "text.txt"), "--method", "sliding", "--targets",
        "down_proj,head", "--tokens", "0", "--context", "64", "--json",
    )  # fmt: skip
    (record,) = json.loads(out)
    assert status == 0 and record["method"] == "sliding" and record["layers"] == 3
    assert record["scored"] == record["tokens"] - 1 > 300
    assert record["targets"] == ["down_proj", "head"] and record["text"].startswith("a text of 1,860 bytes, SHA-256 ")


def test_what_multiplies_the_perplexity_is_said_as_a_factor(capsys) -> None:
    """As the verdicts say it: nobody reads a percentage of eight digits."""
    from quantviz.cli.quality import _print_results
    from tests.quality.test_verdicts import result

    _print_results([result("int2-sym-tensor", 224749.6, se=39040.1), result("int8-sym-b32", 0.0031, se=0.0011)])
    out = capsys.readouterr().out
    assert "×224,751 ± 39,040" in out and "+0.31% ± 0.11%" in out and "e+" not in out


BAD = [
    (["demo"], "Missing argument 'SCHEME"),
    (["nothing/here", "int4"], "no file or folder"),
    (["demo", "itn4"], "Did you mean"),
    (["demo", "int4", "--targets", "down_prj", *SMALL], "No layer matches 'down_prj'"),
    (["demo", "down_prj=int4", *SMALL], "No layer matches 'down_prj'"),
    (["demo", "int4", "--method", "strided"], "choose llama.cpp or sliding"),
    (["demo", "int4", "--context", "1024"], "reads 512 tokens at a time"),
    (["demo", "int4", "--tokens", "100"], "has 100 tokens, fewer than one window of 512"),
    (["demo", "int4", "--text", "none.txt"], "cannot be read"),
    (["demo", "int4", "--device", "tpu"], "choose cpu or cuda"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_exits_2_with_one_line(run, arguments, says) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "") and says in err
    assert err.count("\n") == 1 and "Traceback" not in err and err[:-1].isprintable()


def test_a_collapsed_model_has_null_where_there_is_no_number(run, llama, monkeypatch) -> None:
    def ruin(stored, scheme, into, importance=None):
        into.fill_(math.nan)
        return replacing.Change(stored.size, stored.size, 1.0, 1.0)

    monkeypatch.setattr(replacing, "place", ruin)
    status, out, err = run(str(llama), "int1", "--json", *SMALL)
    (record,) = json.loads(out, parse_constant=pytest.fail)
    assert status == 0 and "126 of 126 predictions are no finite numbers" in err
    assert [record[name] for name in ("perplexity", "perplexity_ratio", "kl_mean", "kl_max")] == [None] * 4
    assert record["non_finite"] == 126 and record["base_perplexity"] > 0


def test_as_a_process_nothing_but_json_is_printed(llama) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quantviz", "quality", str(llama), "int4-b32", "--json", *SMALL],
        cwd=ROOT, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "") and json.loads(done.stdout)[0]["scheme"] == "int4-sym-b32"
