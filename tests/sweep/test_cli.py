"""`sweep` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantviz import cli
from tests.sweep.test_sweep import folder


def test_a_table_one_document_and_one_line_for_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["sweep", *arguments, "--detail", "metrics"])
        return status, *capsys.readouterr()

    ref, out = folder(tmp_path / "m"), str(tmp_path / "o.parquet")
    status, printed, _ = run(ref, "int4-sym-b32", "q4_k", "--out", out)
    assert status == 0
    assert "3 weight matrices" in printed and "int4-sym-b32, worst first" in printed
    totals = printed.split("\n\n")[1].splitlines()
    assert totals[1].split()[:3] == ["int4-sym-b32", "3", "4.500"] and len(totals) == 2  # 64 columns: no blocks of 256
    assert printed.count("is a multiple of 256") == 3
    status, printed, told = run(ref, "int4-sym-b32", "q4_k", "--out", out, "--resume", "--json")
    document = json.loads(printed)
    assert status == 0 and told == "" and len(document["rows"]) == 6
    assert [t["scheme"] for t in document["totals"]] == ["int4-sym-b32", "q4_k"]
    assert document["totals"][0]["bits"] == 3 * 8 * 64 * 4.5 and document["totals"][1]["refused"] == 3
    assert document["rows"][0]["abs_error_p99"] is None and document["rows"][0]["expert"] is None
    for arguments, said in (
        ((ref, "q4_0", "--out", out), "exists already"),
        ((ref, "q4_0", "--out", out, "--resume"), "made from another sweep, with the schemes"),
        ((ref, "q4_0", "--out", out + "x", "--roles", "mlp dwn"), "Did you mean mlp down"),
        ((ref, "q4_0", "--out", out + "x", "--roles", "head,"), "empty role"),
        ((ref, "q4_0", "--out", out + "x", "--tensors", "("), "no regular expression"),
        ((ref, "q4_0", "--out", out + "x", "--workers", "two"), "no whole number"),
        ((ref, "q4_0"), "--out"),
    ):
        status, printed, told = run(*arguments)
        assert (status, printed) == (2, "") and said in told and told.count("\n") == 1
    assert not Path(out + "x").exists()
