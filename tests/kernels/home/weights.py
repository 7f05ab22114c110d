"""The weights that libraries of their own environments quantize, made by NumPy alone."""

from __future__ import annotations

import numpy as np


def weights(rows: int = 24, cols: int = 256) -> np.ndarray:
    """float32 [rows, cols]: long tails, one-sided rows, a row of zeros, one outlier, large and small magnitudes."""
    rng = np.random.default_rng(11)
    x = (rng.standard_t(4, (rows, cols)) * 0.05).astype(np.float32)
    x[1] = np.abs(x[1])
    x[2] = -np.abs(x[2])
    x[3] = 0
    x[4, 7] = 3
    x[5] *= 1e4
    x[6] *= 1e-4
    x[7] += 0.2
    x[8] = np.linspace(-1, 0.9, cols, dtype=np.float32)
    return x


def of_like_size() -> np.ndarray:
    """float32 [22, 256]: the same without the rows of large and of small magnitudes."""
    return np.delete(weights(), (5, 6), axis=0)
