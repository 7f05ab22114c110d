"""Runs on the CPU at hand: checked before they are timed, told as they go, ended when asked, gone without a trace."""

from __future__ import annotations

import math
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from quantviz.kernels.cpu.linear import linear as linear_cpu
from quantviz.throughput import (
    Card,
    Doing,
    Finished,
    Measurement,
    Plan,
    Refused,
    Report,
    Waiting,
    bench,
    measure,
    multiply,
    run,
    runner,
    timing,
)
from quantviz.throughput import layer_work as layers
from quantviz.throughput import tensor_work as tensors
from quantviz.throughput.turns import Ticket

pytestmark = pytest.mark.usefixtures("own_queue", "small_bandwidth")
ALL = ("quantize", "dequantize", "evaluate", "linear", "decode")
SCHEMES = ("bf16", "int8-sym-b64", "int4-asym-b64")


@pytest.fixture
def small_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers of a megabyte and a cache of a quarter of one: no figure here is one to keep."""
    monkeypatch.setattr(runner, "bandwidth", lambda device, cache, free: timing.bandwidth(device, cache, 8 << 20))
    card = runner.devices.card
    monkeypatch.setattr(runner.devices, "card", lambda device: replace(card(device), cache_bytes=1 << 18))
    monkeypatch.setattr(timing, "SETTLE", 0.0)


def plan(workloads=ALL, schemes=SCHEMES, **options) -> Plan:
    settings = {"tensor": (256, 512), "layer": (192, 512), "model": "demo", "rounds": 3, "seconds": 0.0}
    return Plan.make("cpu", workloads, schemes, **(settings | options))


def test_a_whole_run_tells_all_in_order() -> None:
    events, report = list(run(plan(batch=2))), Report()
    for event in events:
        report = report.take(event)
    cards = [e for e in events if isinstance(e, Card)]
    assert len(cards) == 2 and cards[0].copy_bytes_per_s is None and cards[1].copy_bytes_per_s > 0
    assert cards[1].read_bytes_per_s > 0 and cards[1].copy.repeats > 3
    assert isinstance(events[-1], Finished) and not events[-1].stopped and report.refused == ()
    assert [m.key for m in report.measurements] == [(w, s) for w in ALL for s in SCHEMES]
    for m in report.measurements:
        assert m.final and m.correct and m.repeats >= 3, m
        assert 0 < m.min_s <= m.median_s <= m.max_s
        assert m.weights_per_s == pytest.approx(math.prod(m.shape) / m.median_s) and m.share_of_copy > 0
        assert m.memory_bytes > 0 and m.kernel and m.device == "cpu"
        assert (m.batch == 2) == (m.workload in ("linear", "decode"))
        assert (m.tokens_per_s is not None) == (m.workload == "decode")
        assert m.speedup_over_bf16 == pytest.approx(
            next(o.median_s for o in report.of(m.workload) if o.scheme == "bf16") / m.median_s
        )
    step = report.of("decode")[0]
    assert step.model == "demo" and step.products == 17 and step.tokens_per_s == pytest.approx(2 / step.median_s)
    # partial figures arrive before the last ones
    partial = [e for e in events if isinstance(e, Measurement) and e.key == step.key and e.median_s and not e.final]
    assert len(partial) == 3 and partial[0].repeats < partial[-1].repeats == step.repeats


def test_without_bandwidth_nothing_is_copied_and_lines_are_held_against_nothing() -> None:
    events = list(run(replace(plan(["linear"], SCHEMES[1:]), bandwidth=False)))
    assert len([e for e in events if isinstance(e, Card)]) == 1
    assert not any(isinstance(e, Doing) and "bandwidth" in e.what for e in events)
    lines = [e for e in events if isinstance(e, Measurement) and e.final]
    assert len(lines) == 2 and all(m.median_s > 0 and m.repeats >= 3 and m.share_of_copy is None for m in lines)


def test_bytes_and_memory_are_those_that_are_moved_and_held() -> None:
    report = measure(plan(["linear", "quantize"], ["bf16", "int4-asym-b64"]))
    packed = linear_cpu.pack(np.ones((192, 512), np.float32), "int4-asym-b64").nbytes
    casts, low = report.of("linear")
    assert casts.memory_bytes == 192 * 512 * 2 and low.memory_bytes == packed
    assert low.bytes_per_s * low.median_s == pytest.approx(packed + 4 * (192 + 512))
    assert casts.bytes_per_s * casts.median_s == pytest.approx(2 * (192 * 512 + 192 + 512))
    codes = report.of("quantize")[1]
    assert codes.bytes_per_s * codes.median_s == pytest.approx(256 * 512 * (4 + 1) + 256 * 8 * (4 + 1))


def test_errors_of_the_weights_are_told_beside_the_speed() -> None:
    report = measure(plan(["linear"], ["fp32", "int8-sym-b64", "int4-asym-b64", "int2-asym-b64"]))
    sqnr = [m.sqnr_db for m in report.measurements]
    assert sqnr[0] is None and sqnr[1] > sqnr[2] > sqnr[3] > 0


def test_fp32_is_multiplied_but_nothing_is_turned_into_it() -> None:
    report = measure(plan(["quantize", "linear"], ["fp32", "int4-sym-b64"]))
    assert [m.key for m in report.measurements] == [
        ("quantize", "int4-sym-b64"), ("linear", "fp32"), ("linear", "int4-sym-b64"),
    ]  # fmt: skip
    low = report.of("linear")[1]
    assert low.speedup_over_fp32 == pytest.approx(report.of("linear")[0].median_s / low.median_s)


def test_a_model_small_enough_for_the_cache_is_held_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    p = plan(["decode"], ["int4-sym-b64"])
    b = bench.Bench("cpu", replace(runner.devices.card("cpu"), cache_bytes=1 << 22), threading.Event())
    (_, step) = layers.contenders("decode", p, b)
    held = timing.copies_for(step.line.memory_bytes, 1 << 22)
    assert len(step.runs) == held > 1 and step.line.notices == ()


def test_layers_of_a_larger_model_share_memory_and_it_says_so() -> None:
    (step,) = measure(plan(["decode"], ["bf16"])).measurements  # 7.9 MB and a cache of a quarter of one
    assert "All 4 blocks are multiplied by, but 1 of them" in step.notices[0]


# -- what is refused ---------------------------------------------------------------------------


def test_schemes_that_cannot_be_measured_say_why_and_the_others_go_on() -> None:
    keys = ["int4-sym-b64", "nf4-b64", "int4-sym-b128", "q4_k"]
    report = measure(plan(["linear", "quantize"], keys, tensor=(64, 320), layer=(64, 320)))
    assert [m.scheme for m in report.of("linear")] == keys[:1] and [m.scheme for m in report.of("quantize")] == keys[:3]
    reasons = {(r.workload, r.scheme): r.reason for r in report.refused}
    assert "no CPU kernel that multiplies nf4-b64" in reasons["linear", "nf4-b64"]
    assert "multiple of 128 weights, and these have 320" in reasons["linear", "int4-sym-b128"]
    assert "multiple of 256" in reasons["quantize", "q4_k"]


def test_a_result_that_fails_its_check_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = linear_cpu.linear
    monkeypatch.setattr(linear_cpu, "linear", lambda x, packed, out: np.multiply(right(x, packed), 1.001, out=out))
    good = bench.Bench.quantize

    def wrong(self, w, scheme):
        q = good(self, w, scheme)
        q.codes.reshape(-1)[7] ^= 1
        return q

    monkeypatch.setattr(bench.Bench, "quantize", wrong)
    report = measure(plan(ALL, ["bf16", "int4-asym-b64"]))
    for workload in ("quantize", "dequantize", "linear", "decode"):
        m = report.of(workload)[1]
        assert (m.correct, m.median_s, m.tokens_per_s, m.final) == (False, None, None, True) and m.relative_error > 0
    assert report.of("linear")[0].correct and report.of("linear")[0].median_s
    assert report.of("evaluate")[1].correct  # which does not go through quantize


def test_what_does_not_fit_is_refused_before_it_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_):
        raise AssertionError("allocated")

    free = 100 << 20
    for module in (bench, runner.devices):
        monkeypatch.setattr(module, "memory_of", lambda device: (1 << 30, free))
    monkeypatch.setattr(bench.Bench, "host_weights", nothing)
    big = plan(ALL, ["bf16", "int4-sym-b64"], tensor=(1 << 16, 4096), layer=(1 << 16, 4096), model="70b")
    report = measure(big)
    assert report.measurements == () and len(report.refused) == 10
    reasons = {(r.workload, r.scheme): r.reason for r in report.refused}
    quantize = reasons["quantize", "bf16"]
    assert "quantize of 65,536 × 4,096 weights needs" in quantize and "105 MB are free" in quantize
    assert " × 4,096 weights would fit." in quantize
    assert " × 4,096 would fit." in reasons["linear", "int4-sym-b64"]
    assert reasons["decode", "bf16"].startswith("Llama 3.1 70B takes 139 GB under bf16")
    monkeypatch.setattr(runner.devices, "memory_of", lambda device: (24 << 30, 20 << 30))
    report = measure(plan(["decode"], ["bf16"], model="70b"))
    assert "Llama 3.1 8B (8b) would fit." in report.refused[0].reason or "9b) would fit." in report.refused[0].reason


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["python", "cuda", "torch"],
)
def test_memory_that_runs_out_midway_voids_the_times_and_the_rest_goes_on(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def measure_some(self, w, scheme, original=bench.Bench.measure):
        calls.append(scheme)
        if len(calls) > 4:
            raise problem
        return original(self, w, scheme)

    monkeypatch.setattr(bench.Bench, "measure", measure_some)
    report = measure(plan(["evaluate", "linear"], ["bf16", "int4-sym-b64"]))
    assert [m.median_s for m in report.of("evaluate")] == [None, None]
    assert [r.scheme for r in report.refused] == ["bf16", "int4-sym-b64"]
    assert "Its timing broke off, so no time stands: evaluate ran out of memory on this CPU" in report.refused[0].reason
    assert all(m.median_s for m in report.of("linear"))


def test_memory_that_runs_out_while_weights_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    make = multiply.make

    def maybe(scheme, *arguments):
        if scheme.key == "bf16":
            raise MemoryError
        return make(scheme, *arguments)

    monkeypatch.setattr(multiply, "make", maybe)
    report = measure(plan(["linear"], ["bf16", "int4-sym-b64"]))
    assert "linear under bf16 ran out of memory" in report.refused[0].reason
    assert [m.scheme for m in report.measurements] == ["int4-sym-b64"] and report.measurements[0].median_s


def test_what_a_gpus_software_raises_becomes_a_sentence() -> None:
    with pytest.raises(tensors.QuantvizError, match="linear failed on this CUDA GPU: no kernel image is available."):
        with bench.device_errors("cuda", "linear"):
            raise RuntimeError("no kernel image\n is available.")
    with pytest.raises(RuntimeError), bench.device_errors("cpu", "linear"):
        raise RuntimeError("a bug of ours")


# -- stopping and waiting ----------------------------------------------------------------------


def test_stop_at_once() -> None:
    cancel = threading.Event()
    cancel.set()
    events = list(run(plan(), cancel))
    assert len(events) == 1 and events[0].stopped


@pytest.mark.parametrize(
    "after", ["memory bandwidth", "quantize: checking bf16", "linear: measuring", "decode: packing"]
)
def test_stop_anywhere_ends_soon_and_frees_the_device(after: str, monkeypatch: pytest.MonkeyPatch, own_queue) -> None:
    released = []
    original = bench.Bench.release
    monkeypatch.setattr(bench.Bench, "release", lambda self: (released.append(True), original(self)))
    cancel, seen = threading.Event(), []
    for event in run(plan(["quantize", "linear", "decode"], rounds=50, seconds=1.0), cancel):
        seen.append(event)
        if isinstance(event, Doing) and event.what.startswith(after):
            cancel.set()
    assert seen[-1].stopped and released and not list(own_queue.glob("*.ticket"))
    assert not any(m.final for m in seen if isinstance(m, Measurement) and m.workload == after.partition(":")[0])


def test_whoever_stops_listening_frees_the_device(own_queue) -> None:
    events = run(plan(["linear"]))
    while not isinstance(next(events), Measurement):
        pass
    events.close()
    assert not list(own_queue.glob("*.ticket"))
    assert measure(plan(["linear"], ["int4-sym-b64"])).finished is not None


def test_a_second_run_waits_and_says_so() -> None:
    first = Ticket("cpu", "decode on the CPU")
    list(first.wait(threading.Event()))
    report = Report()
    for event in run(plan(["quantize"], ["int4-sym-b64"])):
        report = report.take(event)
        if isinstance(event, Waiting):
            assert report.waiting.ahead == 1 and "decode on the CPU" in report.waiting.sentence
            first.leave()
    assert report.waiting is None and report.measurements[0].median_s


# -- as JSON -----------------------------------------------------------------------------------

ASKED = (
    "workload", "scheme", "shape", "batch", "device", "median_s", "min_s", "max_s", "repeats", "weights_per_s",
    "bytes_per_s", "share_of_copy", "tokens_per_s", "speedup_over_bf16", "correct",
)  # fmt: skip


def test_the_document_holds_the_card_and_a_record_a_line() -> None:
    document = measure(plan(["linear"], ["bf16", "nf4-b64"])).document()
    assert document["card"]["copy_bytes_per_s"] > 0 and document["card"]["versions"]["torch"] == torch.__version__
    (record,) = document["measurements"]
    assert tuple(record)[: len(ASKED)] == ASKED and record["shape"] == [192, 512]
    assert document["refused"][0]["scheme"] == "nf4-b64" and document["stopped"] is False
    assert set(record) == {f.name for f in fields(Measurement)} - {"final"}


def test_a_record_holds_no_number_that_json_lacks() -> None:
    broken = Measurement("linear", "int4-sym-b64", (1, 1), 1, "cpu", correct=False, relative_error=math.nan)
    assert broken.record()["relative_error"] is None


def test_a_report_keeps_the_newest_of_each_line_in_their_order() -> None:
    lines = [Measurement("linear", scheme, (1, 1), 1, "cpu") for scheme in ("a", "b")]
    report = (
        Report().take(lines[0]).take(lines[1]).take(replace(lines[0], repeats=3)).take(Refused("linear", "c", "no"))
    )
    assert [(m.scheme, m.repeats) for m in report.measurements] == [("a", 3), ("b", 0)] and len(report.refused) == 1


def test_the_reference_engine_is_measured_too() -> None:
    report = measure(replace(plan(["quantize", "evaluate", "linear"], ["bf16", "mxfp4"]), device="reference"))
    assert [m.key for m in report.measurements if m.correct] == [
        ("quantize", "bf16"), ("quantize", "mxfp4"), ("evaluate", "bf16"), ("evaluate", "mxfp4"), ("linear", "bf16"),
    ]  # fmt: skip
    assert "no low-bit kernels" in report.refused[0].reason and report.card.engine == "reference"
