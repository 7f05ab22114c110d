"""Compiled kernels on disk: what is damaged there is compiled anew, and never run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

from quantviz.kernels.cpu import compiler, kept
from quantviz.kernels.cpu.kept import KernelCache
from tests import compiled_once

ROOT = Path(__file__).parents[2]
SOURCE = "def twice(x):\n    return x + x\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """made(): the function `twice`, compiled or read from a cache of the test's own, as a fresh process would."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))  # numba looks here again whenever it compiles
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kernels"))
    path = tmp_path / "sample.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("sample", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "sample", module)  # whence another process takes it too

    def make():
        function = numba.njit(nogil=True)(module.twice)
        function._cache = KernelCache(module.twice)
        return function

    return make


def files(tmp_path: Path, ending: str) -> list[Path]:
    return sorted((tmp_path / "kernels").rglob(f"*{ending}"))


def from_disk(function) -> int:
    return sum(function.stats.cache_hits.values())


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "noise": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "one bit": lambda path: path.write_bytes(
        path.read_bytes()[:-100] + bytes([path.read_bytes()[-100] ^ 1]) + path.read_bytes()[-99:]
    ),
    "whole, and no cache of numba's": lambda path: path.write_bytes(b"no pickle" + kept._checksum(b"no pickle")),
    "gone": lambda path: path.unlink(),
    "a folder": a_folder,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
def test_damaged_files_are_made_anew(made, tmp_path, ending, damage):
    assert made()(2) == 4
    whole = made()
    assert whole(2) == 4 and from_disk(whole) == 1
    (path,) = files(tmp_path, ending)
    DAMAGE[damage](path)
    healing, healed = made(), made()
    assert healing(2) == 4 and from_disk(healing) == 0
    assert healed(2) == 4 and from_disk(healed) == 1


def test_every_form_of_a_kernel_has_a_file_of_its_own(made, tmp_path):
    """Two processes that compile two forms at once must not write them under one name, as numba's numbers do."""
    first, second = made(), made()
    index = first._cache._cache_file._index_path
    assert first(2) == 4
    os.unlink(index)  # as the second saw it: before the first had written
    assert second(2.5) == 5.0
    assert len(files(tmp_path, ".nbc")) == 2
    again = made()
    assert (again(2), again(2.5)) == (4, 5.0)


def test_a_disk_that_cannot_be_written_to_stops_nobody(made, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.disk, "replace", full)
    assert made()(2) == 4


def test_many_threads_compile_at_once(made):
    results = []
    threads = [threading.Thread(target=lambda: results.append(made()(np.ones(3))[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2.0] * 4


ANOTHER = """
from tests import compiled_once
import numba
from quantviz.kernels.cpu.kept import KernelCache
import sample

function = numba.njit(nogil=True)(sample.twice)
function._cache = KernelCache(sample.twice)
print("asks", flush=True)
print(function(2), sum(function.stats.cache_hits.values()), flush=True)
"""


def test_a_process_of_the_tests_waits_for_another_that_compiles_the_same(made, tmp_path):
    function, sig = made(), (numba.int64,)
    key = function._cache._impl.filename_base, function._cache._index_key(sig, function.targetctx.codegen())
    with compiled_once.alone(function._cache.cache_path, key):
        another = subprocess.Popen(
            [sys.executable, "-c", ANOTHER], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        assert another.stdout.readline() == "asks\n"
        with pytest.raises(subprocess.TimeoutExpired):
            another.wait(2)
        compiled_once._compile(function, sig)
    assert another.communicate(timeout=60)[0] == "4 1\n"


def test_every_kernel_is_kept_so():
    folder = Path(kept.__file__).parents[2]
    assert [p.name for p in folder.rglob("*.py") if "numba.njit(" in p.read_text("utf-8")] == ["compiler.py"]
    sample = compiler.kernel(lambda x: x)
    assert isinstance(sample._cache, KernelCache)
