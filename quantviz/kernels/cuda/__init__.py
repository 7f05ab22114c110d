"""The engine on an NVIDIA GPU: Triton kernels, the whole catalogue, codes equal to `reference` bit for bit.

One pass over tiles that stay in registers, nothing copied to the host but sums, counts and the scales of nested scales.
Searches for a range (clip, solver) and transforms (rotate, keep) run in `reference`'s torch on the same device, and the
engine's name in a result says so. So do the bytes of those block types that take a search: the engine cpu makes them.
"""

from __future__ import annotations

from ...schemes import Scheme
from .blocks import tensor as packed
from .describe import describe
from .device import as_device_tensor, on_device
from .measuring import measure, measure_wide
from .quantizing import dequantize, quantize

__all__ = ["as_device_tensor", "dequantize", "describe", "engine_name", "measure", "measure_wide", "on_device",
           "quantize"]  # fmt: skip


def engine_name(scheme: Scheme, weighted: bool = False, wide: bool = False) -> str:
    """What computed a result: "cuda", and what was left to `reference` on the same device, or to the engine cpu.

    wide: whether the weights are float64.

    >>> engine_name(Scheme.parse("int4-sym-b64:clip=mse")), engine_name(Scheme.parse("q4_k"))
    ('cuda (reference: clip)', 'cuda (cpu: bytes)')
    """
    if scheme.rule == "block type":
        return "cuda" if packed.is_written(scheme, weighted) else "cuda (cpu: bytes)"
    if wide:
        return "cuda (reference: float64)"
    left = [
        name
        for name, used in (
            ("clip", scheme.clip != "absmax"), ("rotate", scheme.rotate != "none"), ("keep", scheme.keep > 0),
            ("solver", scheme.solver), ("double", scheme.double),
        )
        if used
    ]  # fmt: skip
    return f"cuda (reference: {', '.join(left)})" if left else "cuda"
