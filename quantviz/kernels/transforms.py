"""What happens to weights before they are quantized and after: some kept apart, rows rotated."""

from __future__ import annotations

import torch

from ..schemes import Scheme
from .overflow import ROTATING, beyond_float32, is_finite
from .results import Quantized
from .rotation import rotate, unrotate

LARGEST_FP16 = 65504.0


def prepare(x: torch.Tensor, scheme: Scheme) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(what is quantized, where weights are kept apart) of a tensor [rows, cols]."""
    kept = None
    count = scheme.kept(x.numel())
    if count:
        order = x.abs().reshape(-1).sort(descending=True, stable=True).indices  # of equal magnitudes the first
        kept = torch.zeros(x.numel(), dtype=torch.bool, device=x.device)
        kept[order[:count]] = True
        kept = kept.reshape(x.shape)
        x = torch.where(kept, 0, x)
    if scheme.rotate == "hadamard":
        x = rotate(x)
        if not is_finite(x):
            raise beyond_float32("", scheme, ROTATING)
    return x, kept


def restore(y: torch.Tensor, x: torch.Tensor, kept: torch.Tensor | None, scheme: Scheme) -> torch.Tensor:
    """What stands for x [rows, cols], from what was dequantized."""
    y = unrotate(y) if scheme.rotate == "hadamard" else y
    return y if kept is None else torch.where(kept, in_fp16(x).float(), y)


def completed(y: torch.Tensor, q: Quantized) -> torch.Tensor:
    """What q stands for, in its shape, from the weights [rows, cols] that its codes stand for. May write into y."""
    y = (y if q.scheme.rotate == "none" else unrotate(y)).reshape(-1)
    if q.kept_index is not None:
        y[q.kept_index] = q.kept_values.float()
    return y.reshape(q.shape)


def in_fp16(x: torch.Tensor) -> torch.Tensor:
    """Nearest float16 values, saturating."""
    return x.clamp(-LARGEST_FP16, LARGEST_FP16).to(torch.float16)
