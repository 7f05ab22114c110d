"""A run: waits for the device, measures its bandwidth, then each workload, and yields events on the way."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..errors import QuantvizError
from . import devices
from . import layer_work as layers
from . import tensor_work as tensors
from .bench import Bench, Stopped, device_errors
from .plan import Plan
from .results import MULTIPLIES, Card, Doing, Event, Finished, Measurement, Refused
from .timing import Clock, Contender, bandwidth, clock_of, rounds, with_times
from .turns import Ticket

BANDWIDTH_ROUNDS = 5
QUEUES = {"cpu": "cpu", "reference": "cpu", "mps": "mps", "xpu": "xpu", "cuda": "cuda"}  # devices that share hardware


def run(plan: Plan, cancel: threading.Event | None = None) -> Iterator[Event]:
    """Measures what `plan` says, and yields events as they happen.

    First Waiting, while someone else measures on the device. Then the Card, and again once its bandwidth is measured;
    for each workload Doing, Refused for what cannot be measured, and after every round a newer Measurement of each
    line, the last of them final; at the end Finished. Setting `cancel`, or closing the generator, ends it early and
    leaves nothing in the device's memory.
    Raises QuantvizError if the device cannot be used.

    >>> from quantviz.throughput import Report
    >>> report = Report()
    >>> plan = Plan.make("cpu", ["linear"], ["fp32", "int4-sym-b64"], layer=(256, 512), rounds=3, seconds=0)
    >>> for event in run(plan):
    ...     report = report.take(event)
    >>> [m.scheme for m in report.measurements], all(m.correct for m in report.measurements)
    (['fp32', 'int4-sym-b64'], True)
    """
    cancel = cancel or threading.Event()
    began = time.monotonic()
    turn = Ticket(QUEUES[devices.checked(plan.device)], plan.title)
    try:
        yield from turn.wait(cancel)
        yield from _measure(plan, cancel)
    finally:
        turn.leave()
    yield Finished(time.monotonic() - began, cancel.is_set())


def _measure(plan: Plan, cancel: threading.Event) -> Iterator[Event]:
    if cancel.is_set():
        return
    card = devices.card(plan.device)
    yield card
    bench = Bench(plan.device, card, cancel)
    try:
        clock = clock_of(plan.device)
        until, copy = time.monotonic() + plan.seconds, None
        if plan.bandwidth:
            with device_errors(plan.device, "Measuring the memory's bandwidth"):
                copy, read = bandwidth(bench.torch_device, card.cache_bytes, card.free_bytes)
                yield Doing("memory bandwidth", 0, BANDWIDTH_ROUNDS)
                for done in rounds([copy, read], clock, BANDWIDTH_ROUNDS, until, cancel):
                    yield Doing("memory bandwidth", done, BANDWIDTH_ROUNDS)
            if cancel.is_set():
                return
            yield _with_bandwidth(card, copy, read)
        for place, workload in enumerate(plan.workloads):
            left = max(until - time.monotonic(), 0) / (len(plan.workloads) - place)
            yield from _workload(workload, plan, bench, clock, copy, left)
    except Stopped:
        pass
    finally:
        copy = read = None
        bench.release()


def _with_bandwidth(card: Card, copy: Contender, read: Contender) -> Card:
    return replace(card, copy_bytes_per_s=copy.bytes_per_s, copy=copy.spread, read_bytes_per_s=read.bytes_per_s)


def _workload(
    workload: str, plan: Plan, bench: Bench, clock: Clock, copy: Contender | None, seconds: float
) -> Iterator[Event]:
    """One workload: every contender made and checked, then all of them timed in turns.

    copy: of memory, measured with them; or None.  seconds: for the rounds alone, not for making the contenders.
    """
    make = layers.contenders if workload in MULTIPLIES else tensors.contenders
    ready: list[Contender] = []
    try:
        try:
            for event in make(workload, plan, bench):
                if isinstance(event, Contender):
                    yield event.line  # what is known before it is timed
                    ready += [event] if event.runs else []
                else:
                    yield event
        except QuantvizError as problem:  # the whole workload will not fit
            for key in plan.schemes if workload in MULTIPLIES else tensors.schemes_of(plan):
                yield Refused(workload, key, str(problem))
        if ready:
            yield from _timed(workload, plan, bench, clock, copy, seconds, ready)
    finally:
        ready.clear()
        bench.release()


def _timed(
    workload: str, plan: Plan, bench: Bench, clock: Clock, copy: Contender | None, seconds: float,
    ready: Sequence[Contender],
) -> Iterator[Event]:  # fmt: skip
    # measured again with them, so that a drift slows all alike
    ceiling = copy and Contender(None, copy.runs, copy.bytes_moved)
    until = time.monotonic() + seconds
    yield Doing(f"{workload}: measuring", 0, plan.rounds)
    try:
        with device_errors(bench.device, workload):
            for done in rounds([*filter(None, [ceiling]), *ready], clock, plan.rounds, until, bench.cancel):
                for contender in ready:
                    yield _line(contender, ceiling, ready)
                yield Doing(f"{workload}: measuring", done, plan.rounds)
    except QuantvizError as problem:
        for contender in ready:
            if contender.line is not None:
                yield replace(contender.line, final=True)
                yield Refused(workload, contender.line.scheme, f"Its timing broke off, so no time stands: {problem}")
        return
    for contender in ready:
        if contender.times and (ceiling is None or ceiling.times):
            yield replace(_line(contender, ceiling, ready), final=not bench.cancel.is_set())


def _line(contender: Contender, ceiling: Contender | None, ready: Sequence[Contender]) -> Measurement:
    return with_times(contender, math.prod(contender.line.shape), ceiling, ready)
