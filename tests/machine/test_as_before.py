"""What is read of a machine's own files, made up here, and said of what it lacks, is what it was before."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantviz.machine import disk, memory, nvidia, processor
from quantviz.throughput import devices
from tests.recorded import interface

SAID = {
    "intel": "processor\t: 0\nmodel name\t: A Processor @ 2 GHz \nflags\t\t: fpu avx2 avx512_bf16\n",
    "amx": "flags : amx_bf16 sse\n",
    "arm": "Features\t: fp asimd bf16\n",
    "old": "model name : Old\nflags : fpu bf16x\n",
    "silent": "nothing\n",
}


@pytest.mark.parametrize("name", SAID)
def test_the_processor(name, kept, monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text(SAID[name])
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor.platform, "system", lambda: "Linux")
    monkeypatch.setattr(processor.platform, "processor", lambda: "")
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64" if name == "old" else "")
    kept(
        [
            processor.has_bf16(),
            processor.name(),
            devices.has_bf16("cpu"),
            devices.takes_bf16("cpu"),
            devices.has_bf16("mps"),
            devices._notices("reference")[1:],
        ]
    )
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "none")
    kept([processor.has_bf16(), processor.name()])


def test_caches(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "Path", lambda text: tmp_path)
    kept(processor.last_cache())
    for cpu, (size, shared) in enumerate((("32M", "0-1"), ("32M", "0-1"), ("16384K", "2"), ("100", "3"), ("x", "4"))):
        folder = tmp_path / f"cpu{cpu}" / "cache" / "index3"
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
        (folder / "shared_cpu_list").write_text(shared)
        kept(processor.last_cache())


def test_memory(kept, monkeypatch, tmp_path):
    for limit, used, stat in (
        ("1000000", "300000", "anon 5\nfile 70000\n"),
        ("max", "3", ""),
        ("1000", "300", "anon 1\n"),
        ("1000", "", "file 1\n"),
    ):
        for name, text in (("memory.max", limit), ("memory.current", used), ("memory.stat", stat)):
            (tmp_path / name).write_text(text)
        kept(memory._of_group(tmp_path))
    kept(memory._of_group(tmp_path / "none"))
    monkeypatch.setattr(memory, "_of_machine", lambda: (10**9, 10**8))
    for group in ((None, None), (10**8, 10**7), (2 * 10**9, 2 * 10**8)):
        monkeypatch.setattr(memory, "_of_group", lambda group=group: group)
        kept([memory.of_host(), memory.available("cpu")])
    text = "MemTotal: 9 kB\nMemAvailable:   1234 kB\n"
    monkeypatch.undo()
    monkeypatch.setattr(memory, "Path", lambda _: SimpleNamespace(read_text=lambda _: text))
    kept(memory._of_machine()[1])


def test_what_is_missing(kept, monkeypatch):
    for remedy, other in itertools.product(("", "update it"), ("", "choose cpu")):
        kept(nvidia.Missing("A fault", remedy).instead(other))

    def fails(text: str):
        def init() -> None:
            raise RuntimeError(text)

        return SimpleNamespace(
            version=SimpleNamespace(cuda="12.6"), cuda=SimpleNamespace(init=init if text else lambda: None)
        )

    for text in ("", "driver too old (found version 11040)", "too old", "out of order"):
        kept(nvidia._not_initialised(fails(text)))


def test_devices(kept):
    kept(
        [
            devices.why_not("gpu"),
            {d: [devices.torch_device(d), devices.engine_of(d), devices.NAMES[d]] for d in devices.DEVICES},
        ]
    )
    assert Path(devices.__file__).name == "devices.py" and "cpu" in devices.available()


def test_the_interface(kept):
    kept(interface("machine"))


def test_a_file_that_is_made_is_the_owners_alone(tmp_path):
    with disk.open_regular(tmp_path / "private", os.O_RDWR | os.O_CREAT):
        assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
