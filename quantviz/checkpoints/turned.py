"""Elements in the order [out, in] of a tensor that its file keeps as [in, out]."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

_KEPT = 2  # matrices that are turned and kept: readers go through a tensor from end to end, a few at a time
_BAND = 256  # columns copied at a time, so that both sides stay in cache


@dataclass(frozen=True)
class Turn:
    """Stored elements [matrices, a, b, tail] that are shown as [matrices, b, a, tail], tail a convolution's kernel."""

    matrices: int
    a: int
    b: int
    tail: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """The stored elements as a matrix: what is read to get at one matrix is a whole number of its rows."""
        return self.matrices * self.a, self.b * self.tail


class TurnedElements:
    """What `StoredTensor.data` may be: sliced like an array with one axis, and read by `numpy.asarray`.

    data: the stored elements, of the same kind. One matrix at a time is read and turned, in its stored dtype; the last
    few are kept. Slices share them, and may be read from several threads.
    """

    ndim = 1

    def __init__(self, data: Any, turn: Turn, kept: _Kept | None = None, start: int = 0, stop: int = -1) -> None:
        self.dtype = data.dtype
        self._data, self._turn = data, turn
        self._kept = kept or _Kept()
        self._start, self._stop = start, turn.stored[0] * turn.stored[1] if stop < 0 else stop

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def size(self) -> int:
        return len(self)

    @property
    def nbytes(self) -> int:
        return len(self) * self.dtype.itemsize

    def __getitem__(self, part: slice) -> TurnedElements:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("Elements are read one after the other.")
        return TurnedElements(
            self._data, self._turn, self._kept, self._start + start, self._start + max(start, stop)
        )  # fmt: skip

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        size = self._turn.a * self._turn.b * self._turn.tail
        parts = []
        for number in range(self._start // size, -(-self._stop // size)):
            begin = number * size
            parts.append(self._matrix(number)[max(self._start - begin, 0) : self._stop - begin])
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0, self.dtype)])
        if copy:
            whole = whole.copy()
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _matrix(self, number: int) -> np.ndarray:
        with self._kept.lock:
            found = self._kept.matrices.get(number)
            if found is None:
                found = self._kept.matrices[number] = self._turn_one(number)
                if len(self._kept.matrices) > _KEPT:
                    self._kept.matrices.popitem(last=False)
            self._kept.matrices.move_to_end(number)
            return found

    def _turn_one(self, number: int) -> np.ndarray:
        t = self._turn
        size = t.a * t.b * t.tail
        x = np.asarray(self._data[number * size : (number + 1) * size]).reshape(t.a, t.b, t.tail)
        out = np.empty((t.b, t.a, t.tail), x.dtype)
        for at in range(0, t.b, _BAND):
            out[at : at + _BAND] = x[:, at : at + _BAND].swapaxes(0, 1)
        out = out.reshape(-1)
        out.flags.writeable = False  # shared by all that read from it
        return out


class _Kept:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.matrices: OrderedDict[int, np.ndarray] = OrderedDict()
