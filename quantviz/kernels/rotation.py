"""The Hadamard rotation of rows in plain torch, on any torch device; `quantviz.schemes.hadamard` defines it.

Its operations and their order are those of `cpu.rotation`, so both give the same bits.
"""

from __future__ import annotations

import torch

from ..schemes.hadamard import matrix, order, scale, signs


def rotate(x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """H · (signs · x) / √n of every row of float32 [rows, n]; a new tensor.

    Raises QuantvizError where there is no rotation of n weights.
    """
    n = x.shape[-1]
    return _transform(x * _on(x, signs(n, seed)), matrix(order(n)[0])) * float(scale(n))


def unrotate(y: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """signs · (Hᵀ · y) / √n of every row of float32 [rows, n]: the way back, but for float32 rounding."""
    n = y.shape[-1]
    return _transform(y, matrix(order(n)[0]).T) * float(scale(n)) * _on(y, signs(n, seed))


def _on(x: torch.Tensor, array) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32, device=x.device)


def _transform(x: torch.Tensor, hm) -> torch.Tensor:
    """(hm ⊗ Sylvester's matrix) times every row."""
    rows, n = x.shape
    m = len(hm)
    stride = 1
    while stride < n // m:
        pairs = x.view(rows, -1, 2, stride)
        a, b = pairs[:, :, 0], pairs[:, :, 1]
        x = torch.stack([a + b, a - b], dim=2).view(rows, n)
        stride *= 2
    return x if m == 1 else _mix(x.view(rows, m, -1), _on(x, hm)).reshape(rows, n)


def _mix(x: torch.Tensor, hm: torch.Tensor) -> torch.Tensor:
    """hm [m, m] times x [rows, m, columns], four terms at a time."""
    total = None
    for j in range(0, len(hm), 4):
        a, b, c, d = (hm[:, j + t, None] * x[:, j + t, None, :] for t in range(4))
        four = (a + b) + (c + d)
        total = four if total is None else total + four
    return total
