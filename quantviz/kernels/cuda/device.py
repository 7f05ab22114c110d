"""Tensors on the device of the engine cuda, and what can go wrong on it, in sentences."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ...errors import QuantvizError
from ...tensors import StoredTensor
from ...tensors.arrays import is_torch
from ...text.wording import size
from .. import engines
from ..arrays import TorchTensor

NATIVE = (torch.float32, torch.float16, torch.bfloat16)  # what kernels read as it is; the rest is widened to float32
STAGING = 1 << 24  # bytes of host memory that an upload passes through


@contextlib.contextmanager
def using(device: torch.device, nbytes: int) -> Iterator[None]:
    """Makes `device` the current one, and says in a sentence what keeps a kernel from running on it.

    nbytes: of the tensor at hand.
    """
    try:
        with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
            yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        free, whole = torch.cuda.mem_get_info(device)
        raise QuantvizError(
            f"The GPU ran out of memory on a tensor of {size(nbytes)}: {size(free)} of its {size(whole)} are free; "
            "choose fewer rows, or the engine cpu."
        ) from None
    except subprocess.CalledProcessError as error:
        raise QuantvizError(
            f"Triton could not compile its launcher ({error}): it needs a C compiler and Python's headers; "
            "install them, or choose the engine cpu."
        ) from None


# -- tensors on the device ---------------------------------------------------------------------


def as_device_tensor(w: Any) -> StoredTensor | None:
    """A torch tensor that is on a device already, without a copy; None for anything else."""
    return TorchTensor.of(w) if is_torch(w) and w.device.type == "cuda" else None


_last: tuple[weakref.ref, torch.Tensor] | None = None
_lock = threading.Lock()


def on_device(stored: StoredTensor) -> torch.Tensor:
    """The tensor on the device as [rows, cols], float32, float16 or bfloat16.

    The last one uploaded stays there for as long as `stored` lives, so that scheme after scheme finds it.
    """
    global _last
    if isinstance(stored, TorchTensor):
        return _readable(stored.data).reshape(stored.rows, stored.cols)
    device = engines.cuda_device()
    with _lock:
        if _last is not None and _last[0]() is stored:
            return _last[1]
        _last = None
    with using(device, stored.nbytes):
        x = _readable(_upload(stored, device)).reshape(stored.rows, stored.cols)
    with _lock:
        _last = (weakref.ref(stored, _forget), x)
    return x


def _forget(gone: weakref.ref) -> None:
    global _last
    if _last is not None and _last[0] is gone:
        _last = None


def _upload(stored: StoredTensor, device: torch.device) -> torch.Tensor:
    """Flat, in its own dtype; through a small buffer that the device can copy from by itself."""
    bits = {"bfloat16": torch.int16, "float8_e4m3fn": torch.uint8, "float8_e5m2": torch.uint8}
    dtype = getattr(torch, stored.dtype)
    out = torch.empty(stored.size, dtype=bits.get(stored.dtype, dtype), device=device)
    step = min(STAGING // out.element_size(), stored.size)
    buffer = torch.empty(step, dtype=out.dtype, pin_memory=device.type == "cuda")
    for start in range(0, stored.size, step):
        part = np.asarray(stored.data[start : start + step])
        buffer.numpy()[: len(part)] = part.view(buffer.numpy().dtype)
        out[start : start + len(part)].copy_(buffer[: len(part)])
    return out.view(dtype)


def _readable(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype in NATIVE else x.float()
