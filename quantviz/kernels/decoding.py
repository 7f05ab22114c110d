"""Reading stored blocks: what sources are given to decode the block types they come upon."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..block_types import BLOCK_TYPES
from ..tensors import Decode


def decoder(name: str) -> Decode | None:
    """A function uint8 [blocks, bytes] -> float32 [blocks, weights], values as ggml reads them; None for other types.

    It runs on the caller's thread alone, so that the threads of a pool may call it, each for its own piece.

    >>> decoder("q8_0")(np.array([[0, 0x3C] + [2] * 32], np.uint8))[0, :3]
    array([2., 2., 2.], dtype=float32)
    """
    return partial(_decode, name) if name in BLOCK_TYPES else None


def _decode(name: str, blocks: np.ndarray) -> np.ndarray:
    from .cpu.blocks.run import kernels_of

    kind = BLOCK_TYPES[name]
    out = np.empty((len(blocks), kind.block), np.float32)
    kernels_of(kind).dequantize(np.ascontiguousarray(blocks), out)
    return out
