"""The command line: what it prints, and one line with exit status 2 for everything that can be given wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz import cli
from quantviz.kernels.engines import TABLE
from quantviz.metrics import METRICS
from quantviz.schemes import Scheme

ROOT = Path(__file__).parent.parent
SMALL = "random:normal?rows=8&cols=64&outliers=0.01"
RECORD = ["ref", "tensor", "shape", "dtype", "scheme", "metrics", "engine", "seconds"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """run("tensors", ref) -> (exit status, standard output, standard error)"""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def start(*arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "quantviz", *arguments], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )  # fmt: skip


# -- what is right -----------------------------------------------------------------------------


def test_tensors_as_json(run) -> None:
    status, out, err = run("tensors", SMALL, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == [{"name": "weight", "shape": [8, 64], "dtype": "float32", "nbytes": 2048}]


def test_tensors_as_a_table(run) -> None:
    status, out, _ = run("tensors", SMALL)
    heads, line = out.splitlines()
    assert status == 0 and heads.split() == ["tensor", "shape", "dtype", "bytes", "bits"]
    assert line.split() == ["weight", "8", "×", "64", "float32", "2,048", "32"]


def test_schemes_lists_the_catalogue(run) -> None:
    status, out, err = run("schemes", "--json")
    listed = json.loads(out)
    assert (status, err) == (0, "") and tuple(s["scheme"] for s in listed) == qv.catalogue()
    for s in listed:
        scheme = Scheme.parse(s["scheme"])
        assert s["bits_per_weight"] == scheme.bits_per_weight((4096, 4096))
        assert (s["format"], s["symmetry"], s["scale"]) == (scheme.format, scheme.symmetry, scheme.scale)
    table = run("schemes")[1].splitlines()
    assert len(table) == len(qv.catalogue()) + 1 and len(set(map(len, table))) == 1  # the last column is right-aligned


def test_evaluate_as_json(run, engine: str) -> None:
    keys = ["int4-sym-b32", "nf4-b64", "fp32"]
    status, out, err = run("evaluate", SMALL, "weight", *keys, "--device", engine, "--json")
    records = json.loads(out, parse_constant=pytest.fail)  # neither NaN nor Infinity
    assert (status, err) == (0, "")
    assert [list(r) for r in records] == [RECORD] * 3 and [r["scheme"] for r in records] == keys
    w = qv.open_model(SMALL).load("weight")
    for r in records:
        assert (r["ref"], r["tensor"], r["shape"], r["dtype"]) == (SMALL, "weight", [8, 64], "float32")
        assert r["engine"] == engine and r["seconds"] > 0
        expected = qv.evaluate(w, r["scheme"], device=engine).metrics
        assert r["metrics"] == {k: v if np.isfinite(v) else None for k, v in expected.items()}
    assert records[2]["metrics"]["sqnr_db"] is None


def test_keys_are_printed_in_their_canonical_form(run) -> None:
    records = json.loads(run("evaluate", SMALL, "weight", "INT4-b32:scale=fp16", "--json")[1])
    assert records[0]["scheme"] == "int4-sym-b32"


def test_evaluate_some_rows(run) -> None:
    status, out, _ = run("evaluate", SMALL, "weight", "int4-sym-b32", "--rows", "2:5", "--json")
    (record,) = json.loads(out)
    assert status == 0 and record["shape"] == [3, 64]
    rows = qv.open_model(SMALL).load("weight", rows=(2, 5))
    assert record["metrics"]["mse"] == pytest.approx(qv.evaluate(rows, "int4-sym-b32").metrics["mse"])


def test_evaluate_as_a_table(run) -> None:
    status, out, err = run("evaluate", SMALL, "weight", "int4-sym-b32", "nf4-b64")
    first, _, heads, *lines = out.splitlines()
    assert (status, err) == (0, "") and first == "weight  8 × 64  float32"
    assert heads.split() == ["metric", "int4-sym-b32", "nf4-b64"]
    labels = {m.label for m in METRICS.values() if "output" not in m.name} - {"Importance-weighted MSE"}
    assert {line.partition("  ")[0] for line in lines} == labels


def test_importance_comes_from_a_file(run, tmp_path: Path) -> None:
    np.save(tmp_path / "h.npy", np.arange(1, 65, dtype=np.float32))
    asked = ("evaluate", SMALL, "weight", "iq2_xs:pad=1", "q4_0", "--json")
    status, out, err = run(*asked)
    assert (status, out) == (2, "") and "iq2_xs:pad=1 cannot be quantized without importance" in err
    status, out, _ = run(*asked, "--importance", str(tmp_path / "h.npy"))
    metrics = [r["metrics"] for r in json.loads(out)]
    assert status == 0 and all(m["weighted_mse"] > 0 for m in metrics) and metrics[1]["bits_per_weight"] == 4.5
    np.save(tmp_path / "h.npy", np.ones(63, np.float32))
    status, _, err = run(*asked, "--importance", str(tmp_path / "h.npy"))
    assert status == 2 and "63" in err and len(err.splitlines()) == 1


def test_notices_go_to_standard_error(run) -> None:
    status, out, err = run("evaluate", f"{SMALL}&scale=1e-10", "weight", "int4-sym-b32", "--json")
    assert status == 0 and json.loads(out)
    assert err.startswith("int4-sym-b32: ") and "scale=fp32" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([command, "--help"] for command in ("evaluate", "tensors", "schemes", "mix", "against"))],
)
def test_help(run, arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert (status, err) == (0, "") and out.strip().startswith("Usage: python -m quantviz")


@pytest.mark.parametrize("command", ["evaluate", "throughput"])
def test_help_lists_the_engines_of_the_table(run, command: str) -> None:
    told = " ".join(run(command, "--help")[1].split())
    for name, engine in TABLE.items():
        assert f"{name}: {engine.title}" in told and engine.borrows in told


# -- what is wrong -----------------------------------------------------------------------------


def safetensors(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> str:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return str(path)


def header(**tensors) -> bytes:
    return json.dumps({n: {"dtype": d, "shape": s, "data_offsets": o} for n, (d, s, o) in tensors.items()}).encode()


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files that no one should be able to upset the program with, by name."""
    folder = tmp_path_factory.mktemp("bad")

    def npy(name: str, array: np.ndarray) -> str:
        np.save(folder / name, array)
        return str(folder / name)

    nan = np.ones((4, 64), np.float32)
    nan[2, 3], nan[3, 0] = np.nan, np.inf
    good = header(w=("F32", [2, 32], [0, 256]))
    (folder / "folder").mkdir()
    (folder / "folder" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return {
        "NAN": npy("nan.npy", nan),
        "INTEGERS": npy("integers.npy", np.ones((4, 64), np.int64)),
        "EMPTY": npy("empty.npy", np.ones((0, 64), np.float32)),
        "SCALAR": npy("scalar.npy", np.array(1, np.float32)),
        "SMALL": npy("small.npy", np.ones((4, 8), np.float32)),
        "OBJECTS": npy("objects.npy", np.array([{}], object)),
        "HUGE": safetensors(folder / "huge.safetensors", b"{}", length=2**63),
        "TRUNCATED": safetensors(folder / "truncated.safetensors", good, b"\0" * 100),
        "OVERLAP": safetensors(
            folder / "overlap.safetensors", header(a=("F32", [32], [0, 128]), b=("F32", [32], [64, 192])), b"\0" * 192
        ),
        "OUTSIDE": safetensors(folder / "outside.safetensors", header(w=("F32", [32], [0, 128])), b"\0" * 64),
        "DTYPE": safetensors(folder / "dtype.safetensors", header(w=("F33", [32], [0, 128])), b"\0" * 128),
        "OVERFLOW": safetensors(folder / "overflow.safetensors", header(w=("F32", [2**40, 2**40], [0, 8])), b"\0" * 8),
        "TWICE": safetensors(folder / "twice.safetensors", b'{"w":%s,"w":%s}' % ((good[5:-1],) * 2), b"\0" * 256),
        "NO_JSON": safetensors(folder / "no_json.safetensors", b"\xff\xfe{{{"),
        "PICKLES": str(folder / "folder"),
        "PICKLE": str(folder / "folder" / "pytorch_model.bin"),
    }  # fmt: skip


BAD = [
    # usage
    ([], "Missing command"),
    (["evalute"], "Did you mean 'evaluate'"),
    (["--frobnicate"], "No such option"),
    (["tensors"], "Missing argument 'REF'"),
    (["tensors", SMALL, "more"], "unexpected extra argument"),
    (["evaluate", SMALL], "Missing argument 'TENSOR'"),
    (["evaluate", SMALL, "weight"], "Missing argument 'SCHEME'"),
    (["evaluate", SMALL, "weight", "int4", "--token", "x"], "No such option: --token"),
    (["evaluate", SMALL, "weight", "int4", "--rows"], "requires an argument"),
    # references
    (["tensors", ""], "The reference is empty"),
    (["tensors", "no/such/file.safetensors"], "There is no file"),
    (["tensors", "name/repository"], "hf:name/repository"),
    (["tensors", "a\nb\x1b[31m"], "There is no file"),
    (["tensors", "random:normall"], "Did you mean normal"),
    (["tensors", "random:normal?rows=0"], "rows=0"),
    (["tensors", "random:normal?rows=1000000&cols=1000000"], "rows or columns"),
    (["tensors", "hf:not a repository"], "hf:"),
    (["evaluate", SMALL, "wieght", "int4"], "Did you mean weight?"),
    # schemes, rows, engines
    (["evaluate", SMALL, "weight", "int4-sym-b46x"], "Did you mean int4-sym-b"),
    (["evaluate", SMALL, "weight", "int4-sym-b32", "itn4-sym-b32"], "Did you mean int4-sym-b32"),
    (["evaluate", SMALL, "weight", "int4", "--rows", "5"], "write A:B"),
    (["evaluate", SMALL, "weight", "int4", "--rows", "5:2"], "choose 0 ≤ start < stop ≤ 8"),
    (["evaluate", SMALL, "weight", "int4", "--rows", "0:9"], "which has 8 rows"),
    (["evaluate", SMALL, "weight", "int4", "--rows", "0:99999999999999999999999"], "write A:B"),
    (["evaluate", SMALL, "weight", "int4", "--device", "cudaa"], "no engine 'cudaa'; choose cpu or cuda or reference"),
    # files
    (["evaluate", "NAN", "nan", "int4"], "1 NaN and 1 infinite values, the first at [2, 3]"),
    (["evaluate", "NAN", "nan", "int4", "--device", "reference"], "1 NaN and 1 infinite"),
    (["evaluate", "INTEGERS", "integers", "int4"], "integers"),
    (["evaluate", "EMPTY", "empty", "int4"], "is empty"),
    (["evaluate", "SCALAR", "scalar", "int4"], "zero-dimensional"),
    (["tensors", "OBJECTS"], "pickle"),
    (["tensors", "HUGE"], "huge.safetensors"),
    (["tensors", "TRUNCATED"], "truncated.safetensors"),
    (["tensors", "OVERLAP"], "overlap"),
    (["tensors", "OUTSIDE"], "outside.safetensors"),
    (["evaluate", "DTYPE", "w", "int4"], "F33"),
    (["tensors", "OVERFLOW"], "overflow.safetensors"),
    (["tensors", "TWICE"], "twice"),
    (["tensors", "NO_JSON"], "no_json.safetensors"),
    (["tensors", "PICKLES"], "pickle"),
    (["tensors", "PICKLE"], "pickle"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(a) for a, _ in BAD])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_bad_input_exits_2_with_one_line(run, bad, arguments: list[str], said: str, as_json: bool) -> None:
    given = [bad.get(a, a) for a in arguments]
    if as_json and given[:1] in (["tensors"], ["evaluate"]):
        given.insert(1, "--json")
    status, out, err = run(*given)
    assert (status, out) == (2, "")
    assert said in err and "Traceback" not in err
    assert err.endswith("\n") and err.count("\n") == 1 and err[:-1].isprintable()


# -- as a process ------------------------------------------------------------------------------


def test_as_a_process_standard_output_is_json_alone() -> None:
    process = start("evaluate", SMALL, "weight", "int4-sym-b32", "--json")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "") and list(json.loads(out)[0]) == RECORD


def test_as_a_process_bad_input_is_one_line() -> None:
    process = start("evaluate", SMALL, "weight", "int4-sim-b32", env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"})
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "") and err.count("\n") == 1 and "int4-sym-b32" in err


def test_a_reader_that_stops_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    process = start("schemes", stdout=write)
    os.close(write)
    assert "Traceback" not in process.communicate(timeout=120)[1]
    assert process.returncode == 141  # 128 + SIGPIPE, as shells have it


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_progress_shows_and_ctrl_c_stops_with_130() -> None:
    terminal, stderr = os.openpty()
    schemes = ["int4-asym-b64"] * 500  # far more than can be done before the signal arrives
    process = start(
        "evaluate", "random:normal?rows=2048&cols=4096", "weight", *schemes, stderr=stderr,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a job in the background would ignore
    )  # fmt: skip
    os.close(stderr)
    seen = b""
    while b"int4-asym-b64: " not in seen:
        seen += os.read(terminal, 4096)
    assert b" of 8,388,608" in seen
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(terminal, 4096):
            seen += piece
    os.close(terminal)
    assert (process.returncode, out) == (130, "")
    assert seen.endswith(b"\r\x1b[K") and b"Traceback" not in seen
