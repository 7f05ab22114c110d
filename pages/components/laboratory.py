"""The outlier laboratory's calls into quantviz, each made in the background and kept by what it depends on."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.evaluation import default_engine
from quantviz.outliers.attribution import Attribution, attribute
from quantviz.outliers.cures import Treated, treat
from quantviz.outliers.curves import MagnitudeSweep, Point, block_size_sweep, magnitude_sweep

from . import cached, jobs
from .jobs import Job
from .shelf import Shelf
from .state import View

_results: Shelf[Any] = Shelf(256 << 20, lambda found: _nbytes(found))


def _nbytes(found: Any) -> int:
    if not isinstance(found, Attribution):
        return 1 << 14
    blocks = (found.block_squared_error, found.block_abs_error, found.block_largest)
    return (1 << 16) + sum(0 if array is None else array.nbytes for array in blocks)


@dataclass(frozen=True)
class Task:
    """One result: its key, what it is called while it is being made, and how it is made."""

    key: Hashable
    title: str
    make: Callable[[Job], Any]

    def begin(self) -> None:
        """Starts it in the background, unless it is there or under way."""
        if _results.peek(self.key) is None:
            jobs.start(self.key, self.title, self._work)

    def result(self) -> Any | None:
        """What it gives; None, with progress or a sentence on the page, as long as there is nothing."""
        found = _results.peek(self.key)
        if found is not None:
            return found
        try:
            return jobs.result(self.key, self.title, self._work)
        except QuantvizError as problem:
            st.error(str(problem), icon=":material/error:")
            return None

    def _work(self, job: Job) -> Any:
        return _results.get(self.key, lambda: self.make(job))


def attribution(view: View) -> Task:
    at, key = view.at, view.scheme.key

    def make(job: Job) -> Attribution:
        stored, statistics = cached.measured(at, job)
        return attribute(stored, key, statistics, job.step(f"who carries the error of {key}", "weights"))

    return Task(("attribution", at, key), "Attribution", make)


def block_sizes(view: View, bits: int) -> Task:
    at = view.at

    def make(job: Job) -> list[Point]:
        stored, statistics = cached.measured(at, job)
        return block_size_sweep(stored, bits, statistics=statistics, step=_steps(job), device=default_engine())

    return Task(("block sizes", at, bits), "Block sizes", make)


def magnitudes(view: View, bits: int, symmetry: str) -> Task:
    at = view.at

    def make(job: Job) -> MagnitudeSweep:
        stored, _ = cached.measured(at, job)
        return magnitude_sweep(stored, bits, symmetry, step=_steps(job), device=default_engine())

    return Task(("magnitudes", at, bits, symmetry), "Magnitudes", make)


def cures(view: View) -> Task:
    at, key = view.at, view.scheme.key

    def make(job: Job) -> list[Treated]:
        stored, statistics = cached.measured(at, job)
        return treat(stored, key, statistics, _steps(job), device=default_engine())

    return Task(("cures", at, key), "Cures", make)


def _steps(job: Job) -> Callable[[int, int, str], None]:
    progress = job.step("the first scheme", "schemes")

    def step(done: int, total: int, key: str) -> None:
        job.name = key
        progress(done, total)

    return step
