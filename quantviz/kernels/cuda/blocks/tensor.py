"""GGUF's block types as schemes of this engine: the simple ones written on the device, all of them read there.

The searches of the others are the engine cpu's: their bytes are made by it, and results say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad

from ....block_types import BlockType
from ....schemes import Scheme
from ...bins import Bins
from ...cpu.blocks.tensor import notices
from ...reference import blocks as reference
from ...results import Pass, Quantized
from .run import WRITTEN, dequantize_rows, pieces, quantize_rows


def is_written(scheme: Scheme, weighted: bool) -> bool:
    """Whether this engine makes the bytes: not with importance, which takes a search."""
    return scheme.format in WRITTEN and not (weighted and scheme.fmt.uses_importance)


def quantize(x: torch.Tensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Quantizes finite weights, a tensor of any shape on the device; see `Quantized`, whose arrays stay there."""
    if not is_written(scheme, importance is not None):
        return reference.quantize(x.float(), scheme, importance)
    kind, rows = scheme.fmt, x.reshape(-1, x.shape[-1])
    cols = rows.shape[1]
    padded = pad(rows, (0, kind.padded(cols) - cols))
    data = quantize_rows(kind.name, padded)
    codes, scales, minima = _taken_apart(kind, data.reshape(-1, kind.nbytes))
    used = padded.reshape(-1, kind.block).any(dim=1)
    gone = used & ~scales.any(dim=1)
    return Quantized(
        scheme, tuple(x.shape), codes.reshape(padded.shape)[:, :cols].reshape(x.shape), scales.reshape(len(rows), -1),
        minima=None if minima is None else minima.reshape(len(rows), -1),
        notices=notices(scheme, int(gone.sum())), data=data,
    )  # fmt: skip


def _taken_apart(kind: BlockType, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """(codes [blocks, block], scales and minima [blocks, groups]) of uint8 [blocks, bytes], all on the device."""
    dtype = torch.int8 if kind.first_code < 0 else torch.uint8
    codes, scales, minima = [], [], []
    for part in pieces(kind, len(data)):
        shared = kind.parameters(data[part])
        codes.append(kind.codes(data[part]).to(dtype))
        scales.append(shared.scales)
        minima.append(shared.minima)
    return torch.cat(codes), torch.cat(scales), None if minima[0] is None else torch.cat(minima)


def dequantize(q: Quantized) -> torch.Tensor:
    """float32 weights, in the shape and on the device of the codes."""
    cols = q.shape[-1]
    values = dequantize_rows(q.scheme.format, q.data.reshape(q.codes.numel() // cols, -1), q.scheme.fmt.padded(cols))
    return values[:, :cols].reshape(q.shape)


def measure(x: torch.Tensor, scheme: Scheme, bins: tuple[Bins, Bins] | None, importance: np.ndarray | None) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a tensor [rows, cols] on the device."""
    q = quantize(x, scheme, importance)
    return reference.measured(x.float(), q, dequantize(q), bins, importance)
