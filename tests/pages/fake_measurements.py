"""Measurements that take no time: what `quantviz.throughput.run` gives, with figures of our own making."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from quantviz.throughput import Card, Doing, Event, Finished, Measurement, Plan, Refused, Waiting

CARD = Card(
    "cpu", "A processor of the tests", "cpu", 16 << 30, 8 << 30, 32 << 20, 2, None, {"python": "3", "torch": "2"},
)  # fmt: skip
MEASURED = {"copy_bytes_per_s": 20e9, "read_bytes_per_s": 30e9}


def fake_run(pace: float = 0.0, rounds: int = 4, gate: threading.Event | None = None) -> Callable[..., Iterator[Event]]:
    """A `run` that sleeps `pace` seconds a round, and waits as if somebody were ahead until `gate` is set."""

    def run(plan: Plan, cancel: threading.Event | None = None) -> Iterator[Event]:
        cancel = cancel or threading.Event()
        began = time.monotonic()
        if gate is not None:
            yield Waiting(1, "One measurement goes first on this device.")
            while not gate.wait(0.02) and not cancel.is_set():
                pass
        yield CARD
        yield replace(CARD, **MEASURED)
        for workload in plan.workloads:
            yield Refused(workload, "iq1_s", "There is no kernel that multiplies with it; choose int4-sym-b64.")
            for done in range(rounds):
                if cancel.is_set():
                    yield Finished(time.monotonic() - began, stopped=True)
                    return
                yield Doing(f"timing {workload}", done, rounds)
                time.sleep(pace)
                yield from (_measured(plan, workload, s, i, done + 1, rounds) for i, s in enumerate(plan.schemes))
        yield Finished(time.monotonic() - began)

    return run


def _measured(plan: Plan, workload: str, scheme: str, i: int, done: int, rounds: int) -> Measurement:
    seconds = (0.02 if scheme == "bf16" else 0.012 / (i + 1)) * (1 + 0.1 / done)
    decode, multiplies = workload == "decode", workload in ("decode", "linear")
    nbytes = 4e8 if scheme == "bf16" else 1e8
    return Measurement(
        workload, scheme, (200_000_000,) if decode else (4096, 14336), 1 if multiplies else None, "cpu",
        median_s=seconds, min_s=0.95 * seconds, max_s=1.1 * seconds, repeats=done, weights_per_s=2e8 / seconds,
        bytes_per_s=1e8 / seconds, share_of_copy=1e8 / seconds / 20e9, tokens_per_s=1 / seconds if decode else None,
        speedup_over_bf16=0.02 / seconds if multiplies else None, correct=True, memory_bytes=int(nbytes),
        model="Qwen2.5 0.5B" if decode else None, kernel="made up", relative_error=1e-3, final=done == rounds,
    )  # fmt: skip
