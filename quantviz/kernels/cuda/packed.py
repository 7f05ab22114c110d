"""GGUF's block types as schemes of this engine: the simple ones written on the device, all of them read there.

The searches of the others are the engine cpu's: their bytes are made by it, and results say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad

from ...schemes import Scheme
from ..common import Bins, Pass, Quantized
from ..cpu.blocks_tensor import notices
from ..reference import blocks as reference
from .blocks import WRITTEN, dequantize_rows, quantize_rows


def is_written(scheme: Scheme, weighted: bool) -> bool:
    """Whether a kernel of this engine makes the bytes: not with importance, which takes a search."""
    return scheme.format in WRITTEN and not (weighted and scheme.fmt.uses_importance)


def quantize(x: torch.Tensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Quantizes finite weights, a tensor of any shape on the device; see `Quantized`, whose arrays stay there."""
    if not is_written(scheme, importance is not None):
        return reference.quantize(x.float(), scheme, importance)
    kind, rows = scheme.fmt, x.reshape(-1, x.shape[-1])
    length, cols = kind.padded(rows.shape[1]), rows.shape[1]
    data = quantize_rows(kind.name, pad(rows, (0, length - cols)))
    packed = data.reshape(-1, kind.nbytes).cpu().numpy()
    with np.errstate(invalid="ignore"):  # an infinite scale, times 0
        shared = kind.parameters(packed)
    codes = kind.codes(packed).reshape(len(rows), -1)[:, :cols].astype(np.int8 if kind.first_code < 0 else np.uint8)

    def grid(parameter: np.ndarray | None) -> torch.Tensor | None:
        return None if parameter is None else torch.from_numpy(parameter).reshape(len(rows), -1).to(x.device)

    used = pad(rows, (0, length - cols)).reshape(-1, kind.block).any(dim=1)
    gone = used & torch.from_numpy(~shared.scales.any(axis=1)).to(x.device)
    infinite = int((~np.isfinite(shared.scales).all(axis=1)).sum())
    return Quantized(
        scheme, tuple(x.shape), torch.from_numpy(np.ascontiguousarray(codes)).reshape(x.shape).to(x.device),
        grid(shared.scales), minima=grid(shared.minima), notices=notices(scheme, int(gone.sum()), infinite), data=data,
    )  # fmt: skip


def dequantize(q: Quantized) -> torch.Tensor:
    """float32 weights, in the shape and on the device of the codes."""
    cols = q.shape[-1]
    values = dequantize_rows(q.scheme.format, q.data.reshape(q.codes.numel() // cols, -1), q.scheme.fmt.padded(cols))
    return values[:, :cols].reshape(q.shape)


def measure(x: torch.Tensor, scheme: Scheme, bins: tuple[Bins, Bins] | None, importance: np.ndarray | None) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a tensor [rows, cols] on the device."""
    q = quantize(x, scheme, importance)
    return reference.measured(x.float(), q, dequantize(q), bins, importance)
