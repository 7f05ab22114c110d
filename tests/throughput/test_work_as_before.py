"""What is made ready to be timed, the memory that it asks for, and what is said where it fails, are as before."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.schemes import Scheme
from quantviz.throughput import Card, Plan, bench, multiply, timing
from quantviz.throughput import layer_work as layers
from quantviz.throughput import tensor_work as tensors
from quantviz.throughput.timing import Contender

CARD = Card("cpu", "A processor", "cpu", 64 * 10**9, 32 * 10**9, 1 << 18, 8, None, {})
SCHEMES = ("bf16", "int8-sym-b64", "int4-asym-b64")
BENCH = bench.Bench("cpu", CARD, threading.Event())


def plan(schemes=SCHEMES, **options) -> Plan:
    settings = {"tensor": (256, 512), "layer": (192, 512), "model": "demo", "rounds": 3, "seconds": 0.0}
    return Plan.make("cpu", None, schemes, **(settings | options))


def tried(make: Callable, *given, **more):
    try:
        return make(*given, **more)
    except (QuantvizError, bench.Stopped) as refusal:
        return f"{type(refusal).__name__}: {refusal}"


def told(event) -> object:
    if not isinstance(event, Contender):
        return asdict(event)
    line = asdict(event.line) | {"relative_error": None, "sqnr_db": event.line.sqnr_db and event.line.sqnr_db + 10}
    return [line, len(event.runs), event.bytes_moved, event.steps]


@pytest.mark.parametrize("workload", ["quantize", "dequantize", "evaluate", "linear", "decode"])
def test_contenders(workload, kept):
    work = layers if workload in ("linear", "decode") else tensors
    for cache, batch in ((1 << 18, 1), (1 << 22, 3)):
        own = replace(BENCH, card=replace(CARD, cache_bytes=cache))
        for event in work.contenders(workload, plan((*SCHEMES, "q4_k"), batch=batch), own):
            kept(told(event))
            if isinstance(event, Contender) and event.runs:
                event.runs[-1]()


def test_what_memory_is_asked_for(kept, monkeypatch):
    asked = []
    for workload, copies, engine, device in itertools.product(
        ("quantize", "dequantize", "evaluate"), (1, 3), ("cpu", "reference"), ("cpu", "cuda")
    ):
        fake = SimpleNamespace(
            card=replace(CARD, engine=engine),
            engine_itemsize=2 if device == "cuda" else 4,
            ask=lambda nbytes, what, fits: asked.append([nbytes, what, [fits(n) for n in (0, 10**5, 10**8)]]),
        )
        for schemes in (SCHEMES, ("fp16",), ("fp32",)):
            tensors._ask(workload, plan(schemes), fake, copies)
    kept({str(i): one for i, one in enumerate(asked)})
    kept([multiply.bytes_needed(Scheme.parse(key), 192, 512) for key in (*SCHEMES, "fp32", "nf4-b64", "q4_k")])
    kept([multiply.activation_type(Scheme.parse(key), "cpu") for key in (*SCHEMES, "fp16")])
    for free in (None, 10**4, 10**6, 10**9):
        monkeypatch.setattr(bench, "memory_of", lambda device, free=free: (None, free))
        own = replace(BENCH, card=replace(CARD, free_bytes=free))
        sizes = (1, 9 * 10**3, 9 * 10**5, 9 * 10**5 + 1, 10**6, 10**12)
        kept([tried(own.ask, n, "A layer", lambda most: f"{most} bytes" if most > 10**5 else None) for n in sizes])
        kept([own.held_bytes, replace(own, device="cuda").held_bytes])
    monkeypatch.setattr(bench, "memory_of", lambda device: (None, 10**6))
    for work, workload, shape in (
        (layers, "linear", {"layer": (100_000, 8192)}),
        (layers, "decode", {"model": "8b"}),
        (tensors, "quantize", {"tensor": (100_000, 8192)}),
    ):
        events = tried(lambda: list(work.contenders(workload, plan(SCHEMES[1:], **shape), BENCH)))  # noqa: B023
        kept(events if isinstance(events, str) else [told(event) for event in events])


def test_errors_of_a_device(kept):
    class OutOfMemoryError(RuntimeError):
        pass

    problems = (
        MemoryError(),
        OutOfMemoryError("x"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("can't allocate memory: you tried"),
        RuntimeError("else.\nmore"),
        ValueError("out of memory"),
        QuantvizError("Own."),
    )
    kept([bench.ran_out(problem) for problem in problems])
    for device, problem in itertools.product(("cpu", "cuda", "mps"), problems):
        try:
            with bench.device_errors(device, "A layer"):
                raise problem
        except Exception as raised:
            kept([device, type(raised).__name__, str(raised)])
    stopped = threading.Event()
    stopped.set()
    kept(tried(replace(BENCH, cancel=stopped).check))


def test_weights_and_buffers(kept):
    kept([[c.bytes_moved, len(c.runs)] for free in (8 << 20, 1000, 8) for c in timing.bandwidth("cpu", 1 << 18, free)])
    w = np.asarray(BENCH.host_weights(30, 40), float)
    kept([w[:2, :4], w.sum(), np.abs(w).max(), (np.abs(w) > 0.1).sum()])
    x = multiply.activations(2, 16, "fp32", True, BENCH).astype(float)
    kept(
        [
            x[:, :4],
            list(multiply.output(2, 5, "fp32", True, BENCH).shape),
            list(multiply.output(2, 5, "bf16", False, BENCH).shape),
        ]
    )
    kept(
        [
            multiply._sqnr(np.array([[3.0, 4.0]]), np.array([[3.0, 4.5]])),
            multiply._sqnr(np.ones((1, 2)), np.ones((1, 2))),
        ]
    )
