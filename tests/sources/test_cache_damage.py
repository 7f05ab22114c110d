"""Whatever becomes of the cache's files, the weights are right, and what is damaged heals."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.sources import open_model
from quantviz.sources.cache import Cache
from tests.sources.builders import safetensors, weights

BIG = weights(1500, 1024)  # 6 MB: two pieces
SMALL = weights(4, 4)
NAME = "hf:org/name"


@pytest.fixture(autouse=True)
def repository(hub) -> None:
    hub.add_repo("org/name", {"model.safetensors": safetensors({"big": BIG, "small": SMALL})})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "hub"


def loaded(name: str = "big") -> np.ndarray:
    return open_model(NAME).load(name)


def the_file(folder: Path, kind: str) -> Path:
    found = sorted(folder.glob(f"*{kind}"))
    return found[0] if found else folder / (next(folder.glob("*.data")).stem + kind)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()
    (path / "inside").write_text("not empty")


def a_link(path: Path) -> None:
    other = path.parent.parent / "elsewhere"
    other.write_bytes(b"\x01" * (path.stat().st_size if path.exists() else 10))
    path.unlink(missing_ok=True)
    path.symlink_to(other)


def a_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(missing_ok=True),
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: os.truncate(path, path.stat().st_size // 2) if path.exists() else None,
    "longer": lambda path: path.write_bytes((path.read_bytes() if path.exists() else b"") + b"0 10 00000000\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size if path.exists() else 9)),
    "noise": lambda path: path.write_bytes(os.urandom(path.stat().st_size if path.exists() else 9)),
    "one bit": lambda path: flipped(path) if path.exists() else None,
    "a folder": a_folder,
    "a link": a_link,
    "a pipe": a_pipe,
    "unreadable": lambda path: path.chmod(0) if path.exists() else None,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", [".data", ".ranges", ".header", ".lock"])
def test_what_is_damaged_heals(hub, folder, kind, damage):
    assert np.array_equal(loaded(), BIG)
    DAMAGE[damage](the_file(folder, kind))
    assert np.array_equal(loaded(), BIG)
    elsewhere = folder.parent / "elsewhere"
    assert not elsewhere.exists() or set(elsewhere.read_bytes()) == {1}  # what a link leads to is let alone
    hub.forget()
    assert np.array_equal(loaded(), BIG)
    assert hub.file_bytes == 0  # it has healed


def test_only_the_damaged_piece_travels_again(hub, folder):
    loaded()
    with the_file(folder, ".data").open("r+b") as data:
        data.seek(5 << 20)
        data.write(b"\xff" * 100)
    hub.forget()
    assert np.array_equal(loaded(), BIG)
    assert hub.file_bytes == BIG.nbytes - (4 << 20)


def test_a_machine_that_stopped_before_the_data_were_on_disk(hub, folder):
    """The journal is there, the data file has its length and no content."""
    loaded()
    data = the_file(folder, ".data")
    journal = the_file(folder, ".ranges").read_bytes()
    os.truncate(data, 0)
    os.truncate(data, BIG.nbytes)
    assert the_file(folder, ".ranges").read_bytes() == journal
    assert np.array_equal(loaded(), BIG)


def test_a_file_cut_while_it_is_in_use_is_made_anew_beside_it(folder):
    """Whoever reads it must not be cut off: a file of the wrong length is replaced, never changed."""
    loaded()
    path = the_file(folder, ".data")
    os.truncate(path, BIG.nbytes + 1)
    with path.open("rb") as before:
        loaded()
        assert os.fstat(before.fileno()).st_size == BIG.nbytes + 1
        assert path.stat().st_ino != os.fstat(before.fileno()).st_ino


def test_the_folder_may_be_removed_at_any_time(folder):
    model = open_model(NAME)
    for _ in range(2):
        shutil.rmtree(folder)
        assert np.array_equal(model.load("big"), BIG)


STEPS = ("open", "fsync", "replace", "unlink", "mkdir", "truncate", "ftruncate", "utime", "stat")


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
def test_a_disk_that_fails_at_any_step(hub, folder, monkeypatch, reason, filled):
    """One sentence, or it goes on without; never a traceback, never a wrong weight then or later."""
    if filled:
        loaded("small")
        flipped(the_file(folder, ".data"))
    step, real = 0, {name: getattr(os, name) for name in STEPS}
    calls = [0]

    def failing(name: str):
        def call(*args, **kwargs):
            ours = isinstance(args[0], int) or str(args[0]).startswith(str(folder))
            calls[0] += ours
            if ours and calls[0] == step:
                raise OSError(reason, os.strerror(reason))
            return real[name](*args, **kwargs)

        return call

    while calls[0] >= step:
        step += 1
        calls[0] = 0
        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, failing(name))
            try:
                assert np.array_equal(loaded("small"), SMALL)
            except QuantvizError as problem:
                assert "The cache folder" in str(problem) and "\n" not in str(problem)
        assert np.array_equal(loaded("small"), SMALL)
        if not filled:
            shutil.rmtree(folder)
        else:
            flipped(the_file(folder, ".data"))
    assert step > 8


def test_a_full_disk_keeps_what_had_arrived(hub, folder, monkeypatch):
    from quantviz.sources import span

    def full(self, position: int, chunk: bytes) -> None:
        if position >= 4 << 20:
            with span.disk.told(folder):
                raise OSError(errno.ENOSPC, "no space left on device")
        real(self, position, chunk)

    real = span.Span.write
    model = open_model(NAME)
    monkeypatch.setattr(span.Span, "write", full)
    with pytest.raises(QuantvizError, match="The cache folder .* is full; free some space"):
        model.load("big")
    monkeypatch.setattr(span.Span, "write", real)
    assert np.array_equal(model.load("big"), BIG)


def test_the_least_used_make_room_on_a_full_disk(hub, folder, monkeypatch):
    loaded()
    hub.add_repo("org/other", {"model.safetensors": safetensors({"big": BIG})})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    assert np.array_equal(open_model("hf:org/other").load("big"), BIG)
    assert len(list(folder.glob("*.data"))) == 1
    hub.add_repo("org/third", {"model.safetensors": safetensors({"big": weights(4000, 1024)})})
    with pytest.raises(QuantvizError, match="is full"):
        open_model("hf:org/third").load("big")
    assert len(list(folder.glob("*.data"))) > 0  # nothing was thrown away for what would not fit either way


@pytest.mark.parametrize("named", ["~nosuchuser/x", "~"])
def test_a_cache_in_no_home(monkeypatch, named):
    monkeypatch.setenv("QUANTVIZ_CACHE", named)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(QuantvizError, match="names no home folder; set QUANTVIZ_CACHE"):
        Cache.default()
