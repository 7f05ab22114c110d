"""Arrays that a file keeps column after column (Fortran's order), read as rows and never turned round whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from .opened import FileArray

_CHEAP = 1 << 14  # bytes: to read that many more takes as long as to ask once more
_PIECE = 1 << 20  # elements held at a time, beside those asked for


class ColumnMajor:
    """The elements of `data`, an array of `shape` in column-major order, on one axis in row-major order.

    Stands where an array of one axis does: slices are of the same kind, and `numpy.asarray` reads.
    """

    def __init__(self, data: FileArray, shape: tuple[int, ...], start: int = 0, stop: int | None = None) -> None:
        self._data, self._shape, self._start = data, shape, start
        self._stop = data.size if stop is None else stop
        self.dtype, self.size = data.dtype, self._stop - start

    def __len__(self) -> int:
        return self.size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __getitem__(self, part: slice) -> ColumnMajor:
        start, stop, _ = slice(part.start, part.stop).indices(self.size)
        return ColumnMajor(self._data, self._shape, self._start + start, self._start + max(start, stop))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        cols = self._shape[-1]
        first, last = self._start // cols, -(-self._stop // cols)
        one_row = last - first == 1
        left, right = (self._start - first * cols, self._stop - first * cols) if one_row else (0, cols)
        table = self._block(first, last, left, right).reshape(-1)
        elements = table if one_row else table[self._start - first * cols : self._stop - first * cols]
        return elements if dtype is None else elements.astype(dtype, copy=False)

    def _block(self, first: int, last: int, left: int, right: int) -> np.ndarray:
        """Rows [first, last), columns [left, right). A column lies in one stretch, its rows in their own order."""
        *leading, _ = self._shape
        height = self._data.size // self._shape[-1]  # rows in all
        rows = np.ravel_multi_index(np.unravel_index(np.arange(first, last), leading), leading, order="F")
        out = np.empty((last - first, right - left), self.dtype.newbyteorder("="))
        if not len(rows) or left == right:
            return out
        if height * self.dtype.itemsize <= _CHEAP:  # whole columns, many at a time
            step = max(1, _PIECE // height)
            for at in range(left, right, step):
                stop = min(at + step, right)
                columns = np.asarray(self._data[at * height : stop * height]).reshape(stop - at, height)
                out[:, at - left : stop - left] = columns[:, rows].T
            return out
        low, high = int(rows.min()), int(rows.max()) + 1
        for at in range(low, high, _PIECE):  # of each column, the stretch that holds these rows
            stop = min(at + _PIECE, high)
            here = np.flatnonzero((rows >= at) & (rows < stop))
            for column in range(left, right):
                stretch = np.asarray(self._data[column * height + at : column * height + stop])
                out[here, column - left] = stretch[rows[here] - at]
        return out
