"""Weights that quantizers get wrong: named float32 arrays of [ROWS, COLS], the same on every run."""

from __future__ import annotations

import numpy as np

ROWS, COLS = 12, 512

_Array = np.ndarray


def _normal() -> _Array:
    return np.random.default_rng(1).standard_normal((ROWS, COLS), dtype=np.float32)


def _outliers() -> _Array:
    x = _normal()
    x[np.random.default_rng(2).random(x.shape) < 0.01] *= np.float32(40)
    return x


def _zero_blocks() -> _Array:
    """Zeros of both signs in whole blocks, next to blocks that hold something."""
    x = _normal()
    x[::2, :256] = 0.0
    x[1::3, 256:] = -0.0
    return x


def _ties() -> _Array:
    """Multiples of a quarter up to ±8 with ±8 or 7 in every block: scales are round, many quotients are halves."""
    x = (np.random.default_rng(3).integers(-32, 33, (ROWS, COLS)) / 4).astype(np.float32)
    x[:, ::16] = 7
    x[1::4, ::16] = -8
    x[2::4] = np.abs(x[2::4])
    x[2::4, ::16] = 7.5  # with 4 bits, asym and offset: a step of exactly one half
    return x


def _wide() -> _Array:
    """Blocks whose magnitudes lie forty orders apart."""
    exponents = np.random.default_rng(4).uniform(-25, 15, (ROWS, COLS // 16)).repeat(16, axis=1)
    return (_normal() * 10.0**exponents).astype(np.float32)


INPUTS: dict[str, _Array] = {
    "normal": _normal(),
    "outliers": _outliers(),
    "zero_blocks": _zero_blocks(),
    "ties": _ties(),
    "wide": _wide(),
    "tiny": _normal() * np.float32(1e-30),
    "large": _normal() * np.float32(1e30),
    "positive": np.abs(_normal()) + np.float32(0.5),
    "negative": -np.abs(_normal()) - np.float32(0.5),
    "constant": np.full((ROWS, COLS), 0.3, np.float32),
}
SUBNORMAL = (_normal() * np.float32(1e-40)).astype(np.float32)
