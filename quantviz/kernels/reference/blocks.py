"""Block types in the readable engine: dequantized by their readable readers, and measured in torch.

ggml's quantizers are long searches of which no readable version is kept: the bytes are made by the `cpu` engine's
kernels, and results say so. The tests hold those bytes to ggml's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ...block_types import unpack
from ...schemes import Scheme
from ..bins import Bins
from ..results import Pass, Quantized
from . import measuring

BORROWED = (
    "The bytes of block types are made by the cpu engine's kernels, as there is no readable quantizer of them; they "
    "are read and measured by this engine."
)


def quantize(x: torch.Tensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Quantizes a float32 tensor of any shape; arrays are torch's, on its own device."""
    from ...tensors import as_stored
    from ..cpu.blocks import tensor as blocks_tensor

    q = blocks_tensor.quantize(as_stored(x.cpu()), scheme, importance)

    def moved(array: np.ndarray | None) -> torch.Tensor | None:
        return None if array is None else torch.from_numpy(array).to(x.device)

    return replace(
        q, codes=moved(q.codes), scales=moved(q.scales), minima=moved(q.minima), data=moved(q.data),
        notices=(*q.notices, BORROWED),
    )  # fmt: skip


def dequantize(q: Quantized) -> torch.Tensor:
    """float32 weights, in the shape and on the device of the codes."""
    cols = q.shape[-1]
    padded = q.scheme.fmt.padded(cols)
    return unpack(q.scheme.format, q.data, padded).values.reshape(-1, padded)[:, :cols].reshape(q.shape)


def measure(x: torch.Tensor, scheme: Scheme, bins: tuple[Bins, Bins] | None, importance: Any = None) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a tensor [rows, cols], float32 or float64."""
    q = quantize(x.float(), scheme, importance)
    return measured(x, q, dequantize(q), bins, importance)


def measured(x: torch.Tensor, q: Quantized, y: torch.Tensor, bins: tuple[Bins, Bins] | None, importance: Any) -> Pass:
    """The same of a tensor whose codes q and dequantized weights y are known, all on one device."""
    from ..overflow import beyond_float32, is_finite

    kind = q.scheme.fmt
    if not is_finite(y):
        raise beyond_float32("", q.scheme)
    by_group = _of_groups((y - x).double() ** 2, kind.group, q.scales.shape[1])
    s = measuring.sums(x, y, importance)
    scales = q.scales.double()
    s.squared_steps = float(torch.where(scales != 0, by_group / scales**2, 0).sum())
    if bins is None:
        return Pass(s, None, q.notices)
    codes = measuring.bincount(q.codes.long() - kind.first_code, 1 << kind.bits)
    by_block = by_group.reshape(x.shape[0], -1, kind.groups).sum(dim=2)
    sizes = torch.from_numpy(q.scheme.granularity.sizes(*x.shape)).to(x.device)
    return Pass(s, measuring.counts(x, y, bins, codes, by_block / sizes, _beyond(x, q)), q.notices)


def _of_groups(v: torch.Tensor, group: int, groups: int) -> torch.Tensor:
    """Sums over the groups of each row, the last filled up with zeros: [rows, cols] -> [rows, groups]."""
    padded = torch.nn.functional.pad(v, (0, groups * group - v.shape[1]))
    return padded.reshape(len(v), groups, group).sum(dim=2)


def _beyond(x: torch.Tensor, q: Quantized) -> torch.Tensor | None:
    """Which weights lie beyond the outermost codes; None for types that have none."""
    kind = q.scheme.fmt
    if not kind.ends:
        return None

    def spread(v: torch.Tensor) -> torch.Tensor:
        return v.repeat_interleave(kind.group, dim=1)[:, : x.shape[1]]

    s, m = q.scales, torch.zeros_like(q.scales) if q.minima is None else q.minima
    ends = torch.stack([s * end + m for end in kind.ends])
    rest = s.abs() * kind.margin
    low, high = ends.amin(dim=0) - rest, ends.amax(dim=0) + rest
    return ((x < spread(low)) | (x > spread(high))) & (spread(s) != 0)
