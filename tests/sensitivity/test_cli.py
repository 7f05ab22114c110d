"""`sensitivity` on the command line."""

from __future__ import annotations

import json

import pytest

from quantviz import cli
from quantviz.sensitivity import COLUMNS, load_sensitivity

SMALL = ["--tokens", "128", "--context", "64"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["sensitivity", *arguments])
        return status, *capsys.readouterr()

    return call


def test_a_table_worst_first_kept_and_resumed_as_json(run, llama, tmp_path) -> None:
    out = tmp_path / "kept.parquet"
    status, text, err = run(str(llama), "int4-sym-b32", "int2-asym-b32", "--by", "layer", "--out", str(out), *SMALL)
    assert (status, err) == (0, "")
    lines = text.splitlines()
    assert "each layer quantized alone, over 128 tokens in windows of 64" in lines[0] and "±" in lines[1]
    assert lines[3].split()[:4] == ["layer", "tensors", "weights", "scheme"] and len(lines) == 4 + 2 * 4
    found = load_sensitivity(out).frame
    status, text, _ = run(
        str(llama), "int4-sym-b32", "int2-asym-b32", "--by", "layer", "--out", str(out), "--resume", "--json", *SMALL
    )  # fmt: skip
    records = json.loads(text, parse_constant=pytest.fail)
    assert status == 0 and all(tuple(record) == tuple(COLUMNS) for record in records)
    assert [r["kl_mean"] for r in records] == sorted(found["kl_mean"], reverse=True)
    order = [r["unit"] for r in records]
    assert [line.split("  ")[0] for line in lines[4:]] == order


BAD = [
    (["demo", "int4", "--by", "rows"], "choose tensor, role, layer"),
    (["demo", "int99"], "int99"),
    (["demo"], "SCHEME"),
    (["demo", "int4", "--resume"], "name it with --out"),
    (["demo", "int4", "--tokens", "100"], "has 100 tokens, fewer than one window of 512"),
    (["demo", "int4", "--text", "none.txt"], "cannot be read"),
    (["random:normal", "int4"], "no language model"),
    (["demo", "int4", "--out", "/proc/none/kept.parquet"], "cannot be written"),
]


def test_bad_input_exits_2_with_one_line(run) -> None:
    for arguments, says in BAD:
        status, out, err = run(*arguments)
        assert (status, out) == (2, "") and says in err, arguments
        assert err.count("\n") == 1 and "Traceback" not in err and err[:-1].isprintable()
