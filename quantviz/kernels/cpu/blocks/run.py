"""Block types on the CPU: which kernels a type has, and how they are run over pieces of a tensor on all threads.

The kernels are compiled without any licence to reorder or fuse: here every bit counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....block_types import BlockType
from ..bits import MAGNITUDE
from ..compiler import kernel
from ..workers import work

i4 = np.int32

PIECE = 1 << 17  # weights a task, about: small enough for a core's own cache, large enough to outweigh the queue
INFINITY = i4(0x7F800000)


@dataclass(frozen=True)
class BlockKernels:
    """A type's compiled functions; each fills its last argument.

    Without importance a block knows nothing of its row, so blocks are handed over as they lie:
    quantize    x float32 [blocks, block], out uint8 [blocks, bytes]; None for a type that demands importance
    weighted    x float32 [rows, cols], importance float32 [cols], out uint8 [rows, row bytes]; None where ignored
    dequantize  data uint8 [blocks, bytes], out float32 [blocks, block]
    """

    quantize: Callable | None
    weighted: Callable | None
    dequantize: Callable


def kernels_of(kind: BlockType) -> BlockKernels:
    """The type's kernels; a family's module is loaded at first use."""
    if kind.name.startswith("iq"):
        from .iq.table import KERNELS
    else:
        from .table import KERNELS
    return BlockKernels(*KERNELS[kind.name])


@kernel
def is_finite(x):
    """Whether a flat stretch of float32 bit patterns holds neither NaN nor infinity."""
    top = i4(0)
    for j in range(x.shape[0]):
        top = max(top, i4(x[j] & MAGNITUDE))
    return top < INFINITY


def quantize(kind: BlockType, x: np.ndarray, importance: np.ndarray | None, out: np.ndarray) -> bool:
    """Fills out; False as soon as a value is not finite. x float32 [rows, cols], both arrays contiguous."""
    kernels = kernels_of(kind)
    weighted = importance is not None
    if not weighted:
        x, out = x.reshape(-1, kind.block), out.reshape(-1, kind.nbytes)
    finite = True

    def run(tasks) -> None:
        nonlocal finite
        for _, (start, stop) in tasks:
            part = x[start:stop]
            if not is_finite(part.reshape(-1).view(i4)):
                finite = False
                return
            if weighted:
                kernels.weighted(part, importance, out[start:stop])
            else:
                kernels.quantize(part, out[start:stop])

    work(_pieces(x), run)
    return finite


def dequantize(kind: BlockType, data: np.ndarray, out: np.ndarray) -> None:
    """Fills out float32 [rows, cols] from data uint8 [rows, row bytes], both contiguous."""
    kernels = kernels_of(kind)
    data, out = data.reshape(-1, kind.nbytes), out.reshape(-1, kind.block)

    def run(tasks) -> None:
        for _, (start, stop) in tasks:
            kernels.dequantize(data[start:stop], out[start:stop])

    work(_pieces(out), run)


def _pieces(x: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of rows of about PIECE weights each."""
    rows, cols = x.shape
    height = max(1, PIECE // cols)
    return [(start, min(start + height, rows)) for start in range(0, rows, height)]
