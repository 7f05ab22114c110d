"""The types on a grid from bytes to weights: points, signs and scales brought together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .....block_types.iq1 import read_iq1_m, read_iq1_s
from .....block_types.iq2 import read_iq2_s, read_iq2_xs, read_iq2_xxs
from .....block_types.iq3 import read_iq3_s, read_iq3_xxs
from .....block_types.iq_grids import DELTA, Gridded, grid
from ...bits import place
from ...compiler import kernel

f4 = np.float32

READERS: dict[str, Callable[[np.ndarray], Gridded]] = {
    "iq1_m": read_iq1_m,
    "iq1_s": read_iq1_s,
    "iq2_s": read_iq2_s,
    "iq2_xs": read_iq2_xs,
    "iq2_xxs": read_iq2_xxs,
    "iq3_s": read_iq3_s,
    "iq3_xxs": read_iq3_xxs,
}


def dequantize(name: str, data: np.ndarray, y: np.ndarray) -> None:
    """data uint8 [blocks, bytes] -> y float32 [blocks, 256]."""
    with np.errstate(invalid="ignore"):  # an infinite scale makes NaN, as it does in ggml
        parts = READERS[name](data)
    spread = _shifted if parts.grid == "iq1_s" else _signed
    spread(grid(parts.grid).values, parts.index, parts.scales, parts.minus, y)


@kernel
def _signed(values, index, scales, minus, y):
    """scale · value · ±1; minus uint8 [blocks, 32]: a bit a weight."""
    group, part = values.shape[1], 256 // scales.shape[1]
    for b in range(y.shape[0]):
        for g in range(256 // group):
            point, first = values[place(index[b, g], values.shape[0])], g * group
            scale, signs = scales[b, first // part], minus[b, first // 8] >> (first % 8)
            for i in range(group):
                v = f4(scale * point[i])
                y[b, first + i] = -v if signs >> i & 1 else v


@kernel
def _shifted(values, index, scales, minus, y):
    """scale · (value ± DELTA); minus uint8 [blocks, 32]: a byte a group of eight."""
    part = 256 // scales.shape[1]
    for b in range(y.shape[0]):
        for g in range(32):
            point, scale = values[place(index[b, g], values.shape[0])], scales[b, 8 * g // part]
            shift = -DELTA if minus[b, g] else DELTA
            for i in range(8):
                y[b, 8 * g + i] = f4(scale * f4(point[i] + shift))
