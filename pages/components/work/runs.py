"""Measurements of speed in the background: started and stopped by visitors, ended when nobody looks at them.

A run belongs to the server and is found by its plan, so that a reload, a page change or a second visitor with the
same plan meets the same run. quantviz itself lets one measurement at a time onto a device; the others wait.

How a run ends: by itself, its rounds being numbered; when a visitor stops it; when LONGEST seconds have passed since
it began to measure; or when no browser window that looked at it is connected any more and GRACE seconds have passed
since the last look, so that a reload does not end it and a closed window does.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import closing

from quantviz import throughput
from quantviz.errors import QuantvizError
from quantviz.throughput import Doing, Measurement, Plan, Report

from .imports import import_each
from .time_left import TimeLeft
from .visitors import is_connected, session

GRACE = 15.0  # seconds
LONGEST = 1200.0
LOOK = 0.5  # seconds between two looks for windows
MOST_KEPT = 16  # runs whose figures are kept, the latest
MOST_AT_ONCE = 8  # runs that measure or wait, on all devices together

STOPPED, LEFT, TOO_LONG = "stopped by a visitor", "nobody was looking any more", "the longest time for a run was over"


class Run:
    """The measurement of one plan: its results so far, and the windows that look at it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.report = Report()
        self.arrived: list[Measurement] = []  # all of them in order, for the lines over rounds
        self.problem: Exception | None = None
        self.asked = time.time()
        self.why = ""  # why it ended early
        self._measuring_since: float | None = None
        self._cancel = threading.Event()
        self._over = threading.Event()
        self._looks: dict[str, float] = {}
        self._left: dict[str, TimeLeft] = {}  # of each part of the run

    @property
    def over(self) -> bool:
        return self._over.is_set()

    def look(self) -> None:
        """Notes that the window being drawn looks at this run."""
        self._looks[session()] = time.monotonic()

    def left(self) -> float | None:
        """Seconds left of the part that is going on, or None where nothing can be said."""
        doing = self.report.doing
        if doing is None or not doing.total:
            return None
        timer = self._left.setdefault(doing.what, TimeLeft())
        timer.report(doing.done, doing.total)
        return timer.seconds()

    def is_mine(self) -> bool:
        return session() in self._looks

    def stop(self, why: str = STOPPED) -> None:
        if not self.over:
            self.why = self.why or why
            self._cancel.set()

    @property
    def is_stopping(self) -> bool:
        """It was told to stop, and finishes the call that is being timed."""
        return self._cancel.is_set() and not self.over

    def wait(self, seconds: float) -> bool:
        """Waits until it is over, or that long; returns whether it is over."""
        return self._over.wait(seconds)

    def begin(self) -> None:
        for work in (self._measure, self._watch):
            # Not threads of a pool, for which the server would wait when it ends.
            threading.Thread(target=work, name="measurement", daemon=True).start()

    def _measure(self) -> None:
        try:
            import_each("torch")
            with closing(throughput.run(self.plan, self._cancel)) as events:
                for event in events:
                    if isinstance(event, Measurement):
                        self.arrived.append(event)
                    if isinstance(event, Doing) and self._measuring_since is None:
                        self._measuring_since = time.monotonic()
                    self.report = self.report.take(event)
        except Exception as problem:  # `throughput.live.outcome` shows it
            self.problem = problem
        finally:
            if self.report.finished and not self.report.finished.stopped:
                self.why = ""  # the order to stop came when it was complete
            self._over.set()

    def _watch(self) -> None:
        while not self.wait(LOOK):
            began = self._measuring_since
            if not self._is_watched():
                self.stop(LEFT)
            elif began is not None and time.monotonic() - began > LONGEST:
                self.stop(TOO_LONG)

    def _is_watched(self) -> bool:
        now = time.monotonic()
        return any(now - at < GRACE or is_connected(window) for window, at in list(self._looks.items()))


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
        _RUNS.pop(plan, None)
        run = _RUNS[plan] = Run(plan)
        for old in [p for p, r in _RUNS.items() if r.over][: max(0, len(_RUNS) - MOST_KEPT)]:
            del _RUNS[old]
        run.look()
        run.begin()
        return run


def forget(plan: Plan) -> None:
    with _LOCK:
        _RUNS.pop(plan, None)


def under_way() -> list[Run]:
    """Runs that measure or wait, in the order in which they were asked for."""
    return [run for run in list(_RUNS.values()) if not run.over]
