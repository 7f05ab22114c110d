"""Timing: turns, cold buffers, medians, and an end when it is asked for."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace

import pytest

from quantviz.throughput import Measurement, timing
from quantviz.throughput.timing import Contender, copies_for, rounds, with_times

LINE = Measurement("decode", "bf16", (1000,), 2, "cpu", correct=True)


def contender(name: str, log: list, seconds: float, buffers: int = 3) -> Contender:
    runs = [lambda b=b: log.append((name, b, seconds)) for b in range(buffers)]
    return Contender(replace(LINE, scheme=name), runs, bytes_moved=8000)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list:
    monkeypatch.setattr(timing, "SETTLE", 0.0)
    return []


def clock_of(log: list):
    def clock(run) -> float:
        run()
        return log[-1][2]

    return clock


def test_contenders_take_turns_and_the_order_turns_around(log: list) -> None:
    a, b = contender("a", log, 1.0), contender("b", log, 2.0)
    assert list(rounds([a, b], clock_of(log), 3, time.monotonic() + 60, threading.Event())) == [1, 2, 3]
    order = [name for name, _ in itertools.groupby(entry[0] for entry in log)]
    assert order == ["a", "b", "a", "b"]  # a b, b a, a b
    assert a.spread.repeats == 3 * timing.PER_VISIT and b.spread.median_s == 2.0


def test_every_call_takes_the_next_buffer(log: list) -> None:
    a = contender("a", log, 1.0)
    list(rounds([a], clock_of(log), 2, time.monotonic() + 60, threading.Event()))
    assert [entry[1] for entry in log] == [i % 3 for i in range(len(log))]


def test_past_its_time_it_makes_the_fewest_rounds_only(log: list) -> None:
    a = contender("a", log, 1.0)
    assert list(rounds([a], clock_of(log), 100, time.monotonic() - 1, threading.Event())) == [1, 2, 3]


def test_it_ends_when_cancelled(log: list) -> None:
    a, cancel = contender("a", log, 1.0), threading.Event()
    turns = rounds([a], clock_of(log), 100, time.monotonic() + 60, cancel)
    assert next(turns) == 1
    cancel.set()
    assert list(turns) == []


def test_buffers_in_rotation_exceed_the_cache() -> None:
    cache = 32 << 20
    for nbytes in (1 << 10, 5 << 20, 33 << 20, 1 << 30):
        copies = copies_for(nbytes, cache)
        assert copies * nbytes >= timing.COLD * cache
        assert copies == 1 or (copies - 1) * nbytes < timing.COLD * cache


def test_what_times_say(log: list) -> None:
    base, fast, copy = contender("bf16", log, 0.4), contender("int4-sym-b64", log, 0.1), Contender(None, [], 1000)
    copy.times, base.times, fast.times = [0.05, 0.05], [0.3, 0.4, 0.5], [0.1, 0.1, 0.4]
    m = with_times(fast, 1000, copy, [base, fast])
    assert (m.median_s, m.min_s, m.max_s, m.repeats) == (0.1, 0.1, 0.4, 3)
    assert m.weights_per_s == pytest.approx(10_000) and m.bytes_per_s == pytest.approx(80_000)
    assert m.share_of_copy == pytest.approx(80_000 / 20_000)
    assert m.tokens_per_s == pytest.approx(20)  # 2 tokens at once
    assert m.speedup_over_bf16 == pytest.approx(4) and m.speedup_over_fp32 is None
    assert with_times(base, 1000, copy, [base, fast]).speedup_over_bf16 == 1


def test_the_host_clock_waits_for_the_device() -> None:
    waited = []
    seconds = timing.host_clock(lambda: (time.sleep(0.02), waited.append(True)))(lambda: None)
    assert waited and seconds >= 0.02
