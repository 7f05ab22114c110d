"""What all pieces of one pass share: the tensor, how it is cut, and the parameters of its groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....schemes import Scheme
from ....schemes.nested import nest
from ....tensors import StoredTensor
from ...results import Extremes
from ..loops import groups as loops
from ..loops import sums
from ..loops.plan import Piece, Plan, Task, plan
from ..rules.constants import MEAN, constants_of, rule_of
from ..rules.scalings import Parameters, scaling_of
from ..search import choose as search
from ..search.groups import Groups
from ..workers import work
from .describe import basics
from .transforms import Transform


@dataclass
class Panel:
    """The weights of a task: x as they are, z as they are quantized; the same arrays without a transformation.

    kept: bool, of x, where weights are stored apart; None where none are.
    """

    stored: StoredTensor
    start: int = 0
    x: np.ndarray | None = None
    z: np.ndarray | None = None
    kept: np.ndarray | None = None

    def original(self, piece: Piece) -> np.ndarray:
        return self._of(self.x, piece)

    def quantized(self, piece: Piece) -> np.ndarray:
        """What is quantized, float32 [rows, cols] of the piece."""
        return self._of(self.z, piece)

    def _of(self, whole: np.ndarray | None, piece: Piece) -> np.ndarray:
        if whole is None:
            flat = self.stored.read(piece.start, piece.stop)
        else:
            flat = whole.reshape(-1)[piece.start - self.start : piece.stop - self.start]
        return flat.reshape(piece.rows, piece.cols)


class Job:
    """One tensor under one scheme.

    whole: extremes of the tensor that `stored` is a part of, or of itself if they are known.
    importance: float32 [cols], which weighs the search for a range; None for none.
    """

    def __init__(
        self,
        stored: StoredTensor,
        scheme: Scheme,
        whole: Extremes | None = None,
        importance: np.ndarray | None = None,
        by_row: bool = False,
    ) -> None:
        self.stored, self.scheme = stored, scheme
        self.rule = rule_of(scheme)
        self.importance = importance
        self.plan: Plan = plan(scheme, stored.rows, stored.cols, by_row or scheme.transforms or importance is not None)
        self.known = self.plan.width if self.plan.width in loops.KNOWN_WIDTHS else 0
        self.notes = np.zeros(sums.SUMS)  # of parameters chosen here and not in a pass: vanished, saturated
        self.transform = Transform(stored, scheme, self.plan) if scheme.transforms else None
        if scheme.needs_tensor_maximum and (whole is None or self.transform):
            whole = self._extremes()
        self.constants = constants_of(scheme, whole)
        self.shared = self._shared(whole) if self.plan.shared else None
        self.nested = self._nest() if scheme.double else None

    def panel(self, task: Task) -> Panel:
        if self.transform is None:
            return Panel(self.stored)
        x = np.require(self.stored.read(task.start, task.stop), requirements="W").reshape(-1, self.stored.cols)
        z, kept = self.transform.apply(x, task)
        return Panel(self.stored, task.start, x, z, kept)

    def groups(self, piece: Piece, grids: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The part of a task's grids that holds a piece's groups."""
        return self.plan.part(piece, grids)

    def own(self, piece: Piece, parameters: Parameters) -> Parameters:
        """Those of a piece's groups, of a task's."""
        return Parameters(*self.groups(piece, parameters))

    def weights_of(self, piece: Piece) -> np.ndarray:
        """The importance of a piece's columns; empty without importance."""
        if self.importance is None:
            return np.zeros(0, np.float32)
        first = piece.start % self.stored.cols
        return self.importance[first : first + piece.cols]

    def parameters(self, task: Task, panel: Panel, notes: np.ndarray) -> tuple[Parameters, bool]:
        """The parameters of a task's groups, and whether they hold their values yet."""
        if self.shared is not None:
            return self.shared, True
        shape = task.grid_rows, task.grid_cols
        if self.nested is not None:
            exact, restored = (a[task.groups].reshape(shape) for a in (self._absmax, self.nested.restored))
            factor, _, extra = search.make_parameters(self, -exact, exact, exact, np.zeros(sums.SUMS))
            return Parameters(factor, restored, extra), True
        if not task.joint and not self._searches:
            return Parameters(*(np.empty(shape, np.float32) for _ in range(3))), False
        return self._chosen([(task, panel)], notes), True

    def settled(self, task: Task, panel: Panel) -> Parameters:
        """The parameters of a task's groups, whatever it takes."""
        found, given = self.parameters(task, panel, np.zeros(sums.SUMS))
        for piece in () if given else task.pieces:  # quantized for the parameters alone
            y = np.empty((piece.rows, piece.cols), np.float32)
            loops.quantize_kernel(self.rule, False)(
                panel.quantized(piece), self.plan.width, self.plan.height, False, self.constants,
                self.own(piece, found), y, np.zeros(sums.SUMS),
            )  # fmt: skip
        return found

    @cached_property
    def _searches(self) -> bool:
        """Whether parameters need more than a group's extremes."""
        return self.scheme.clip != "absmax" or self.scheme.solver is not None

    def _shared(self, whole: Extremes | None) -> Parameters:
        """The parameters of a tensor that is one group."""
        if self._searches:
            return self._chosen(None, self.notes)
        low, high, mean = (np.zeros((1, 1), np.float32) for _ in range(3))
        if whole is not None:
            low[:], high[:], mean[:] = whole.min, whole.max, whole.mean_abs
        return search.make_parameters(self, low, high, mean, self.notes)

    def _chosen(self, parts: list[tuple[Task, Panel]] | None, notes: np.ndarray) -> Parameters:
        """Parameters of the groups of one task, or of the one group of all (None)."""
        return search.choose(Groups(self, parts), notes)

    def _extremes(self) -> Extremes:
        """Of what is quantized, over the whole tensor."""
        if self.transform is None:
            return basics(self.stored, with_mean=scaling_of(self.rule) == MEAN).extremes
        low, high, mean = Groups(self, None, one=True).extremes()
        return Extremes(float(low[0, 0]), float(high[0, 0]), float(mean[0, 0]))

    def _nest(self):
        """The scales of all groups, quantized themselves. Codes stand on the exact ones, values on the restored."""
        grid = self.scheme.granularity.grid(self.stored.rows, self.stored.cols)
        self._absmax, self.nested = np.empty(grid[0] * grid[1], np.float32), None

        def run(tasks) -> None:
            for _, task in tasks:
                _, scales, _ = self._chosen([(task, self.panel(task))], np.zeros(sums.SUMS))
                self._absmax[task.groups] = scales.reshape(-1)

        work(self.plan.tasks, run)
        return nest(self._absmax)
