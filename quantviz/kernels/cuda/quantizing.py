"""Quantize and dequantize on the device."""

from __future__ import annotations

import numpy as np
import torch

from ...schemes import Scheme
from ..results import Quantized
from ..transforms import completed, in_fp16
from . import group_loops as kernels
from .blocks import tensor as packed
from .device import using
from .job import Job, is_bf16, launch, raw, tile_weights
from .plan import Rule, plan, table_of


def quantize(x: torch.Tensor, scheme: Scheme, importance: np.ndarray | None = None) -> Quantized:
    """Quantizes finite weights, a tensor of any shape on the device; see `Quantized`, whose arrays stay there."""
    with using(x.device, x.nbytes):
        if scheme.rule == "block type":
            return packed.quantize(x, scheme, importance)
        weights = None if importance is None else torch.from_numpy(importance).to(x.device)
        job = Job.of(x.reshape(-1, x.shape[-1]).contiguous(), scheme, weights)
        codes = encode(job)
        g = job.groups
        kept = job.kept
        return Quantized(
            scheme, tuple(x.shape), codes.reshape(x.shape), _scales(job),
            g.extra.reshape(job.grid_shape).to(codes.dtype) if scheme.rule == "asym" else None,
            g.extra.reshape(job.grid_shape) if scheme.rule == "offset" else None,
            float(job.tensor_scale[0]) if scheme.rule == "nvfp4" else None, job.notices(),
            None if kept is None else kept.reshape(-1).nonzero()[:, 0],
            None if kept is None else in_fp16(job.x[kept].float()), job.nested,
        )  # fmt: skip


def encode(job: Job) -> torch.Tensor:
    """Codes [rows, cols] of what the job quantizes; fills the parameters of its groups."""
    codes = torch.empty(job.z.shape, dtype=getattr(torch, job.scheme.code_dtype), device=job.z.device)
    job.launch(
        kernels.quantize_kernel, raw(job.z), codes, job.parameters, BF16=is_bf16(job.z), GIVEN=job.groups.given
    )  # fmt: skip
    return codes


def dequantize(q: Quantized) -> torch.Tensor:
    """float32 weights, in the shape and on the device of the codes."""
    device = q.codes.device
    with using(device, 4 * q.codes.numel()):
        if q.scheme.rule == "block type":
            return packed.dequantize(q)
        codes = q.codes.reshape(-1, q.shape[-1]).contiguous()
        nothing = torch.zeros(1, dtype=torch.float32, device=device)
        stored, extra = nothing if q.scales is None else q.scales, nothing
        if q.tensor_scale is not None:
            stored = torch.full_like(stored, q.tensor_scale) * stored
        for parameter in (q.zero_points, q.minima):
            extra = extra if parameter is None else parameter
        return completed(decode(codes, stored.float().contiguous(), extra.float().contiguous(), q.scheme), q)


def decode(codes: torch.Tensor, stored: torch.Tensor, extra: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """float32 [rows, cols] from codes and the parameters of their groups, one of which may serve all."""
    y = torch.empty(codes.shape, dtype=torch.float32, device=codes.device)
    table = torch.from_numpy(table_of(scheme)).to(codes.device)
    cut = plan(scheme, *codes.shape, tile_weights())
    if extra.numel() < cut.grid.groups:
        extra = extra.expand(cut.grid.groups).contiguous()
    launch(kernels.dequantize_kernel, cut, Rule.of(scheme), codes, y, stored, extra, table)
    return y


def _scales(job: Job) -> torch.Tensor | None:
    if not job.rule.has_scale:
        return None
    scales = job.groups.extra if job.scheme.rule == "nvfp4" else job.groups.stored
    return scales.reshape(job.grid_shape)
