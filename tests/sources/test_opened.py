"""Reading a file that another program changes, and what is no file at all: a sentence, and the process lives.

Each hostile case runs in a process of its own: what these guard against is a signal, or a call that never returns.
"""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from quantviz import QuantvizError, open_model
from quantviz.sources.opened import FileArray, open_regular, read_file
from tests.sources.builders import safetensors
from tests.sources.gguf_builder import write

ROOT = Path(__file__).parent.parent.parent
W = np.random.default_rng(0).standard_normal((512, 1024)).astype(np.float32)


def made(kind: str, folder: Path) -> Path:
    """A file of this kind with the tensor `w`."""
    path = folder / f"w.{kind.split()[0]}"
    if kind == "safetensors":
        path.write_bytes(safetensors({"w": W}))
    elif kind.startswith("gguf"):
        write(path, {"w": (W, kind.split()[1])})
    else:
        np.save(path, {"npy row": W, "npy column": np.asfortranarray(W), "npy big": W.astype(">f4")}[kind])
    return path


KINDS = ("safetensors", "gguf f32", "gguf q4_0", "npy row", "npy column", "npy big")
CHANGED = """
import os, sys
import quantviz as qv
how, *paths = sys.argv[1:]
for path in paths:
    stored = qv.open_model(path).open("w")
    stored.read(0, 64)
    size = os.path.getsize(path)
    if how == "written to":
        with open(path, "r+b") as file:
            file.seek(-4, 2)
            file.write(b"abcd")
    else:
        os.truncate(path, 200)
        if how == "shortened for a moment":
            os.truncate(path, size)
    for use in (lambda: qv.evaluate(stored, "int4-sym-b32"), stored.numpy, lambda: qv.describe(stored)):
        try:
            use()
        except qv.QuantvizError as problem:
            print(problem)
"""


@pytest.mark.parametrize("how", ["truncated", "shortened for a moment", "written to"])
def test_a_file_that_changes_while_it_is_open_is_told(tmp_path, how):
    paths = []
    for i, kind in enumerate(KINDS):
        (tmp_path / str(i)).mkdir()
        paths.append(made(kind, tmp_path / str(i)))
    code = [sys.executable, "-c", CHANGED, how, *map(str, paths)]
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, timeout=300)
    said = "".join(3 * f"{path.name} changed on disk while it was open; open it again.\n" for path in paths)
    assert (done.returncode, done.stdout) == (0, said), done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_another_file_under_the_same_name_is_not_taken_for_the_first(tmp_path, kind):
    path = made(kind, tmp_path)
    model = open_model(path)
    held = model.open("w")
    path.rename(tmp_path / "kept")
    made(kind, tmp_path)
    assert np.isfinite(held.read(0, 64)).all(), "the file that is open stays readable"
    del held
    with pytest.raises(QuantvizError, match="changed on disk"):
        model.open("w")


def test_tensors_of_one_file_share_what_is_open_and_close_it(tmp_path):
    path = tmp_path / "many.safetensors"
    path.write_bytes(safetensors({f"t{i}": W[:4] for i in range(50)}))
    before = len(os.listdir("/proc/self/fd"))
    model = open_model(path)
    tensors = [model.open(info.name) for info in model.tensors]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del tensors
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_threads_open_and_let_go_of_one_file(tmp_path):
    path = tmp_path / "many.safetensors"
    path.write_bytes(safetensors({f"t{i}": W[:1] for i in range(8)}))
    model = open_model(path)

    def read(name: str) -> None:
        for _ in range(300):
            assert np.array_equal(model.open(name).read(), W[0])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, [info.name for info in model.tensors]))


