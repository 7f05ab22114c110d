"""What is kept is complete or absent, is gone on with, and is checked as a stranger's."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.sensitivity import COLUMNS, load_sensitivity, sensitivity
from quantviz.sensitivity import measure as measuring
from quantviz.sensitivity.reading import NAME
from tests.sensitivity.conftest import SCHEME, SMALL, measured

FEW = {"targets": ["layers.0.mlp"]}
NO_TIME = ["seconds"]


@pytest.fixture
def folder(llama, tmp_path) -> Path:
    path = tmp_path / "kept.parquet"
    measured(llama, out=path, **FEW)
    return path


def test_an_interrupted_measurement_goes_on_where_it_stopped(llama, by_tensor, tmp_path, monkeypatch) -> None:
    path, told = tmp_path / "kept.parquet", []

    def stop(what: str, done: int, total: int) -> None:
        told.append(what)
        if what.startswith("model.layers.0.mlp.up_proj"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measured(llama, out=path, progress=stop)
    partial = load_sensitivity(path)
    assert len(partial.frame) == 6 and not partial.complete and len(partial.units) == 16
    assert sorted(p.name for p in path.iterdir()) == [NAME, *(f"part-{n:05}.parquet" for n in range(6))]

    before = {p: p.stat().st_mtime_ns for p in path.iterdir()}
    told.clear()
    found = measured(llama, out=path, resume=True, progress=lambda what, *_: told.append(what))
    assert not any(name in what for what in told for name in partial.frame["unit"])
    assert {p: p.stat().st_mtime_ns for p in before} == before
    whole = qv.load_sensitivity(path)
    assert whole.complete and whole.spec.ref == str(llama) and whole.spec.schemes == (SCHEME,)
    for frame in (found, whole.frame):  # as if it had never stopped
        pd.testing.assert_frame_equal(frame.drop(columns=NO_TIME), by_tensor.drop(columns=NO_TIME), check_exact=True)

    monkeypatch.setattr(measuring, "Trials", None)  # nothing is left to measure
    assert len(measured(llama, out=path, resume=True)) == 16


def test_what_is_there_already_is_not_written_over(llama, folder, tmp_path) -> None:
    with pytest.raises(QuantvizError, match="holds a sensitivity already; resume it"):
        measured(llama, out=folder, **FEW)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    with pytest.raises(QuantvizError, match="is a folder of something else"):
        measured(llama, out=tmp_path / "else", **FEW)
    with pytest.raises(QuantvizError, match="cannot be written: file exists|cannot be written: not a directory"):
        measured(llama, out=tmp_path / "else" / "file", **FEW)
    with pytest.raises(QuantvizError, match="cannot be written: no such file"):
        measured(llama, out=tmp_path / "none" / "kept.parquet", **FEW)


def test_resuming_refuses_what_was_made_from_something_else(llama, folder, tmp_path, monkeypatch) -> None:
    other = tmp_path / "other"
    shutil.copytree(llama, other)
    from safetensors.torch import load_file, save_file

    weights = load_file(other / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    text = (Path(__file__).read_text("utf-8")) * 2
    cases = [
        ({"ref": other}, "ref .* revision "), ({"schemes": "int8-sym-b32"}, "schemes int4-sym-b32 instead of int8"),
        ({"text": text}, "text the demo model's test book"), ({"tokens": 128}, "tokens 256 instead of 128"),
        ({"context": 32}, "context 64 instead of 32"), ({"by": "role"}, "by tensor instead of role"),
        ({"targets": ["layers.0"]}, "targets layers.0.mlp instead of layers.0"),
        ({"dtype": "bfloat16"}, ".*dtype float32 instead of"),
    ]  # fmt: skip
    for given, says in cases:
        with pytest.raises(QuantvizError, match=f"was made from something else: {says}.*; give another name"):
            measured(**({"ref": llama, "out": folder, "resume": True, **FEW} | given))
    monkeypatch.setattr(measuring, "__version__", "0.0.9")
    with pytest.raises(QuantvizError, match="version 0.1.0 instead of 0.0.9"):
        measured(llama, out=folder, resume=True, **FEW)


def test_a_full_disk_is_told_and_leaves_no_half_a_part(llama, tmp_path, monkeypatch) -> None:
    path, own, calls = tmp_path / "kept.parquet", os.fsync, []

    def full(fd: int) -> None:
        calls.append(fd)
        if len(calls) > 4:  # the description and its folder, a part and its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        own(fd)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(QuantvizError, match="cannot be written: no space left on device"):
        measured(llama, out=path, **FEW)
    assert sorted(p.name for p in path.iterdir()) == [NAME, "part-00000.parquet"]
    assert len(load_sensitivity(path).frame) == 1


def test_what_is_no_sensitivity_is_refused(tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file", tmp_path / "none"):
        with pytest.raises(QuantvizError, match="is no sensitivity"):
            load_sensitivity(path)


def change_spec(folder: Path, **values: object) -> None:
    said = json.loads((folder / NAME).read_text("utf-8"))
    said["spec"] |= values
    (folder / NAME).write_text(json.dumps(said), encoding="utf-8")


def change_row(folder: Path, compression: str = "none", **values: object) -> None:
    part = folder / "part-00001.parquet"
    frame = pd.read_parquet(part)
    frame.assign(**values).to_parquet(part, index=False, compression=compression)


DAMAGE = [
    (lambda f: (f / NAME).write_text("[]"), "no JSON object"),
    (lambda f: (f / NAME).write_text("{}"), "describes no sensitivity"),
    (lambda f: change_spec(f, tokens="many"), "tokens is no whole number"),
    (lambda f: change_spec(f, ref=["a"]), "ref is no text"),
    (lambda f: change_spec(f, more=1), "must have ref, revision"),
    (lambda f: change_spec(f, by="rows"), "by and schemes"),
    (lambda f: change_spec(f, schemes=["int4"]), "no scheme's own key"),
    (lambda f: change_spec(f, schemes=[]), "by and schemes"),
    (lambda f: change_spec(f, revision="0"), "does not belong there: its revision"),
    (lambda f: (f / "part-00001.parquet").write_bytes(b"PAR1"), "no Parquet file that can be read"),
    (lambda f: (f / "part-00001.parquet").write_bytes(bytes(2 << 20)), "larger than"),
    (lambda f: (f / "part-00001.parquet").symlink_to("/dev/zero"), "a device, no file"),
    (lambda f: shutil.copy(f / "part-00000.parquet", f / "part-00001.parquet"), "its unit is"),
    (lambda f: change_row(f, kl_se=-1.0), "cannot be"),
    (lambda f: change_row(f, kl_mean=float("nan")), "cannot be"),
    (lambda f: change_row(f, top1_agreement=2.0), "cannot be"),
    (lambda f: change_row(f, scheme="int8-sym-b32"), "its scheme is"),
    (lambda f: change_row(f, weights=1.5), "other columns"),
    (lambda f: change_row(f, extra=1), "other columns"),
    (lambda f: change_row(f, compression="snappy"), "is packed"),
    (lambda f: pq.write_table(pq.read_table(f / "part-00001.parquet").slice(0, 0), f / "part-00001.parquet"),
     "other rows"),
]  # fmt: skip


def test_damage_and_strangers_files_are_told_in_one_sentence(folder, tmp_path) -> None:
    assert list(load_sensitivity(folder).frame.columns) == list(COLUMNS)
    for number, (damage, says) in enumerate(DAMAGE):
        damaged = tmp_path / str(number)
        shutil.copytree(folder, damaged)
        if says == "a device, no file":
            (damaged / "part-00001.parquet").unlink()
        damage(damaged)
        with pytest.raises(QuantvizError, match=says) as caught:
            load_sensitivity(damaged)
        assert "\n" not in str(caught.value), says


def test_parts_of_an_unfinished_write_are_not_seen(llama, folder) -> None:
    (folder / "part-00002.parquet").rename(folder / ".part-00002.parquet.1.unfinished")
    assert len(load_sensitivity(folder).frame) == 2
    found = list(sensitivity(str(llama), SCHEME, out=folder, resume=True, **SMALL, **FEW))
    assert len(found) == 3 and load_sensitivity(folder).complete
