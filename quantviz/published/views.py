"""A stored tensor looked at in another way: rows in another order, rescaled, shifted, transposed. Nothing is copied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..tensors import StoredTensor

_DENSE = 4  # rows are read in one go where no more than so many times the rows that are wanted lie between them


@dataclass(frozen=True, eq=False)
class View(StoredTensor):
    """What lies in `whole`, shown in another way. Its shape is that of what is shown.

    line: how many elements are moved together: a row, or one where a tensor of one axis is rearranged.
    begin: the line of the whole view with which this one begins.
    """

    whole: StoredTensor | None = None
    line: int = 0
    begin: int = 0

    @property
    def stored_as(self) -> str:
        return self.whole.stored_as

    @property
    def bits_per_weight(self) -> float:
        return self.whole.bits_per_weight

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        start, stop, _ = slice(start, stop).indices(self.size)
        if stop <= start:
            return np.empty(0, np.float32)
        line = self.line or self.cols
        first, last = start // line, -(-stop // line)
        lines = self._lines(self.begin + first, self.begin + last)
        return np.ascontiguousarray(lines, np.float32).reshape(-1)[start - first * line : stop - first * line]

    def row_range(self, start: int, stop: int) -> StoredTensor:
        lines = self.cols // (self.line or self.cols)
        return replace(self, begin=self.begin + start * lines, shape=(stop - start, self.cols), input_axes=0)

    def _lines(self, first: int, last: int) -> np.ndarray:
        """float32 [last - first, line]"""
        raise NotImplementedError


def view(kind: type[View], whole: StoredTensor, shape: tuple[int, ...] | None = None, **parts) -> View:
    """A view of `whole`, of its own shape where none is given."""
    shown = whole.shape if shape is None else shape
    axes = whole.input_axes if len(shown) == len(whole.shape) else 0
    parts.setdefault("notices", whole.remarks)
    return kind(whole.data, "float32", shown, whole.name, whole=whole, input_axes=axes, **parts)


@dataclass(frozen=True, eq=False)
class Rearranged(View):
    """Line i is line order[i] of `whole`."""

    order: np.ndarray | None = None

    def _lines(self, first: int, last: int) -> np.ndarray:
        line = self.line or self.cols
        order = self.order[first:last]
        low, high = int(order.min()), int(order.max()) + 1
        if high - low <= _DENSE * len(order):
            return self.whole.read(low * line, high * line).reshape(-1, line)[order - low]
        return np.stack([self.whole.read(i * line, (i + 1) * line) for i in order.tolist()])


@dataclass(frozen=True, eq=False)
class Scaled(View):
    """Every column times its number, every row times its own; None where they stay. Products in float32."""

    columns: np.ndarray | None = None
    by_row: np.ndarray | None = None

    def _lines(self, first: int, last: int) -> np.ndarray:
        cols = self.cols
        values = self.whole.read(first * cols, last * cols).reshape(-1, cols)
        values = values if self.columns is None else values * self.columns.astype(np.float32)
        return values if self.by_row is None else values * self.by_row[first:last, None].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Mapped(View):
    """Every number as `function` gives it."""

    function: Callable[[np.ndarray], np.ndarray] | None = None

    def _lines(self, first: int, last: int) -> np.ndarray:
        line = self.line or self.cols
        with np.errstate(all="ignore"):  # what is not finite afterwards is refused where it is compared
            return self.function(self.whole.read(first * line, last * line).reshape(-1, line))


@dataclass(frozen=True, eq=False)
class Transposed(View):
    """A matrix with its axes exchanged; the whole of it is held while it is read."""

    def _lines(self, first: int, last: int) -> np.ndarray:
        return self._turned[first:last]

    @cached_property
    def _turned(self) -> np.ndarray:
        return np.ascontiguousarray(self.whole.read().reshape(self.whole.rows, self.whole.cols).T)
