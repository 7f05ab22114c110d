"""Rows of weights that are hard to pack, and bytes that nobody packed."""

from __future__ import annotations

import numpy as np

from quantviz.block_types import BLOCK_TYPES

from ..inputs import INPUTS, SUBNORMAL


def stored_bytes(name: str) -> np.ndarray:
    """uint8 [64, row bytes] of rows of 512: every pattern of bits may occur, scales that are no number among them."""
    return np.random.default_rng(0).integers(0, 256, (64, BLOCK_TYPES[name].row_bytes(512)), dtype=np.uint8)


def zeros_of_both_signs() -> np.ndarray:
    x = np.zeros((4, 32), np.float32)
    x[0, 3] = x[1, 0] = -0.0
    x[2:] = np.abs(np.random.default_rng(1).standard_normal(32, dtype=np.float32))
    x[2, 5], x[2, 9] = -0.0, 0.0
    x[3, 2], x[3, 9] = 0.0, -0.0
    return x


def two_peaks() -> np.ndarray:
    """Two weights of largest magnitude and of either sign: the first counts."""
    x = np.random.default_rng(2).standard_normal((50, 64), dtype=np.float32)
    x[:, 3], x[:, 7] = -5, 5
    x[::2, 3], x[::2, 7] = 5, -5
    x[1::4, 20] = 5
    return x


def _blocks() -> np.ndarray:
    rng = np.random.default_rng(3)
    parts = [
        *INPUTS.values(),
        SUBNORMAL,
        np.zeros((2, 64), np.float32),
        -np.zeros((2, 64), np.float32),
        zeros_of_both_signs(),
        two_peaks(),
        (rng.choice([-1, 1], (4, 64)) * 3.3e38).astype(np.float32),  # whose range leaves float32
        (rng.integers(-254, 255, (40, 64)) / 16).astype(np.float32),  # with many quotients halfway
    ]
    return np.concatenate([part.reshape(-1, 32) for part in parts])


_HARD = _blocks()  # float32 [blocks, 32]


def hard_rows(name: str) -> np.ndarray:
    """float32 [rows, block]: the hard blocks one after the other, in blocks of this type."""
    block = BLOCK_TYPES[name].block
    return np.resize(_HARD, (-(-_HARD.size // block), block))
