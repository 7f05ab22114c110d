"""Makes tests/kernels/data/mlx_VERSION.npz: what MLX makes of weights. pip install mlx mlx-cpu (Linux)

Then, from the root: python -m tests.kernels.home.mlx. Two versions are kept, because they choose the scales of mxfp4
and mxfp8 differently: 0.31.2 and 0.32.4.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np

from tests.kernels.home.weights import weights

FILE = Path(__file__).parents[1] / "data" / f"mlx_{version('mlx')}.npz"

if __name__ == "__main__":
    x = mx.array(weights())
    found = {}
    for bits in (2, 3, 4, 5, 6, 8):
        for group in (32, 64, 128):
            codes, scales, minima = mx.quantize(x, group_size=group, bits=bits)
            name = f"int{bits}-offset-b{group}"
            found[f"{name} scales"], found[f"{name} minima"] = np.array(scales), np.array(minima)
            found[f"{name} values"] = np.array(mx.dequantize(codes, scales, minima, group_size=group, bits=bits))
    for mode in ("mxfp4", "mxfp8", "nvfp4"):
        codes, scales = mx.quantize(x, mode=mode)
        found[f"{mode} scales"] = np.array(scales)
        found[f"{mode} values"] = np.array(mx.dequantize(codes, scales, mode=mode, dtype=mx.float32))
    np.savez_compressed(FILE, **found)
