"""What the commands print and refuse is what it was before, word for word."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quantviz import cli
from quantviz.cli import output, sensitivity, sweep, terminal
from quantviz.quality.results import SuperWeights
from quantviz.sensitivity.frame import frame_of
from tests.quality.made_up import collapsed, result
from tests.recorded import interface
from tests.sensitivity.made_up import sensitivity_row
from tests.sweep.made_up import frame, refused, row

SMALL = "random:normal?rows=8&cols=64&outliers=0.01"
ASKED = {
    "tensors": ["tensors", SMALL],
    "tensors of the demo": ["tensors", "demo"],
    "json": ["tensors", "values:1,2;3,4", "--json"],
    "evaluate": ["evaluate", SMALL, "weight", "int4-sym-b32", "fp32", "nf4-b64"],
    "rows": ["evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "2:5"],
    "rows as JSON": ["evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "2:5", "--json"],
    "schemes": ["schemes"],
    "schemes as JSON": ["schemes", "--json"],
    "no rows": ["evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "5:5"],
    "bad rows": ["evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "5"],
    "beyond": ["evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "0:9"],
    "whole": ["evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "0:8"],
    "no tensor": ["evaluate", SMALL, "wieght", "int4-sym-b32"],
    "no scheme": ["evaluate", SMALL, "weight", "int4-smy-b32"],
    "nothing": ["evaluate", SMALL],
    "no model": ["tensors", "nothing"],
    "no command": ["evalute"],
    "shape": ["evaluate", "random:normal?rows=2&cols=33", "weight", "q4_0"],
    "device": ["evaluate", SMALL, "weight", "fp32", "--device", "gpu"],
    "against": ["against", "values:1,2;3,4", "values:1,2;3,5"],
    "against one": ["against", "values:1,2;3,4", "values:1,2;3,5", "values"],
    "against JSON": ["against", "values:1,2;3,4", "values:1,2;3,5", "--json"],
    "against other": ["against", "values:1,2;3,4", "values:1,2,3"],
    "against several": ["against", "values:1,2;3,4", "values:1,2;3,5", "values:1,2;3,6", "values:1,2;3,7"],
    "importance alone": ["against", "values:1,2", "values:1,3", "--importance", "x.npy"],
    "sweep roles": ["sweep", "demo", "int4-sym-b32", "--out", "/not/x.parquet", "--roles", "mlp up,,head"],
    "sweep sample": ["sweep", "demo", "int4-sym-b32", "--out", "/not/x.parquet", "--sample", "0%"],
    "resume": ["sensitivity", "demo", "int4-sym-b32", "--resume"],
    "by": ["sensitivity", "demo", "int4-sym-b32", "--by", "head"],
    "quality": ["quality", "demo", "int44"],
    "throughput": ["throughput", "--shape", "3"],
    "batch": ["throughput", "--batch", "x"],
    "mix": ["mix", "values:1,2"],
    "plan": ["plan", "/not/there.parquet", "--bits", "4"],
}


@pytest.mark.parametrize("name", ASKED)
def test_commands(name, kept, capsys):
    status = cli.main(ASKED[name])
    out, err = capsys.readouterr()
    out = re.sub(r'"seconds": [^\n]*', '"seconds": …', out)
    lines = out.splitlines()
    kept([status, err[:900], len(lines), dict(enumerate(lines[:40])), sum(map(len, lines))])


def test_importance_and_calibrations_on_the_command_line(kept, capsys, tmp_path):
    np.save(tmp_path / "h.npy", np.linspace(0.1, 3, 64).astype(np.float32))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((90, 64)).astype(np.float32))
    np.save(tmp_path / "short.npy", np.ones(63, np.float32))
    for more in (
        ["--importance", "h.npy"],
        ["--calibration", "x.npy"],
        ["--importance", "short.npy"],
        ["--calibration", "short.npy"],
        ["--importance", "none.npy"],
    ):
        status = cli.main(["evaluate", SMALL, "weight", "int4-sym-b32", "fp16", more[0], str(tmp_path / more[1])])
        out, err = (text.replace(str(tmp_path), "…") for text in capsys.readouterr())
        kept([status, err, dict(enumerate(out.splitlines()))])


def sweep_frame() -> pd.DataFrame:
    rows = [
        row(
            f"t{i}",
            "mlp up",
            i,
            scheme,
            1.0 + i,
            notices="One.\nTwo." if i % 2 else "Two." if i else "",
            se_relative_l2_error=0.01 if i == 3 else float("nan"),
        )
        for i in range(12)
        for scheme in ("int4-sym-b32", "nf4-b64")
    ]
    return frame(*rows, refused("t12", "head", None, "nf4-b64", "It does not fit."))


def test_what_a_sweep_prints(kept, capsys):
    table = sweep_frame()
    kept(sweep._notices(table))
    for one in (table, table[table.tensor == "t1"], table[-1:]):
        sweep._print(one, Path("x.parquet"))
        kept(dict(enumerate(capsys.readouterr().out.splitlines())))
    document = sweep._document(table)
    kept([document["totals"], document["rows"][:2], document["rows"][-1], len(document["rows"])])
    kept([sweep._words(text) for text in (None, "mlp up", "mlp   up, head")])


def test_what_a_sensitivity_prints(kept, capsys):
    rows = [sensitivity_row(f"u{i}", 0.01 * i, tensors=i * 700, weights=10**i) for i in range(8)]
    missing = float("nan")
    rows.append(
        sensitivity_row(
            "x",
            missing,
            kl_se=missing,
            perplexity_ratio=missing,
            perplexity_ratio_se=missing,
            top1_agreement=missing,
            refused="It does not fit.",
        )
    )
    for part in (rows, rows[:2], rows[-1:]):
        sensitivity._print_table(frame_of(part))
        kept(dict(enumerate(capsys.readouterr().out.splitlines())))


def test_what_quality_prints(kept, capsys):
    from quantviz.cli import quality

    printing = [getattr(quality, name) for name in ("_print", "_print_table") if hasattr(quality, name)]
    results = [
        result("int8-sym-b32", 1.001, 0.0002, targets=("linear",), text="A text."),
        result("int4-sym-b32", 2.5, 0.1, notices=("A notice.",)),
        collapsed("int2-sym-b32"),
    ]
    for show in printing:
        for some in (results, results[:1]):
            try:
                show(some)
            except (TypeError, AttributeError) as other:
                kept(type(other).__name__)
                break
            kept(dict(enumerate(capsys.readouterr().out.splitlines())))
    kept(SuperWeights(1, 2.0, (1.5,), ("a",)).random_ratio)


def test_tables_and_lines_of_progress(kept, capsys, monkeypatch):
    output.print_table(("a", "long heading", "c"), [("x", "1", "\u202ez"), ("longer", "22", "")], right=(1,))
    output.print_table(("only",), [])
    output.print_json({"a": [1, None, "é"], "b": {}})
    kept(dict(enumerate(capsys.readouterr().out.splitlines())))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock = iter(range(100))
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(output.time, "monotonic", lambda: next(clock) * 0.06)
    with output.ProgressLine() as line:
        told = line.of("weights\nmeasured")
        for done in (0, 1, 2, 5, 50, 99, 100):
            told(done, 100)
        line.of("nothing")(0, 0)
    kept(screen.getvalue().split("\r"))
    terminal.complain("A sentence.\nIn two lines.")
    kept(screen.getvalue()[-80:])
    json.dumps(screen.getvalue())


def test_the_interface(kept):
    kept(interface("cli"))
