"""The outlier laboratory's calls into quantviz, each made in the background and kept by what it depends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quantviz.evaluation import default_engine
from quantviz.outliers.attribution import Attribution, attribute
from quantviz.outliers.cures import treat
from quantviz.outliers.curves import block_size_sweep, magnitude_sweep

from ..selection import View
from ..work import cached
from ..work.bounded import BoundedCache
from ..work.jobs import Job
from ..work.tasks import KeptResult

_results: BoundedCache[Any] = BoundedCache(256 << 20, lambda found: _nbytes(found), had_again=True)


def _nbytes(found: Any) -> int:
    if not isinstance(found, Attribution):
        return 1 << 14
    blocks = (found.block_squared_error, found.block_abs_error, found.block_largest)
    return (1 << 16) + sum(0 if array is None else array.nbytes for array in blocks)


def _kept(view: View, of: tuple, title: str, compute: Callable[[Any, Any, Job], Any]) -> KeptResult:
    """compute: from the tensor, its statistics and the job. of: what the result depends on besides the tensor."""
    return KeptResult(
        (title, view.at, *of), title, lambda job: compute(*cached.described(view.at, job), job), _results
    )  # fmt: skip


def attribution(view: View) -> KeptResult:
    """An Attribution."""
    key, values = view.scheme.key, view.importance and view.importance.values

    def compute(stored: Any, statistics: Any, job: Job) -> Attribution:
        progress = job.step(f"who carries the error of {key}", "weights")
        return attribute(stored, key, statistics, progress, importance=values)

    return _kept(view, (key, view.weighing), "Attribution", compute)


def block_sizes(view: View, bits: int) -> KeptResult:
    """A list of Point."""
    return _kept(
        view, (bits,), "Block sizes", lambda stored, statistics, job: block_size_sweep(
            stored, bits, statistics=statistics, step=_steps(job), device=default_engine()
        ),
    )  # fmt: skip


def magnitudes(view: View, bits: int, symmetry: str) -> KeptResult:
    """A MagnitudeSweep."""
    return _kept(
        view, (bits, symmetry), "Magnitudes", lambda stored, _, job: magnitude_sweep(
            stored, bits, symmetry, step=_steps(job), device=default_engine()
        ),
    )  # fmt: skip


def cures(view: View) -> KeptResult:
    """A list of Treated."""
    key, values = view.scheme.key, view.importance and view.importance.values
    return _kept(
        view, (key, view.weighing), "Cures", lambda stored, statistics, job: treat(
            stored, key, statistics, _steps(job), importance=values, device=default_engine()
        ),
    )  # fmt: skip


def _steps(job: Job) -> Callable[[int, int, str], None]:
    progress = job.step("the first scheme", "schemes")

    def step(done: int, total: int, key: str) -> None:
        job.name = key
        progress(done, total)

    return step
