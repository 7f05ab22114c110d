"""torch's arrays: a tensor that stays where it lies, and what was quantized of one, from NumPy to torch and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..tensors import StoredTensor, check_weights
from ..tensors.arrays import is_torch, plain_torch
from .results import Quantized


@dataclass(frozen=True, eq=False)
class TorchTensor(StoredTensor):
    """A tensor that stays on its device: `data` is a flat torch tensor of its own dtype there."""

    data: Any

    @classmethod
    def of(cls, w: Any) -> TorchTensor | None:
        """Of a torch tensor, without a copy where it is contiguous; None for anything else."""
        if not is_torch(w):
            return None
        x, shape = plain_torch(w), tuple(w.shape)
        dtype = str(x.dtype).removeprefix("torch.")
        check_weights(dtype, shape)
        return cls(x.contiguous().reshape(-1), dtype, shape)

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """float32 weights [start, stop), copied to the host: for the few that are shown."""
        return self.data[start:stop].float().cpu().numpy()

    def read_exactly(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        return self.data[start:stop].cpu().numpy() if self.is_wide else self.read(start, stop)


_ARRAYS = ("codes", "scales", "zero_points", "minima", "kept_index", "kept_values", "data", "input_scales")


def in_arrays_of(w: Any, q: Quantized) -> Quantized:
    """The same in arrays like w: torch's, on its device, where w is a torch tensor; else NumPy's."""
    if not is_torch(w):
        return as_numpy(q)
    import torch

    def moved(v: Any) -> Any:
        return (torch.from_numpy(v) if isinstance(v, np.ndarray) else v).to(w.device)

    return replace(q, **{n: moved(v) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def as_numpy(q: Quantized) -> Quantized:
    """The same, with torch arrays turned into NumPy's."""
    return replace(q, **{n: _as_numpy_array(v) for n in _ARRAYS if (v := getattr(q, n)) is not None})


def _as_numpy_array(t: Any) -> np.ndarray:
    return t if isinstance(t, np.ndarray) else t.cpu().numpy()
