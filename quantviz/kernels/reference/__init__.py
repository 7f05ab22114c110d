"""The readable engine: every rule in plain torch, on any torch device. The other engines are compared with it."""

from __future__ import annotations

from typing import Any

import torch

from ...schemes import Scheme
from ..bins import Bins
from ..overflow import is_finite
from ..results import Counts, Pass, Quantized, scale_notices
from ..tiles import Tiles
from ..transforms import completed, in_fp16, prepare, restore
from . import blocks, measuring
from .rules import Params, code_limits, decode, encode
from .search import choose_params, nested


def quantize(x: torch.Tensor, scheme: Scheme, importance: Any = None) -> Quantized:
    """Quantizes a float32 tensor of any shape, on its own device; see `Quantized`."""
    if scheme.rule == "block type":
        return blocks.quantize(x, scheme, importance)
    whole = x.reshape(-1, x.shape[-1])
    z, kept = prepare(whole, scheme)
    tiles = Tiles.of(z, scheme)
    p = choose_params(tiles, scheme, importance)
    scales_stored, p = nested(p, scheme)
    codes = tiles.flat(encode(tiles.x, p, scheme)).reshape(x.shape).to(getattr(torch, scheme.code_dtype))
    scales = p.stored if p.block_scale is None else p.block_scale

    def grid(parameter: torch.Tensor | None) -> torch.Tensor | None:
        return None if parameter is None else parameter[:, 0, :, 0].contiguous()

    zeros = grid(p.zero)
    return Quantized(
        scheme, tuple(x.shape), codes, grid(scales), None if zeros is None else zeros.to(codes.dtype), grid(p.minimum),
        p.tensor_scale, scale_notices(scheme, p.vanished, p.saturated),
        None if kept is None else kept.reshape(-1).nonzero()[:, 0], None if kept is None else in_fp16(whole[kept]),
        scales_stored,
    )  # fmt: skip


def dequantize(q: Quantized) -> torch.Tensor:
    """float32 weights, in the shape and on the device of the codes."""
    if q.scheme.rule == "block type":
        return blocks.dequantize(q)
    codes = q.codes.reshape(-1, q.shape[-1])
    tiles = Tiles.of(codes.to(torch.int64), q.scheme)

    def spread(parameter: torch.Tensor | None) -> torch.Tensor | None:
        return None if parameter is None else parameter[:, None, :, None].float()

    stored = spread(q.scales)
    if q.tensor_scale is not None:
        stored = torch.tensor(q.tensor_scale, dtype=torch.float32, device=codes.device) * stored
    p = Params(stored, stored, spread(q.zero_points), spread(q.minima))
    return completed(tiles.flat(decode(tiles.x, p, q.scheme)), q)


def measure(x: torch.Tensor, scheme: Scheme, bins: tuple[Bins, Bins] | None, importance: Any = None) -> Pass:
    """Sums, and with `bins` (values, errors) also counts, of a tensor [rows, cols] under a scheme.

    x: float32 or float64, of which the float32 rounding is quantized and the error is that against x itself.
    """
    if scheme.rule == "block type":
        return blocks.measure(x, scheme, bins, importance)
    z, kept = prepare(x.float(), scheme)
    tiles = Tiles.of(z, scheme)
    _, p = nested(choose_params(tiles, scheme, importance), scheme)
    codes = encode(tiles.x, p, scheme)
    y = restore(tiles.flat(decode(codes, p, scheme)), x.float(), kept, scheme)
    e, s = y - x, measuring.sums(x, y, importance)
    if p.stored is not None and scheme.rotate == "none":
        steps = torch.where(p.stored != 0, Tiles.of(e, scheme).x.double() / p.stored.double(), 0)
        s.squared_steps = float((steps**2).sum())
    # Of weights that became infinite or none there is nothing to count; the sums say so, and are refused.
    counts = None if bins is None or not is_finite(y) else _count(tiles, x, y, e, codes, p, scheme, bins)
    return Pass(s, counts, scale_notices(scheme, p.vanished, p.saturated))


def _count(tiles, x, y, e, codes, p, scheme: Scheme, bins: tuple[Bins, Bins]) -> Counts:
    outside = None
    if scheme.how.element != "signs":
        low, high = code_limits(p, scheme)
        outside = tiles.flat((tiles.x < low) | (tiles.x > high))
    code_counts = None
    if scheme.fmt.bits <= 16:
        first, last = scheme.code_range
        code_counts = measuring.bincount(tiles.flat(codes) - first, last - first + 1)
    block = Tiles.of(e.double() ** 2, scheme).x.mean(dim=(1, 3))
    if tiles.valid is not None:
        block = block * (tiles.x.shape[1] * tiles.x.shape[3]) / tiles.sizes()[:, 0, :, 0]
    return measuring.counts(x, y, bins, code_counts, block, outside)
