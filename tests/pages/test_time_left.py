"""What is said of the time that is left: no leaps while nothing arrives, no starting up taken for the pace."""

from __future__ import annotations

import pytest

from pages.components.work.time_left import TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_counts_down_at_a_steady_pace():
    clock = Clock()
    timer = TimeLeft(clock)
    for done in range(60):
        timer.report(done, 100)
        if done > 2:
            assert timer.seconds() == pytest.approx(100 - done, rel=0.02)
        clock.now += 1


def test_nothing_is_said_too_early_or_when_the_time_is_up():
    clock = Clock()
    timer = TimeLeft(clock)
    assert timer.seconds() is None
    timer.report(0, 10)
    clock.now += 0.5
    timer.report(5, 10)
    assert timer.seconds() is None
    clock.now += 60
    assert timer.seconds() is None, "longer than was thought: rather nothing than a wrong number"


def test_it_does_not_grow_while_nothing_arrives():
    clock = Clock()
    timer = TimeLeft(clock)
    for done in range(10):
        timer.report(done, 100)
        clock.now += 1
    said = []
    for _ in range(30):
        clock.now += 1
        timer.report(9, 100)
        said.append(timer.seconds())
    assert said == sorted(said, reverse=True)


def test_passes_that_begin_with_a_pause_do_not_make_it_leap():
    clock = Clock()
    timer = TimeLeft(clock)
    said = []
    for done in range(21 * 8):
        clock.now += 6 if done % 8 == 0 else 1  # each pass quantizes before its windows arrive
        timer.report(done + 1, 21 * 8)
        said.append(timer.seconds())
    steady = [seconds for seconds in said[24:-8] if seconds is not None]
    rises = [b / a for a, b in zip(steady, steady[1:], strict=False)]
    assert max(rises) < 1.15 and steady[-1] < steady[0] / 3
