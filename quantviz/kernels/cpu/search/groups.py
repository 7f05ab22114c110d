"""The groups that a search looks at, and their extremes.

Every search is a few passes over the groups of one task at once, each pass adding one number a group; so it serves
groups of any shape, from blocks of 16 to the whole tensor, and holds nothing but those numbers.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ....schemes import Scheme
from ....tensors import StoredTensor
from ..compiler import kernel
from ..loops import groups as loops
from ..loops.plan import Piece, Plan, Task
from ..rules.constants import MEAN, Constants
from ..rules.scalings import Parameters, scaling_of
from ..workers import work

f4 = np.float32


class Panel(Protocol):
    """The weights of a task, as they are quantized."""

    def quantized(self, piece: Piece) -> np.ndarray: ...


class Quantizing(Protocol):
    """One tensor under one scheme, as a search needs to know it: passes.job.Job."""

    stored: StoredTensor
    scheme: Scheme
    plan: Plan
    rule: int
    constants: Constants
    importance: np.ndarray | None

    def panel(self, task: Task) -> Panel: ...
    def groups(self, piece: Piece, grids: tuple) -> tuple: ...
    def weights_of(self, piece: Piece) -> Any: ...


class Groups:
    """The groups of one task, or, with parts None, the one group that all tasks share.

    `add` is the pass: it calls a kernel on every piece and gives what it has added up, a number a group.
    """

    def __init__(self, job: Quantizing, parts: list[tuple[Task, Panel]] | None, one: bool = False) -> None:
        self.job, self.parts, self.one = job, parts, one or parts is None
        self.shape = (1, 1) if self.one else (parts[0][0].grid_rows, parts[0][0].grid_cols)

    def each(self, visit) -> None:
        """visit(task number, piece, what is quantized [rows, cols], groups of the piece in a grid -> part of it)"""
        job = self.job

        def run(tasks) -> None:
            for number, task in tasks:
                panel = job.panel(task)
                for piece in task.pieces:
                    visit(number, piece, panel.quantized(piece))

        if self.one:
            work(job.plan.tasks, run)
        else:
            for number, (task, panel) in enumerate(self.parts):
                for piece in task.pieces:
                    visit(number, piece, panel.quantized(piece))

    def add(self, dtype: type, call) -> np.ndarray:
        """Σ over pieces of what call(x, piece, of, into) adds to `into`; `of(grid)` is the piece's part of a grid."""
        tasks = len(self.job.plan.tasks) if self.one else 1
        totals = np.zeros((tasks, *self.shape), dtype)

        def visit(number, piece, x) -> None:
            def of(grid: np.ndarray) -> np.ndarray:
                return grid if self.one else self.job.groups(piece, (grid,))[0]

            call(x, piece, of, of(totals[number]))

        self.each(visit)
        return totals.sum(axis=0)

    @property
    def whole(self) -> bool:
        """Whether every group lies in one row of one piece."""
        return not self.one and not any(task.joint for task, _ in self.parts)

    @property
    def width(self) -> int:
        return self.job.stored.size if self.one else self.job.plan.width

    @property
    def height(self) -> int:
        return max(self.job.stored.rows, 1) if self.one else self.job.plan.height

    def sizes(self) -> np.ndarray:
        """Weights in each group."""
        return self.add(np.int64, lambda x, piece, of, into: _count_weights(x, self.width, self.height, into))

    def extremes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """low, high and mean magnitude of each group, float32."""
        tasks = len(self.job.plan.tasks) if self.one else 1
        low = np.full((tasks, *self.shape), np.inf, f4)
        high = np.full((tasks, *self.shape), -np.inf, f4)
        total = np.zeros((tasks, *self.shape))
        extremes = loops.extremes_kernel(self.job.rule)

        def visit(number, piece, x) -> None:
            grids = low[number], high[number], total[number]
            into = grids if self.one else self.job.groups(piece, grids)
            extremes(x, self.width, self.height, *into)

        self.each(visit)
        mean = total.sum(axis=0)
        if scaling_of(self.job.rule) == MEAN:
            mean = mean / self.sizes()
        return low.min(axis=0), high.max(axis=0), mean.astype(f4)


def make_parameters(job: Quantizing, low, high, mean, notes) -> Parameters:
    """Of each group, from its extremes; float32 [grid] all."""
    found = Parameters(*(np.empty(low.shape, f4) for _ in range(3)))
    extents = loops.Extents(*(np.ascontiguousarray(a, f4) for a in (low, high, mean)))
    loops.parameters_kernel(job.rule)(extents, job.constants, found, notes)
    return found


@kernel
def _count_weights(x, width, height, into):
    rows, cols = x.shape
    for i in range(rows):
        for g in range(into.shape[1]):
            into[i // height, g] += min(width, cols - g * width)
