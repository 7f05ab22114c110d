"""Long work in the background: progress, an estimate, a way to stop it; it outlives a page change or a reload.

A job belongs to the server and is found by its key, so visitors who ask for the same thing wait for the same job. Each
browser window waits for at most one job of a kind: when it asks for another of that kind, or is closed, it leaves the
first, and a job that nobody waits for is stopped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as StillRunning
from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.text.wording import about, count, duration, size

from .. import say
from .imports import LANGUAGE_MODELS, import_each
from .places import Places, Work
from .time_left import TimeLeft
from .visitors import is_connected, session, visitor

AT_ONCE = 3  # jobs that run at a time; more wait in a queue
SHARE = 2  # of these, how many one visitor fills
PATIENCE = 1.5  # seconds a page waits before it shows progress instead
POLL = 0.4  # seconds between looks at a running job
GRACE = 15.0  # seconds that a window may be gone before it counts as closed: a reload takes less
KEPT = 60.0  # seconds that a result waits to be taken: pages keep what they need themselves
LOOK = 1.0  # seconds between looks at who is still there
ASSUMED_RATE = {"B": 10e6, "weights": 100e6, "multiplications": 25e9}  # a second, until something was measured


class JobStopped(Exception):
    """Raised inside a job that its visitor stopped, or that nobody waits for any more."""


class Job:
    """One piece of work. `step` names a part of it and gives the progress callback for that part."""

    def __init__(self, title: str, heavy: bool = False) -> None:
        self.title, self.heavy = title, heavy
        self.name, self.unit = "waiting for its turn", ""
        self.done, self.total = 0, 0
        self.began = time.monotonic()
        self.left = TimeLeft()
        self.ended: float | None = None
        self.future: Future = Future()
        self.watchers: dict[tuple[str, Hashable], float] = {}  # (window, kind) -> when it was last seen
        self.found: list[Any] = []  # results so far, for work that gives several
        self._cancelled = threading.Event()
        self._work: Work | None = None

    def begin(self, work: Callable[[Job], Any], owner: str) -> None:
        self._work = Work(lambda: self._run(work), owner)
        self._places.add(self._work)

    def _run(self, work: Callable[[Job], Any]) -> None:
        try:
            self._check()
            if self.heavy:
                import_each(*LANGUAGE_MODELS)
            value = work(self)
        except BaseException as problem:  # every error reaches those who wait for the job
            if isinstance(problem, QuantvizError | JobStopped):
                problem.__traceback__ = None  # it refers to the tensors of the work
            self._end(self.future.set_exception, problem)
        else:
            self._end(self.future.set_result, value)

    def _end(self, tell: Callable[[Any], None], what: Any) -> None:
        try:
            tell(what)
        except InvalidStateError:  # it was stopped, and those who waited know
            return
        self.ended = time.monotonic()

    def step(self, name: str, unit: str) -> Callable[[int, int], None]:
        """unit: "B", or what is counted, such as "weights"."""
        self._check()
        self.name, self.unit, self.done, self.total, self.began = name, unit, 0, 0, time.monotonic()
        self.left = TimeLeft()
        first: tuple[float, int] | None = None  # the time before it, such as compiling, says nothing about the rate

        def progress(done: int, total: int) -> None:
            nonlocal first
            self._check()
            self.done, self.total = done, total
            self.left.report(done, total)
            now = time.monotonic()
            first = first or (now, done)
            if now - first[0] > 0.2:
                RATES[unit] = (done - first[1]) / (now - first[0])

        return progress

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise JobStopped

    def cancel(self) -> None:
        """Ends the waiting for it and frees its place; the work itself ends at its next step."""
        self._cancelled.set()
        self._end(self.future.set_exception, JobStopped())
        if self._work:
            self._places.stop(self._work)

    @property
    def _places(self) -> Places:
        return _HEAVY if self.heavy else _PLACES

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
        left = self.left.seconds()
        return text if left is None else f"{text}, {about(left)} left"


RATES: dict[str, float] = {}  # units a second, as last measured
_JOBS: dict[Hashable, Job] = {}
_WANTED: dict[tuple[str, Hashable], Hashable] = {}  # (window, kind) -> the key of the job that it waits for
_LOCK = threading.RLock()
_PLACES = Places(AT_ONCE, SHARE, "job")
_HEAVY = Places(1, 1, "heavy-job", frees_memory=True)  # a language model at a time is in memory
_looking = threading.Event()


def unit_of(what: str, otherwise: str) -> str:
    """The unit that quantviz counts in during `what`: bytes or tensors of a model, or `otherwise`."""
    if "tensors" in what:
        return "tensors"
    return "B" if "bytes" in what or what.startswith("reading") else otherwise


def estimate(amount: float, unit: str) -> str:
    """How long `amount` takes at the rate last measured, in words."""
    rate = RATES.get(unit, ASSUMED_RATE[unit])
    shown = f"{size(rate)}/s" if unit == "B" else f"{count(rate)} {unit}/s"
    basis = "as last measured" if unit in RATES else "an assumption until something was measured"
    return f"{duration(amount / rate)} at {shown} ({basis})"


# -- which jobs there are, and who waits for them ----------------------------------------------


def start(
    key: Hashable, title: str, work: Callable[[Job], Any], heavy: bool = False, kind: Hashable | None = None
) -> Job:
    """`watch` for a new Job. One heavy job runs at a time. kind: by default what the key begins with."""
    return watch(key, Job(title, heavy), work, kind or (key[0] if isinstance(key, tuple) else key))


def watch(key: Hashable, fresh: Job, work: Callable[[Job], Any], kind: Hashable) -> Job:
    """The job called `key`, or `fresh`, which then begins; this window waits for it, and for no other of its kind."""
    with _LOCK:
        want(kind, key)
        is_new = key not in _JOBS
        job = _JOBS.setdefault(key, fresh)
        job.watchers[session(), kind] = time.monotonic()
        if is_new:
            job.begin(work, visitor())
    _begin_to_look()
    return job


def running(key: Hashable) -> Job | None:
    """The job called `key`, if there is one whose result was not taken yet."""
    with _LOCK:
        return _JOBS.get(key)


def want(kind: Hashable, key: Hashable | None) -> None:
    """From now on this window waits for the job `key` of this kind, or for none, and no more for the one before."""
    me = session(), kind
    with _LOCK:
        before = _WANTED.get(me)
        if before == key:
            return
        if key is None:
            _WANTED.pop(me, None)
        else:
            _WANTED[me] = key
        if before is not None:
            _leave(before, me)


def forget(key: Hashable) -> None:
    """Drops a job whose result was taken, or that is to start again."""
    with _LOCK:
        job = _JOBS.pop(key, None)
        for who in job.watchers if job else ():
            if _WANTED.get(who) == key:
                del _WANTED[who]


def _leave(key: Hashable, who: tuple[str, Hashable]) -> None:
    """Stops and forgets the job if nobody else waits for it."""
    job = _JOBS.get(key)
    if job is None:
        return
    job.watchers.pop(who, None)
    if not job.watchers:
        job.cancel()
        del _JOBS[key]


def _begin_to_look() -> None:
    if not _looking.is_set():
        _looking.set()
        threading.Thread(target=_look_for_ever, name="jobs-watch", daemon=True).start()


def _look_for_ever() -> None:
    while True:
        time.sleep(LOOK)
        look_after()


def look_after() -> None:
    """Closed windows wait for their jobs no longer; results that nobody took are dropped."""
    now = time.monotonic()
    with _LOCK:
        for key, job in list(_JOBS.items()):
            for who, seen in list(job.watchers.items()):
                if is_connected(who[0]):
                    job.watchers[who] = now
                elif now - seen > GRACE:
                    _WANTED.pop(who, None)
                    _leave(key, who)
            succeeded = key in _JOBS and job.ended is not None and job.future.exception() is None
            if succeeded and now - job.ended > KEPT:
                forget(key)
        for who, key in list(_WANTED.items()):
            if key not in _JOBS and not is_connected(who[0]):
                del _WANTED[who]
    _PLACES.look()
    _HEAVY.look()


# -- on the page -------------------------------------------------------------------------------


def result(
    key: Hashable,
    title: str,
    work: Callable[[Job], Any],
    meanwhile: Callable[[], None] | None = None,
    patience: float = PATIENCE,
    heavy: bool = False,
    poll: float = POLL,
    kind: Hashable | None = None,
) -> Any | None:
    """The result of `work`; None, with its progress on the page, while it runs.

    meanwhile: draws the results so far, under the progress and as often, and after a stop.
    patience: seconds before progress is shown.  poll: seconds between looks at it.  kind: see `start`.
    An error of the work is raised here, once: asking again begins again. A stopped job stays stopped until its visitor
    starts it again.
    """
    job = start(key, title, work, heavy, kind)
    try:
        value = job.future.result(timeout=patience)
    except StillRunning:
        st.fragment(_panel, run_every=poll)(key, job, meanwhile)
        return None
    except JobStopped:
        say.info(f"{title} was stopped. What had arrived is kept.", ":material/pause_circle:")
        st.button("Start again", key=f"again-{key}", on_click=forget, args=(key,))
        if meanwhile:
            meanwhile()
        return None
    except BaseException:
        forget(key)
        raise
    forget(key)
    return value


def _panel(key: Hashable, job: Job, meanwhile: Callable[[], None] | None) -> None:
    if job.future.done():
        st.rerun()
    st.progress(job.fraction, text=say.plain(job.text()))
    st.button("Stop", key=f"stop-{key}", on_click=job.cancel)
    if meanwhile:
        meanwhile()
