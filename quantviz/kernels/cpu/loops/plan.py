"""How a tensor is cut: into tasks for the threads, and tasks into pieces that a kernel takes in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....schemes import TENSOR, Scheme

# Weights a kernel call takes at most: so many that Python's part of it, which other threads wait for, is small.
PIECE = 1 << 19
STRETCH = 8192  # weights a kernel handles at a time: 32 KB of x and 32 KB of its dequantized values


@dataclass(frozen=True)
class Piece:
    """Flat weights [start, stop) seen as [rows, cols]; `row` is its first row within the task,
    group_col its first group within the row."""

    start: int
    rows: int
    cols: int
    row: int = 0
    group_col: int = 0

    @property
    def stop(self) -> int:
        return self.start + self.rows * self.cols


@dataclass(frozen=True)
class Task:
    """Pieces whose groups no other task touches. first_group: of grid_rows × grid_cols, flat in the whole grid.

    joint: a group may span several pieces or stretches, so that all must be seen before the first is quantized.
    """

    pieces: tuple[Piece, ...]
    first_group: int
    grid_rows: int
    grid_cols: int
    joint: bool = False

    @property
    def start(self) -> int:
        return self.pieces[0].start

    @property
    def stop(self) -> int:
        return self.pieces[-1].stop

    @property
    def groups(self) -> slice:
        """Its groups, flat in the whole grid."""
        return slice(self.first_group, self.first_group + self.grid_rows * self.grid_cols)


@dataclass(frozen=True)
class Plan:
    """width, height: of a group, in weights, as the kernels are to see it.  shared: one group serves all tasks."""

    tasks: tuple[Task, ...]
    width: int
    height: int
    shared: bool = False

    def part(self, piece: Piece, grids: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The part of a task's grids that holds a piece's groups; all of them where one group serves all."""
        if self.shared:
            return tuple(grids)
        row = piece.row // self.height
        rows = slice(row, row + -(-piece.rows // self.height))
        cols = slice(piece.group_col, piece.group_col + -(-piece.cols // self.width))
        return tuple(grid[rows, cols] for grid in grids)


def plan(scheme: Scheme, rows: int, cols: int, by_row: bool = False) -> Plan:
    """Cuts [rows, cols] for a scheme.

    Wherever groups lie end to end in memory the rows are forgotten and long runs of whole groups are taken;
    `by_row` makes tasks of whole rows, for what needs to know the column or to see a row at a time. Kernels ask
    of every piece that its rows hold whole groups of at most STRETCH weights, or lie inside one group.
    """
    g = scheme.granularity
    if g is None or g == TENSOR:
        if by_row:
            band = max(1, PIECE // cols)
            cuts = [tuple(_cut(r, min(r + band, rows), cols, cols)) for r in range(0, rows, band)]
        else:
            cuts = [(Piece(s, 1, min(PIECE, rows * cols - s)),) for s in range(0, rows * cols, PIECE)]
        return Plan(tuple(Task(pieces, 0, 1, 1) for pieces in cuts), max(PIECE, cols), max(rows, 1), shared=True)
    height, width = g.within(rows, cols)
    if height == 1 and width <= STRETCH and cols % width == 0 and not by_row:
        run, size = PIECE // width * width, rows * cols
        starts = range(0, size, run)
        tasks = [Task((Piece(s, 1, min(run, size - s)),), s // width, 1, min(run, size - s) // width) for s in starts]
        return Plan(tuple(tasks), width, 1)
    grid_cols = -(-cols // width)
    band = height if height > 1 else max(1, PIECE // cols)
    tasks = []
    for r in range(0, rows, band):
        stop = min(r + band, rows)
        pieces = _cut(r, stop, cols, width)
        grid_rows = -(-(stop - r) // height)
        tasks.append(Task(tuple(pieces), r // height * grid_cols, grid_rows, grid_cols, height > 1 or width > STRETCH))
    return Plan(tuple(tasks), width, height)


def _cut(first: int, stop: int, cols: int, width: int) -> list[Piece]:
    """Rows [first, stop) in pieces: several rows at a time where they are short, else parts of one row."""
    unit = cols
    if STRETCH < width < cols:
        unit = width
    elif cols > PIECE:
        unit = PIECE // width * width if width <= STRETCH else PIECE
    if unit == cols:
        step = max(1, PIECE // cols)
        return [Piece(r * cols, min(step, stop - r), cols, r - first) for r in range(first, stop, step)]
    return [
        Piece(r * cols + c, 1, min(unit, cols - c), r - first, c // width)
        for r in range(first, stop)
        for c in range(0, cols, unit)
    ]
