"""Measurements of speed in the background: jobs that several visitors may look at, and that are kept when they end.

A run belongs to the server and is found by its plan, so that a reload, a page change or a second visitor with the
same plan meets the same run. quantviz itself lets one measurement at a time onto a device; the others wait.

How a run ends: by itself, its rounds being numbered; when a visitor stops it; when LONGEST seconds have passed since
it began to measure; or, as every job, when all windows that looked at it are closed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import wait
from contextlib import closing

from quantviz import throughput
from quantviz.errors import QuantvizError
from quantviz.throughput import Doing, Measurement, Plan, Report

from . import jobs
from .imports import import_each
from .places import Places
from .time_left import TimeLeft
from .visitors import session

LONGEST = 1200.0  # seconds
MOST_KEPT = 16  # runs whose figures are kept, the latest
MOST_AT_ONCE = 8  # runs that measure or wait, on all devices together

STOPPED, LEFT, TOO_LONG = "stopped by a visitor", "nobody was looking any more", "the longest time for a run was over"


class Run(jobs.Job):
    """The measurement of one plan. `found` has its measurements in order, for the lines over rounds."""

    _places = Places(MOST_AT_ONCE, MOST_AT_ONCE, "measurement")

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.title)
        self.plan = plan
        self.report = Report()
        self.asked = time.time()
        self.why = ""  # why it ended early
        self._left: dict[str, TimeLeft] = {}  # of each part of the run

    @property
    def over(self) -> bool:
        return self.future.done()

    @property
    def problem(self) -> BaseException | None:
        """The error that ended it."""
        problem = self.future.exception() if self.over else None
        return None if isinstance(problem, jobs.JobStopped) else problem

    def look(self) -> None:
        """Notes that the window being drawn looks at this run."""
        self.watchers[session(), self.plan] = time.monotonic()

    def is_mine(self) -> bool:
        return any(window == session() for window, _ in list(self.watchers))

    def seconds_left(self) -> float | None:
        """Seconds left of the part that is going on, or None where nothing can be said."""
        doing = self.report.doing
        if doing is None or not doing.total:
            return None
        timer = self._left.setdefault(doing.what, TimeLeft())
        timer.report(doing.done, doing.total)
        return timer.seconds()

    def stop(self, why: str = STOPPED) -> None:
        """It keeps its place until the call that is being timed is over, so that no other is disturbed."""
        if not self.over:
            self.why = self.why or why
            self._cancelled.set()

    def cancel(self) -> None:
        self.stop(LEFT)

    @property
    def is_stopping(self) -> bool:
        """It was told to stop, and finishes the call that is being timed."""
        return self._cancelled.is_set() and not self.over

    def wait(self, seconds: float) -> bool:
        """Waits until it is over, or that long; returns whether it is over."""
        return bool(wait([self.future], seconds).done)

    def measure(self, _: jobs.Job) -> None:
        """The work: takes the events of `throughput.run`."""
        import_each("torch")
        began = None
        with closing(throughput.run(self.plan, self._cancelled)) as events:
            for event in events:
                if isinstance(event, Measurement):
                    self.found.append(event)
                if isinstance(event, Doing):
                    began = began or time.monotonic()
                if began and time.monotonic() - began > LONGEST:
                    self.stop(TOO_LONG)
                self.report = self.report.take(event)
        if self.report.finished and not self.report.finished.stopped:
            self.why = ""  # the order to stop came when it was complete


_RUNS: OrderedDict[Plan, Run] = OrderedDict()
_LOCK = threading.Lock()


def find(plan: Plan) -> Run | None:
    """The running measurement of this plan, or the last one."""
    return _RUNS.get(plan)


def start(plan: Plan) -> Run:
    """Starts a run of this plan unless one is running; returns it. Raises QuantvizError if too many wait."""
    with _LOCK:
        run = _RUNS.get(plan)
        if run is not None and not run.over:
            run.look()
            return run
        if len(under_way()) >= MOST_AT_ONCE:
            raise QuantvizError(f"{MOST_AT_ONCE} measurements wait for their turn; start yours when some are over.")
        jobs.forget(plan)
        _RUNS.pop(plan, None)
        run = _RUNS[plan] = Run(plan)
        for old in [p for p, r in _RUNS.items() if r.over][: max(0, len(_RUNS) - MOST_KEPT)]:
            del _RUNS[old]
        jobs.watch(plan, run, run.measure, kind=plan)
        return run


def forget(plan: Plan) -> None:
    with _LOCK:
        _RUNS.pop(plan, None)


def under_way() -> list[Run]:
    """Runs that measure or wait, in the order in which they were asked for."""
    return [run for run in list(_RUNS.values()) if not run.over]
