"""A result that a section of a page needs, made in the background and kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from quantviz.errors import QuantvizError

from .. import say
from . import jobs
from .bounded import BoundedCache
from .jobs import Job


@dataclass(frozen=True)
class KeptResult:
    """One result: its key, what it is called while it is being made, how it is made, and where it is kept.

    heavy: whether it needs a language model in memory, so that one such task runs at a time.
    """

    key: Hashable
    title: str
    make: Callable[[Job], Any]
    kept: BoundedCache
    heavy: bool = False

    @property
    def ready(self) -> Any | None:
        """The result, if it was made before."""
        return self.kept.peek(self.key)

    @property
    def known(self) -> bool:
        """Whether it is ready or under way, or ended with an error that no page has shown."""
        return self.ready is not None or jobs.running(self.key) is not None

    def begin(self) -> None:
        """Starts it in the background, unless it is ready or under way."""
        if self.ready is None:
            jobs.start(self.key, self.title, self._work, self.heavy)

    def result(self, meanwhile: Callable[[Job], None] | None = None, patience: float = jobs.PATIENCE) -> Any | None:
        """The result; None, with progress or an error on the page, while there is none.

        meanwhile: draws what `Job.found` holds already, under the progress.
        """
        found = self.ready
        if found is not None:
            jobs.forget(self.key)
            return found
        job = jobs.start(self.key, self.title, self._work, self.heavy)
        try:
            return jobs.result(
                self.key, self.title, self._work, meanwhile and (lambda: meanwhile(job)), patience, self.heavy
            )
        except QuantvizError as problem:
            say.error(problem)
            return None

    def _work(self, job: Job) -> Any:
        return self.kept.get(self.key, lambda: self.make(job))


def steps(job: Job, unit: str) -> Callable[[str, int, int], None]:
    """From quantviz's progress(what, done, total) to the job's, a step for each `what`."""
    current: list = [None, None]

    def progress(what: str, done: int, total: int) -> None:
        if current[0] != what:
            current[:] = what, job.step(what, jobs.unit_of(what, unit))
        current[1](done, total)

    return progress


def collect(job: Job, items: Generator[Any]) -> list[Any]:
    """All items; each is in `job.found` as soon as it arrives. A job that is stopped ends what makes them."""
    with closing(items):
        for item in items:
            job.found.append(item)
    return list(job.found)
