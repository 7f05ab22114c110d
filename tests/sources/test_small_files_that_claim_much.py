"""Small files that claim much: each is read or refused in a child process that never takes 200 MB more than it had."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
READ = """
import re, sys
import numpy, quantviz as qv
from quantviz.calibration.importance import importance_names
import quantviz.sources.safetensors_file, quantviz.sources.gguf_file

def peak():
    return int(re.search("VmHWM:[^0-9]+([0-9]+)", open("/proc/self/status").read())[1]) >> 10

before = peak()
for read in (qv.open_model, importance_names):
    try:
        read(sys.argv[1])
    except qv.QuantvizError as problem:
        assert len(str(problem)) < 2000
        print(problem, file=sys.stderr)
print(peak() - before)
"""


def text(word: bytes) -> bytes:
    return struct.pack("<Q", len(word)) + word


def gguf(tensors: int, values: int, rest: bytes = b"", size: int = 0) -> Callable[[Path], None]:
    """A header that claims so much, then `rest`, then holes up to `size`."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + rest)
            file.truncate(max(size, file.tell()))

    return make


def header(content: bytes, size: int = 0) -> Callable[[Path], None]:
    """A .safetensors file with this header."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(struct.pack("<Q", max(size, len(content))) + content)
            file.truncate(8 + max(size, len(content)))

    return make


def values(kind: int, length: int) -> bytes:
    return text(b"k") + struct.pack("<IIQ", 9, kind, length)


LINE = text(b"tensor") + struct.pack("<IQIQ", 1, 1, 0, 0)
ENTRY = '"{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
FILES = {
    "one text of 8 GB.gguf": gguf(0, 1, text(b"k") + struct.pack("<IQ", 8, 8 * 10**9), 9 * 10**9),
    "an array of 2^60.gguf": gguf(0, 1, values(0, 1 << 60), 10**9),
    "empty texts in 10 GB.gguf": gguf(0, 1, values(8, 10**9), 10**10),
    "two million empty texts.gguf": gguf(0, 1, values(8, 2_000_000), 17_000_000),
    "arrays in arrays.gguf": gguf(0, 1, values(9, 50_000), 700_000),
    "five million tensors.gguf": gguf(5_000_000, 0, LINE, 4 * 10**8),
    "65,000 tensors of one name.gguf": gguf(65_000, 0, LINE * 65_000),
    "65,000 tensors in holes.gguf": gguf(65_000, 0, b"", 10**8),
    "65,000 values in holes.gguf": gguf(0, 65_000, b"", 10**8),
    "arrays in arrays without end.gguf": gguf(0, 1, values(9, 4_000_000), 50_000_000),
    "many texts of 4 MB.gguf": gguf(0, 50, b"".join(
        text(b"k%d" % i) + struct.pack("<IQ", 8, 4 << 20) + b"x" * (4 << 20) for i in range(20))),
    "99 MB of blanks.safetensors": header(b"{", 99_000_000),
    "lists of nothing.safetensors": header(b'{"a":[' + b"[]," * 10_000_000 + b"1]}"),
    "many lists.safetensors": header(b'{"a":[' + b"[]," * 390_000 + b"1]}"),
    "a name of 30 MB.safetensors": header(b'{"' + b"x" * 30_000_000 + b'":{"dtype":"F33"}}'),
    "a name beyond ASCII.safetensors": header(b'{"' + b"x" * 7_900_000 + "🙂".encode() + b'":1}'),
    "an escape among 30 MB.safetensors": header(b'{"' + b"x" * 30_000_000 + b'\\ud83d\\ude42":1}'),
    "85,000 tensors.safetensors": header(
        ("{" + ",".join(ENTRY.format(f"model.layers.{i}.weight") for i in range(85_000)) + "}").encode()),
    "many names of one length.index.json": lambda path: path.write_text(
        json.dumps({"weight_map": {f"t{i}": f"s{i}.safetensors" for i in range(300_000)}})) and None,
    "digits without end.npy": lambda path: path.write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"{'descr':'<f4','fortran_order':False,'shape':("
        + b"9" * 8900 + b",)}") and None,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_small_files_that_claim_much(tmp_path, name):
    FILES[name](tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / name)], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200, done.stderr
