"""The outlier laboratory's calls into quantviz, each made in the background and kept by what it depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quantviz.evaluation import default_engine
from quantviz.outliers.attribution import Attribution, attribute
from quantviz.outliers.cures import Treated, treat
from quantviz.outliers.curves import MagnitudeSweep, Point, block_size_sweep, magnitude_sweep

from ..selection import View
from ..work import cached
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult

_results: BoundedCache[Any] = BoundedCache(256 << 20, lambda found: _nbytes(found))


def _nbytes(found: Any) -> int:
    if not isinstance(found, Attribution):
        return 1 << 14
    blocks = (found.block_squared_error, found.block_abs_error, found.block_largest)
    return (1 << 16) + sum(0 if array is None else array.nbytes for array in blocks)


def attribution(view: View) -> KeptResult:
    at, key = view.at, view.scheme.key

    def make(job: Job) -> Attribution:
        stored, statistics = cached.described(at, job)
        progress = job.step(f"who carries the error of {key}", "weights")
        return attribute(stored, key, statistics, progress, importance=view.importance and view.importance.values)

    return KeptResult(("attribution", at, key, view.weighing), "Attribution", make, _results)


def block_sizes(view: View, bits: int) -> KeptResult:
    at = view.at

    def make(job: Job) -> list[Point]:
        stored, statistics = cached.described(at, job)
        return block_size_sweep(stored, bits, statistics=statistics, step=_steps(job), device=default_engine())

    return KeptResult(("block sizes", at, bits), "Block sizes", make, _results)


def magnitudes(view: View, bits: int, symmetry: str) -> KeptResult:
    at = view.at

    def make(job: Job) -> MagnitudeSweep:
        stored, _ = cached.described(at, job)
        return magnitude_sweep(stored, bits, symmetry, step=_steps(job), device=default_engine())

    return KeptResult(("magnitudes", at, bits, symmetry), "Magnitudes", make, _results)


def cures(view: View) -> KeptResult:
    at, key = view.at, view.scheme.key

    def make(job: Job) -> list[Treated]:
        stored, statistics = cached.described(at, job)
        values = view.importance and view.importance.values
        return treat(stored, key, statistics, _steps(job), importance=values, device=default_engine())

    return KeptResult(("cures", at, key, view.weighing), "Cures", make, _results)


def _steps(job: Job) -> Callable[[int, int, str], None]:
    progress = job.step("the first scheme", "schemes")

    def step(done: int, total: int, key: str) -> None:
        job.name = key
        progress(done, total)

    return step
