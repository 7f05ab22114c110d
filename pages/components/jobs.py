"""Long work in the background: progress, an estimate, a way to stop it; it outlives a page change or a reload.

A job belongs to the server and is found by its key, so whoever asks for the same thing waits for the same job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from typing import Any

import streamlit as st

from quantviz.wording import count, duration, size

AT_ONCE = 3  # jobs that run at a time; more wait in a queue
PATIENCE = 1.5  # seconds a page waits before it shows progress instead
POLL = 0.4  # seconds between looks at a running job
ASSUMED_RATE = {"B": 10e6, "weights": 100e6, "multiplications": 25e9}  # a second, until something was measured


class Cancelled(Exception):
    """Raised inside a job that its visitor stopped."""


class Job:
    """One piece of work. `step` names a part of it and gives the progress callback for that part."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.name, self.unit = "waiting for its turn", ""
        self.done, self.total = 0, 0
        self.began = time.monotonic()
        self.future: Future = Future()
        self.watchers: set[str] = set()  # sessions that wait for it, where they are counted
        self.found: list[Any] = []  # what there is so far, for work that gives one thing after another
        self._cancelled = threading.Event()

    def step(self, name: str, unit: str) -> Callable[[int, int], None]:
        """unit: "B", or what is counted, such as "weights"."""
        self._check()
        self.name, self.unit, self.done, self.total, self.began = name, unit, 0, 0, time.monotonic()

        first: tuple[float, int] | None = None  # what came before it, such as compiling, says nothing about the rate

        def progress(done: int, total: int) -> None:
            nonlocal first
            self._check()
            self.done, self.total = done, total
            now = time.monotonic()
            first = first or (now, done)
            if now - first[0] > 0.2:
                RATES[unit] = (done - first[1]) / (now - first[0])

        return progress

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        self._cancelled.set()
        self.future.cancel()  # where it still waits for its turn

    @property
    def fraction(self) -> float:
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def text(self) -> str:
        """What is being done, how much of it, how long the rest of it will take."""
        if not self.total:
            return f"{self.title}: {self.name} …"
        shown = size if self.unit == "B" else count
        text = f"{self.title}: {self.name}, {shown(self.done)} of {shown(self.total)}"
        text += "" if self.unit == "B" else f" {self.unit}"
        seconds = time.monotonic() - self.began
        if self.done and seconds > 1:
            text += f", about {duration(seconds / self.done * (self.total - self.done))} left"
        return text


RATES: dict[str, float] = {}  # units a second, as last measured
_JOBS: dict[Hashable, Job] = {}
_LOCK = threading.Lock()
_POOL = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job")
_HEAVY = ThreadPoolExecutor(1, thread_name_prefix="heavy-job")  # a language model at a time is in memory


def estimate(amount: float, unit: str) -> str:
    """How long `amount` takes at the rate last measured, in words."""
    rate = RATES.get(unit, ASSUMED_RATE[unit])
    shown = f"{size(rate)}/s" if unit == "B" else f"{count(rate)} {unit}/s"
    basis = "as last measured" if unit in RATES else "an assumption until something was measured"
    return f"{duration(amount / rate)} at {shown} ({basis})"


def start(key: Hashable, title: str, work: Callable[[Job], Any], heavy: bool = False) -> Job:
    """The job called `key`, begun if there is none. One heavy job runs at a time."""
    with _LOCK:
        if key not in _JOBS:
            job = _JOBS[key] = Job(title)
            job.future = (_HEAVY if heavy else _POOL).submit(work, job)
        return _JOBS[key]


def running(key: Hashable) -> Job | None:
    """The job called `key`, if there is one that nobody has taken the result of."""
    with _LOCK:
        return _JOBS.get(key)


def watch(key: Hashable, session: str) -> None:
    """`session` waits for the job; see `leave`."""
    with _LOCK:
        if key in _JOBS:
            _JOBS[key].watchers.add(session)


def leave(key: Hashable, session: str) -> None:
    """`session` wants something else now: the job is stopped and forgotten if no other session waits for it."""
    with _LOCK:
        job = _JOBS.get(key)
        if job is None:
            return
        job.watchers.discard(session)
        if not job.watchers:
            job.cancel()
            _JOBS.pop(key)


def forget(key: Hashable) -> None:
    with _LOCK:
        _JOBS.pop(key, None)


def result(
    key: Hashable,
    title: str,
    work: Callable[[Job], Any],
    meanwhile: Callable[[], None] | None = None,
    patience: float = PATIENCE,
    heavy: bool = False,
    poll: float = POLL,
) -> Any | None:
    """What `work` gives, or None with its progress on the page while it goes on.

    meanwhile: draws what is there already, under the progress and as often as that.
    patience: seconds before progress is shown.  poll: seconds between looks at it.
    An error of the work is raised here, once: asking again begins again. A stopped job stays stopped until its visitor
    starts it again.
    """
    job = start(key, title, work, heavy)
    try:
        value = job.future.result(timeout=patience)
    except StillRunning:
        st.fragment(_panel, run_every=poll)(key, job, meanwhile)
        return None
    except (Cancelled, CancelledError):
        st.info(f"{title} was stopped. What had arrived is kept.", icon=":material/pause_circle:")
        st.button("Start again", key=f"again-{key}", on_click=forget, args=(key,))
        return None
    except BaseException:
        forget(key)
        raise
    forget(key)
    return value


def _panel(key: Hashable, job: Job, meanwhile: Callable[[], None] | None) -> None:
    if job.future.done():
        st.rerun()
    st.progress(job.fraction, text=job.text())
    st.button("Stop", key=f"stop-{key}", on_click=job.cancel)
    if meanwhile:
        meanwhile()
