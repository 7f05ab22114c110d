"""Background work that is shared, left, stopped and given up, and the places it runs in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pages.components.work import jobs
from pages.components.work.places import Places, Work

WAIT = 10  # seconds within which another thread surely gets its turn


@pytest.fixture
def window(monkeypatch) -> Iterator[Callable[[str], None]]:
    """Turns to the browser window of this name; windows are connected unless their name ends with "gone"."""
    current = ["first"]
    monkeypatch.setattr(jobs, "session", lambda: current[0])
    monkeypatch.setattr(jobs, "visitor", lambda: current[0])
    monkeypatch.setattr(jobs, "is_connected", lambda name: not name.endswith("gone"))
    yield lambda name: current.__setitem__(0, name)
    for key in list(jobs._JOBS):
        jobs._JOBS[key].cancel()
        jobs.forget(key)


def stepping(job: jobs.Job) -> None:
    """Work that looks often whether it is wanted still."""
    progress = job.step("at work", "weights")
    for done in range(10_000):
        progress(done, 10_000)
        time.sleep(0.005)


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + WAIT
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def test_another_question_of_the_same_kind_stops_the_first(window):
    first = jobs.start(("scheme", "a"), "w", stepping)
    jobs.start(("pinned", "a"), "w", stepping)
    second = jobs.start(("scheme", "b"), "w", stepping)
    assert isinstance(first.future.exception(WAIT), jobs.JobStopped)
    assert jobs.running(("scheme", "a")) is None and jobs.running(("pinned", "a")) and not second.future.done()
    jobs.want("scheme", None)  # it was found elsewhere
    assert jobs.running(("scheme", "b")) is None and jobs.running(("pinned", "a"))


def test_a_job_goes_on_as_long_as_one_window_waits_for_it(window):
    job = jobs.start(("scheme", "a"), "w", stepping)
    window("second")
    assert jobs.start(("scheme", "a"), "w", stepping) is job
    window("first")
    jobs.want("scheme", None)
    assert not job.future.done()
    window("second")
    jobs.want("scheme", None)
    assert isinstance(job.future.exception(WAIT), jobs.JobStopped)


def test_the_jobs_of_a_closed_window_are_stopped_after_a_while(window, monkeypatch):
    window("soon gone")
    job = jobs.start(("scheme", "a"), "w", stepping)
    jobs.look_after()
    assert not job.future.done(), "a reload takes a moment"
    monkeypatch.setattr(jobs, "GRACE", 0)
    jobs.look_after()
    assert isinstance(job.future.exception(WAIT), jobs.JobStopped) and not jobs._JOBS
    assert ("soon gone", "scheme") not in jobs._WANTED


def test_a_result_that_nobody_takes_is_dropped_and_an_error_waits(window, monkeypatch):
    made = jobs.start(("scheme", "a"), "w", lambda job: "value")
    failed = jobs.start(("pinned", "a"), "w", lambda job: 1 // 0)
    assert made.future.result(WAIT) == "value" and failed.future.exception(WAIT)
    assert until(lambda: made.ended and failed.ended)
    monkeypatch.setattr(jobs, "KEPT", 0)
    jobs.look_after()
    assert jobs.running(("scheme", "a")) is None and jobs.running(("pinned", "a")) is failed


def test_work_that_hears_nothing_gives_its_place_back_when_it_is_stopped(window):
    stuck = threading.Event()
    for name in "abc":  # each in a window of its own, so that all places are filled
        window(name)
        jobs.start(("scheme", name), "w", lambda job: stuck.wait(WAIT))
    window("d")
    waits = jobs.start(("scheme", "d"), "w", lambda job: "its turn")
    assert not waits.future.done()
    for name in "abc":
        jobs.running(("scheme", name)).cancel()
    assert waits.future.result(WAIT) == "its turn"
    stuck.set()


def test_one_visitor_does_not_hold_all_places(window):
    release = threading.Event()
    for i in range(5):
        jobs.start((f"kind {i}", "a"), "w", lambda job: release.wait(WAIT))
    window("second")
    assert jobs.start(("scheme", "b"), "w", lambda job: "its turn").future.result(WAIT) == "its turn"
    release.set()


def test_the_owner_with_the_fewest_places_goes_first():
    places, order, release = Places(2, 2, "test"), [], threading.Event()

    def work(name: str) -> Callable[[], None]:
        return lambda: (order.append(name), release.wait(WAIT))

    for name in ("a1", "a2", "a3"):
        places.add(Work(work(name), "a"))
    places.add(Work(work("b1"), "b"))
    assert until(lambda: len(order) == 2)
    release.set()
    assert until(lambda: len(order) == 4)
    assert set(order[:2]) == {"a1", "a2"} and order.index("b1") == 2


def test_stopped_work_in_memory_keeps_its_place_for_a_while(monkeypatch):
    places, release, began = Places(1, 1, "test", frees_memory=True), threading.Event(), threading.Event()
    first = Work(lambda: release.wait(WAIT), "a")
    places.add(first)
    places.add(Work(began.set, "b"))
    places.stop(first)
    assert not began.wait(0.1)
    monkeypatch.setattr("pages.components.work.places.LINGER", 0)
    places.look()
    assert began.wait(WAIT)
    release.set()


def test_work_that_was_stopped_before_its_turn_never_begins():
    places, release, ran = Places(1, 1, "test"), threading.Event(), []
    places.add(Work(lambda: release.wait(WAIT), "a"))
    waiting, last = Work(lambda: ran.append("stopped"), "b"), threading.Event()
    places.add(waiting)
    places.stop(waiting)
    places.add(Work(last.set, "c"))
    release.set()
    assert last.wait(WAIT) and not ran


def test_anything_that_work_raises_reaches_whoever_waits(window):
    class Panic(BaseException):
        """As libraries of other languages raise it."""

    def work(job: jobs.Job) -> None:
        raise Panic

    assert isinstance(jobs.start(("scheme", "a"), "w", work).future.exception(WAIT), Panic)
