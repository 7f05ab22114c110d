"""Small tensors that are read before anybody asks for weights, such as those that hold the shape of a weight."""

from __future__ import annotations

import numpy as np

from ..sources import Model, TensorInfo
from .decoded import small_tensor

_EACH = 4096  # bytes of one that is read ahead; most have a hundred
_TOGETHER = 64 << 20  # bytes of all that are


class SmallTensors:
    """What one layer needs all layers need: at the first of a kind, all of this kind are read, several at a time.

    Over a network, one after the other would take minutes.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._read: dict[str, np.ndarray] = {}
        self._ahead: set[str] = set()

    def read(self, info: TensorInfo, suffix: str) -> np.ndarray:
        """The tensor whole. suffix: how the names of its kind end. Raises QuantvizError."""
        if suffix not in self._ahead:
            self._ahead.add(suffix)
            self._read_ahead(suffix)
        found = self._read.get(info.name)
        return small_tensor(self._model.reader, info) if found is None else found

    def _read_ahead(self, suffix: str) -> None:
        from ..sources.ranged import in_parallel

        kind = [info for info in self._model.tensors if info.name.endswith(suffix) and 0 < info.nbytes <= _EACH]
        if sum(info.nbytes for info in kind) <= _TOGETHER:
            arrays = in_parallel(lambda info, _: small_tensor(self._model.reader, info), kind)
            self._read.update(zip((info.name for info in kind), arrays, strict=True))