@pytest.mark.parametrize("shape", [(7, 5), (3, 4, 5), (2, 3, 4, 5), (1, 9), (9, 1), (6000, 9), (9000, 3, 2)])
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
def test_columns_are_read_as_rows(tmp_path, shape, dtype):
    w = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    np.save(tmp_path / "w.npy", np.asfortranarray(w.astype(dtype)))
    stored, flat = open_model(tmp_path / "w.npy").open("w"), w.reshape(-1)
    n, cols = w.size, stored.cols
    for start, stop in ((0, n), (1, n - 1), (n // 3, n // 2 + 1), (n - 1, n), (cols - 1, min(n, cols + 1)), (5, 5)):
        assert np.array_equal(stored.read(start, stop), flat[start:stop])
    part = stored.row_range(0, max(1, stored.rows // 2))
    assert np.array_equal(part.numpy(), w.reshape(-1, cols)[: part.rows])


def test_a_few_rows_of_a_large_column_major_file_take_little_memory(tmp_path):
    path = tmp_path / "w.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": ">f4", "fortran_order": True, "shape": (50_000, 20_000)})
        file.truncate(file.tell() + 4 * 10**9)
    code = (
        "import re, sys, quantviz as qv; qv.open_model(sys.argv[1]).load('w', (7, 11)); "
        "print(re.search('VmHWM:\\s+([0-9]+)', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert int(done.stdout) < 300_000, done.stderr


def test_slices_are_read_late_and_like_an_array(tmp_path):
    values = np.arange(100, dtype=">i2")
    (tmp_path / "f").write_bytes(b"xyz" + values.tobytes())
    late = FileArray(open_regular(tmp_path / "f"), np.dtype(">i2"), 3, 100)
    for part in (slice(None), slice(3, 7), slice(-5, None), slice(90, 200), slice(7, 3)):
        assert np.asarray(late[part]).tolist() == values[part].tolist()
        assert np.asarray(late[10:90][part]).tolist() == values[10:90][part].tolist()
    assert np.asarray(late).dtype.isnative and len(late) == 100 and late[2:].nbytes == 196


# -- what is no file ---------------------------------------------------------------------------


def odd(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device", "loop"])
def test_only_regular_files_are_opened(tmp_path, kind):
    odd(kind, tmp_path / "f")
    with pytest.raises(QuantvizError, match="f is a|f cannot be read"):
        open_regular(tmp_path / "f")
    with pytest.raises(QuantvizError):
        read_file(tmp_path / "f", 10**6)


def test_a_file_that_is_larger_than_it_needs_to_be_is_not_read(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(QuantvizError, match="larger than 1,000,000 bytes"):
        read_file(tmp_path / "f", 10**6)


ALLOWED = {  # files of the machine and of this package, no visitor's
    "sources/opened.py", "sources/cache.py", "machine/disk.py", "machine/memory.py", "machine/processor.py",
    "throughput/turns.py", "kernels/cpu/compiler.py", "block_types/conformance.py",
    "cli/__init__.py", "cli/process.py", "cli/terminal.py",
}  # fmt: skip
OPENING = {"open", "fdopen", "memmap", "fromfile", "load", "read_bytes", "read_text", "mmap", "loadtxt", "safe_open"}
OTHER = {"read_text", "file.open", "load"}  # functions of this package that end here
OF = {"", "np", "os", "io", "json", "torch", "mmap", "gzip", "path", "file", "real"}


def test_files_are_opened_in_one_place():
    """Whatever reads a visitor's file goes through `sources.opened`, which knows pipes from files and never maps."""
    for path in sorted((ROOT / "quantviz").glob("**/*.py")):
        name = path.relative_to(ROOT / "quantviz").as_posix()
        if name in ALLOWED or name.startswith("quality/train_demo/"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            of, _, last = called.rpartition(".")
            assert last not in OPENING or of not in OF or called in OTHER, f"{name}:{node.lineno} calls {called}"


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device", "loop"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json", "m.gguf", "m.npy"])
def test_a_members_place_in_a_folder_may_hold_anything(tmp_path, kind, name):
    (tmp_path / "m").mkdir()
    odd(kind, tmp_path / "m" / name)
    for ref in (tmp_path / "m", tmp_path / "m" / name):
        with pytest.raises(QuantvizError) as caught:
            open_model(ref)
        assert "\n" not in str(caught.value)


def test_names_that_are_no_text_can_be_shown_and_sent(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    np.save(folder / os.fsdecode(b"\xff.npy"), W)
    for name in (b"a\xff.safetensors", b"b\xff.safetensors"):
        (folder / os.fsdecode(name)).write_bytes(safetensors({"w": W[:2]}))
    for ref in (folder, folder / os.fsdecode(b"\xff.npy")):
        model = open_model(ref)
        for info in model.tensors:
            info.name.encode("utf-8")
            assert model.load(info.name).shape[1] == 1024
    with pytest.raises(QuantvizError) as caught:
        open_model(folder / os.fsdecode(b"none\xff.npy"))
    str(caught.value).encode("utf-8")
