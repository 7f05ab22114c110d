"""A run on a GPU that is not there: its kernels run in Triton's interpreter, so their results and the lines are real,
while clock, card and CUDA graph are the host's. Figures mean nothing here."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from quantviz.kernels import engines
from quantviz.throughput import Card, Plan, bench, measure, multiply, plan, runner, timing
from quantviz.throughput import layer_work as layers

ALL = ("quantize", "dequantize", "evaluate", "linear", "decode")
CARD = Card("cuda", "A GPU", "cuda", 16 << 30, 12 << 30, 1 << 10, 2, "580.0", {})


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch, own_queue) -> None:
    for module in (bench, plan.devices):
        monkeypatch.setattr(module, "torch_device", lambda device: "cpu")
        monkeypatch.setattr(module, "memory_of", lambda device: (16 << 30, 12 << 30))
        monkeypatch.setattr(module, "has_bf16", lambda device: True)
    monkeypatch.setattr(multiply, "has_bf16", lambda device: True)
    monkeypatch.setattr(plan.devices, "why_not", lambda device: None)
    monkeypatch.setattr(plan.devices, "card", lambda device: CARD)
    monkeypatch.setattr(runner, "clock_of", lambda device: timing.host_clock())
    monkeypatch.setattr(runner, "bandwidth", lambda device, cache, free: timing.bandwidth("cpu", cache, 8 << 20))
    monkeypatch.setattr(layers, "_graph", layers._chain)
    monkeypatch.setattr(bench.Bench, "release", lambda self: None)
    monkeypatch.setattr(timing, "SETTLE", 0.0)
    monkeypatch.setattr(timing, "PER_VISIT", 1)
    monkeypatch.setattr(engines, "cuda_device", lambda: torch.device("cpu"))


def test_every_workload_checks_and_measures_its_kernels() -> None:
    schemes = ("bf16", "int4-asym-b64", "nf4-b64", "nvfp4")
    tiny = replace(Plan.make("cpu", model="demo").model, blocks=1)
    tiny = replace(tiny, layers=tuple(replace(layer, rows=32, count=1) for layer in tiny.layers))
    p = Plan.make("cuda", ALL, schemes, tensor=(128, 256), layer=(64, 256), model=tiny, rounds=3, seconds=0.0)
    report = measure(p, threading.Event())
    assert report.refused == ()
    assert [m.key for m in report.measurements] == [(w, s) for w in ALL for s in schemes]
    assert [m.key for m in report.measurements if not m.correct] == []
    assert all(m.median_s > 0 and m.final and m.speedup_over_bf16 for m in report.measurements)
    assert {m.kernel.partition(",")[0] for m in report.of("linear")} == {"torch's own matrix product", "Triton"}


def test_what_the_gpu_has_no_kernel_for_is_refused() -> None:
    report = measure(
        Plan.make("cuda", ["linear"], ["int5-sym-b64", "int4-sym-b64"], layer=(64, 256), rounds=3, seconds=0.0)
    )
    assert [r.scheme for r in report.refused] == ["int5-sym-b64"] and "no GPU kernel" in report.refused[0].reason
    assert report.measurements[0].correct
