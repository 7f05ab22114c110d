"""The command throughput: its table, its document, and one line with exit status 2 for what is given wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from quantviz import cli
from quantviz.throughput import runner, timing, turns

SMALL = ("--device", "cpu", "--tensor", "128x512", "--shape", "128x512", "--model", "demo", "--rounds", "3")
TWO = ("--scheme", "bf16", "--scheme", "int4-asym-b64")
ASKED = [
    "workload", "scheme", "shape", "batch", "device", "median_s", "min_s", "max_s", "repeats", "weights_per_s",
    "bytes_per_s", "share_of_copy", "tokens_per_s", "speedup_over_bf16", "correct",
]  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """run(options...) -> (exit status, standard output, standard error), on small buffers in a queue of its own."""
    monkeypatch.setattr(turns, "folder", lambda: tmp_path)
    monkeypatch.setattr(timing, "SETTLE", 0.0)
    monkeypatch.setattr(runner, "bandwidth", lambda device, cache, free: timing.bandwidth(device, cache, 8 << 20))
    card = runner.devices.card
    monkeypatch.setattr(runner.devices, "card", lambda device: replace(card(device), cache_bytes=1 << 18))

    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(("throughput", *arguments))
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_as_json(run) -> None:
    status, out, err = run(*SMALL, *TWO, "--workload", "linear", "--workload", "decode", "--batch", "2", "--json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert (status, err) == (0, "")
    assert [(m["workload"], m["scheme"]) for m in document["measurements"]] == [
        ("linear", "bf16"), ("linear", "int4-asym-b64"), ("decode", "bf16"), ("decode", "int4-asym-b64"),
    ]  # fmt: skip
    for m in document["measurements"]:
        assert list(m)[: len(ASKED)] == ASKED and m["correct"] and m["batch"] == 2 and m["median_s"] > 0
    card = document["card"]
    assert card["device"] == "cpu" and card["name"] and card["copy_bytes_per_s"] > 0 and "numba" in card["versions"]
    assert document["refused"] == [] and document["stopped"] is False and document["seconds"] > 0


def test_as_a_table(run) -> None:
    status, out, err = run(*SMALL, *TWO, "--scheme", "nf4-b64")
    lines = out.splitlines()
    assert (
        status == 0 and "threads" in lines[0] and "torch" in lines[1] and "Memory bandwidth measured here" in lines[2]
    )
    for title in ("quantize: 128 × 512", "linear: 128 × 512, 1 token at once", "decode: 3.93 million weights of demo"):
        place = next(i for i, line in enumerate(lines) if line.startswith(title))
        assert lines[place + 1].split()[:4] == ["scheme", "median", "min", "max"]
        assert re.match(r"bf16 +[\d.]+ ms .* 1\.00× .* yes$", lines[place + 2])
        ends = [re.search(what, line).end() for what, line in (("median", lines[place + 1]), (" ms", lines[place + 2]))]
        assert ends[0] == ends[1], "numbers end where their heads end"
    assert any(line.startswith("Whether the claim holds cannot be told here. It speaks of GPUs") for line in lines)
    assert err.count("\n") == 1 and err.startswith(
        "Not measured, linear nf4-b64, decode nf4-b64: There is no CPU kernel"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "gpu"], "There is no device 'gpu'"),
        (["--workload", "decod"], "Did you mean decode?"),
        (["--scheme", "itn4"], "'itn4' is no scheme"),
        (["--batch", "0"], "The batch must be a whole number from 1"),
        (["--batch", "x"], "Invalid value for '--batch'"),
        (["--rounds", "0"], "The number of rounds must be"),
        (["--shape", "4096"], "--shape '4096' is no shape; write rows and columns"),
        (["--shape", "0x4096"], "two whole numbers from 1"),
        (["--tensor", "a×b"], "--tensor 'a×b' is no shape"),
        (["--model", "900b"], "There is no model '900b'; choose 0.5b"),
        (["--model", "hf:not a repository"], "names no Hub repository"),
        (["more"], "unexpected extra argument"),
    ],
)
def test_bad_input_exits_2_with_one_line(run, arguments: list[str], said: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "") and said in err
    assert err.endswith("\n") and err.count("\n") == 1 and "Traceback" not in err


def test_a_machine_without_cuda_says_so_when_asked_for_it(run) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    status, out, err = run("--device", "cuda")
    assert (status, out) == (2, "") and "choose cpu." in err and err.count("\n") == 1


def test_help(run) -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "") and "--workload" in out and "--json" in out
