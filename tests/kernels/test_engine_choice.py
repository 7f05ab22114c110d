"""Which engine there is, and what is said where there is none. Nothing falls back without a word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz import QuantvizError
from quantviz.cli import main
from quantviz.kernels import engines
from quantviz.machine import nvidia

X = np.ones((4, 64), np.float32)


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    for remembered in (nvidia.missing, engines.default_engine):
        remembered.cache_clear()
    yield
    for remembered in (nvidia.missing, engines.default_engine):
        remembered.cache_clear()


def pretend(monkeypatch: pytest.MonkeyPatch, driver=True, triton=True, cuda="13.0", usable=True, capability=(9, 0)):
    """A machine as described: what asks it is replaced, what judges the answers is not."""
    monkeypatch.setattr(nvidia, "has_driver", lambda: driver)
    monkeypatch.setattr(nvidia, "find_spec", lambda name: object() if triton else None)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA Some GPU")


LACKING = {
    "no NVIDIA GPU with its driver": {"driver": False},
    "run pip install triton": {"triton": False},
    "need torch with CUDA": {"cuda": None},
    "update the driver": {"usable": False},
    "NVIDIA Some GPU has compute capability 6.1": {"capability": (6, 1)},
}


@pytest.mark.parametrize("sentence", LACKING)
def test_what_is_missing_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch, sentence: str) -> None:
    pretend(monkeypatch, **LACKING[sentence])
    for call in (
        lambda: qv.evaluate(X, "int4-sym-b32", device="cuda"),
        lambda: qv.quantize(X, "int4-sym-b32", engine="cuda"),
        lambda: qv.compare(X, ["int4-sym-b32"], device="cuda"),
    ):
        with pytest.raises(QuantvizError, match=sentence) as refused:
            call()
        assert str(refused.value).startswith("The engine cuda") and "\n" not in str(refused.value)
    assert engines.default_engine() == "cpu"


def test_cuda_is_the_default_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    assert engines.default_engine() == "cuda"


def test_the_command_line_says_it_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    pretend(monkeypatch, triton=False)
    ref = "random:normal?rows=4&cols=64"
    assert main(["evaluate", ref, "weight", "int4-sym-b32", "--device", "cuda"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1) and "pip install triton" in err


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(QuantvizError, match="no engine 'gpu'; choose cpu or cuda or reference"):
        qv.quantize(X, "int4-sym-b32", engine="gpu")


@pytest.mark.skipif(nvidia.has_driver(), reason="this machine has an NVIDIA GPU, which torch is then asked about")
def test_where_there_is_no_gpu_torch_is_not_loaded_to_find_out() -> None:
    code = "import sys; from quantviz.evaluation import default_engine as e; print(e(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["cpu", "False"]


def test_float64_beyond_float32_is_refused_by_its_place_on_every_engine(engine) -> None:
    wide = torch.ones(4, 64, dtype=torch.float64)
    wide[1, 2] = 1e300
    for w in (wide, wide.numpy()):
        with pytest.raises(QuantvizError, match=r"1 infinite value, the first at \[1, 2\]"):
            qv.quantize(w, "int4-sym-b32", engine=engine)
        with pytest.raises(QuantvizError, match=r"1 infinite value, the first at \[1, 2\]"):
            qv.evaluate(w, "int4-sym-b32", device=engine)
