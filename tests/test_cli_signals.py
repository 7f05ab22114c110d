"""The command line as a process: stopped at any moment, with streams that are closed, full or read by nobody."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quantviz import cli
from tests.sources.builders import safetensors, weights

ROOT = Path(__file__).parent.parent
SMALL = "random:normal?rows=8&cols=64"
LARGE = "random:normal?rows=4096&cols=4096"
COMMANDS = {
    "tensors": ["tensors", SMALL],
    "tensors as JSON": ["tensors", SMALL, "--json"],
    "schemes": ["schemes"],
    "evaluate": ["evaluate", LARGE, "weight", *["int4-asym-b64"] * 200],
    "evaluate as JSON": ["evaluate", LARGE, "weight", *["int4-asym-b64"] * 200, "--json"],
    "against": ["against", LARGE, LARGE],
    "mix": ["mix", "demo"],
    "quality": ["quality", "demo", "int4-sym-b32"],
    "throughput": ["throughput", "--workload", "quantize"],
    "help": ["--help"],
}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and closed descriptors as Unix has them")


def start(*arguments: str, interrupts=signal.SIG_DFL, flags: tuple[str, ...] = ()) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *flags, "-m", "quantviz", *arguments], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, interrupts),
    )  # fmt: skip


def interrupted_after(modules: int, *arguments: str) -> tuple[int, str, list[str]]:
    """(status, standard output, standard error) where Ctrl-C comes once so many modules beyond the first are loaded."""
    process = start(*arguments, flags=("-X", "importtime"))  # which says on standard error what is loaded
    for line in process.stderr:
        if line.split("|")[-1].strip() == "quantviz.cli":
            break
    for _, _ in zip(range(modules), process.stderr, strict=False):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # What was read ahead of the loop is gone, so the first line may be the end of one.
    lines = re.sub(r"\A[\w.| ]*\n", "", err).splitlines()
    return process.returncode, out, [line for line in lines if not line.startswith("import time:")]


def shell(line: str) -> subprocess.CompletedProcess:
    python = f'"{sys.executable}" -m quantviz'
    return subprocess.run(
        ["bash", "-c", "set -o pipefail; " + line.replace("QV", python)], cwd=ROOT, text=True, capture_output=True,
        timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("modules", [1, 60])
@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_while_modules_load_is_130_without_a_word(command: str, modules: int) -> None:
    assert interrupted_after(modules, *COMMANDS[command]) == (130, "", [])


@pytest.mark.parametrize("command", ["evaluate", "evaluate as JSON", "against", "quality", "throughput"])
def test_ctrl_c_later_is_130_without_a_word_or_half_a_table(command: str) -> None:
    """While torch, numba or transformers load, or the work is on its way."""
    for modules in (400, 700):
        assert interrupted_after(modules, *COMMANDS[command]) == (130, "", [])


def test_sigterm_leaves_nothing_behind() -> None:
    process = start(*COMMANDS["evaluate as JSON"])
    time.sleep(1.5)
    process.terminate()
    assert process.communicate(timeout=60) == ("", "") and process.returncode == -signal.SIGTERM


def test_where_interruptions_are_ignored_they_stay_so() -> None:
    """As under nohup, or in the background of a shell without job control."""
    process = start("schemes", interrupts=signal.SIG_IGN)
    for _ in range(20):
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") and "int4-sym-b32" in out


@pytest.mark.parametrize("arguments", ["schemes", "schemes --json", "--help", f"tensors '{SMALL}'", "evaluate --help"])
def test_a_reader_who_had_enough(arguments: str) -> None:
    for reader in ("true", "head -c 1 >/dev/null"):
        done = shell(f"QV {arguments} | {reader}")
        assert done.returncode in (0, 141) and done.stderr == ""


@pytest.mark.parametrize("arguments", ["schemes", "--help", "evaluate x y z"])
def test_closed_standard_output(arguments: str) -> None:
    done = shell(f"QV {arguments} >&-")
    assert done.returncode == 2 and done.stderr.startswith("Standard output is closed") and done.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no full device")
@pytest.mark.parametrize("arguments", ["schemes", "schemes --json"])
def test_a_full_disk_behind_standard_output(arguments: str) -> None:
    done = shell(f"QV {arguments} >/dev/full")
    assert done.returncode == 2
    assert done.stderr == "Standard output cannot be written to: no space left on device.\n"


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_standard_error_that_nobody_reads_changes_nothing(stderr: str) -> None:
    bad, good = shell(f"QV tensors nothing.npy {stderr}"), shell(f"QV tensors '{SMALL}' --json {stderr}")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert good.returncode == 0 and json.loads(good.stdout)


def test_everything_closed() -> None:
    assert shell("QV tensors nothing.npy <&- >&- 2>&-").returncode == 2


def test_what_fails_late_prints_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the table was printed when the second half fails or is interrupted."""

    def half(*_: object, **__: object) -> None:
        print("tensor  shape")
        raise KeyboardInterrupt

    monkeypatch.setattr("quantviz.cli.listing.print_table", half)
    assert cli.main(["tensors", SMALL]) == 130 and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("problem, said", [
    (OSError(28, "No space left on device", "/tmp/x"), "The system refuses what this takes: no space left on device"),
    (OSError(24, "Too many open files"), "too many open files.\n"), (MemoryError(), "more memory than there is"),
    (FileNotFoundError("No usable temporary directory"), "no usable temporary directory"),
])  # fmt: skip
def test_what_the_system_refuses_is_one_line(
    problem: BaseException, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr("quantviz.models.open_model", refused)
    assert cli.main(["tensors", SMALL]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and said in err


def test_no_name_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, line breaks, tabs and what turns text around are spelled out, in tables and in sentences."""
    names = ["\x1b]0;owned\x07\x1b[2J", "two\nlines", "a\ttab", "right\u202eleft", "\x9b31m", "bell\x07\r"]
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(safetensors({name: weights(2, 64, i) for i, name in enumerate(names)}))
    hostile = [["tensors", str(path)], ["against", str(path), str(path)]]
    hostile += [["evaluate", str(path), name, "int4-sym-b32"] for name in names]
    hostile += [["evaluate", str(path), name + "?", "int4-sym-b32"] for name in names]
    hostile += [["tensors", name] for name in names] + [[name] for name in names] + [["mix", str(path)]]
    for arguments in hostile:
        status = cli.main(arguments)
        out, err = capsys.readouterr()
        assert status in (0, 2) and (out == "") == (status == 2)
        for line in (out + err).split("\n"):
            assert line.isprintable(), arguments
        assert status == 0 or err.count("\n") == 1
    cli.main(["tensors", str(path)])
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(names)
    cli.main(["tensors", str(path), "--json"])
    assert {tensor["name"] for tensor in json.loads(capsys.readouterr().out)} == set(names)


HOSTILE = [
    "",
    " ",
    "\n",
    "1" * 5000,
    "-" + "9" * 5000,
    "\udcff\udcfe",
    "x" * 100_000,
    "\x1b[31m",
    "٣",
    "1e999",
    "nan",
]


@pytest.mark.parametrize("template", [
    ["{}"], ["tensors", "{}"], ["tensors", "random:normal?rows={}"], ["tensors", "random:{}"], ["tensors", "hf:{}"],
    ["tensors", "hf:a/b@{}"], ["evaluate", SMALL, "{}", "int4"], ["evaluate", SMALL, "weight", "{}"],
    ["evaluate", SMALL, "weight", "int{}-sym-b32"], ["evaluate", SMALL, "weight", "int4-sym-b{}"],
    ["evaluate", SMALL, "weight", "int4-sym-b32:clip={}"], ["evaluate", SMALL, "weight", "int4:keep={}"],
    ["evaluate", SMALL, "weight", "int4", "--rows", "{}:2"], ["evaluate", SMALL, "weight", "int4", "--rows", "0:{}"],
    ["evaluate", SMALL, "weight", "int4", "--device", "{}"],
    ["evaluate", SMALL, "weight", "int4", "--importance", "{}"],
    ["against", SMALL, "{}"], ["against", "{}", SMALL], ["against", SMALL, SMALL, "{}"],
    ["against", SMALL, SMALL, "weight", "--importance", "{}"],
    ["mix", "{}"], ["mix", "demo", "{}"], ["mix", "demo", "--architecture", "{}"],
    ["quality", "{}", "int4-sym-b32"], ["quality", "demo", "{}"], ["quality", "demo", "int4-sym-b32", "--text", "{}"],
    ["quality", "demo", "int4-sym-b32", "--tokens", "{}"], ["quality", "demo", "int4-sym-b32", "--context", "{}"],
    ["quality", "demo", "int4-sym-b32", "--method", "{}"], ["quality", "demo", "int4-sym-b32", "--targets", "{}"],
    ["quality", "demo", "int4-sym-b32", "--device", "{}"], ["quality", "demo", "int4-sym-b32", "--dtype", "{}"],
    ["throughput", "--device", "{}"], ["throughput", "--workload", "{}"], ["throughput", "--scheme", "{}"],
    ["throughput", "--model", "{}"], ["throughput", "--shape", "{}x8"], ["throughput", "--tensor", "8x{}"],
    ["throughput", "--batch", "{}"], ["throughput", "--rounds", "{}"],
], ids=" ".join)  # fmt: skip
def test_hostile_arguments_end_in_one_line(
    template: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    slow = template[0] == "quality" and template[1] == "demo"  # which reads a text first: few are enough
    for text in HOSTILE[:5] if slow else HOSTILE:
        arguments = [part.replace("{}", text) for part in template]
        status = cli.main(arguments)
        out, err = capsys.readouterr()
        assert (status, out) == (2, ""), arguments
        assert err.count("\n") == 1 and err[:-1].isprintable() and len(err) < 4000, err[:300]


def test_the_watchdog_ends_work_that_does_not() -> None:
    code = (
        "import threading, time; from quantviz.cli import process; process.GRACE = 0.3\n"
        "def stuck(*_, **__):\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "    open(2, 'w', closefd=False).write('started\\n'); time.sleep(60)\n"
        "process.main = stuck; process.entry()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.communicate() == ("", "")
