"""Torch's tensors as the goldens keep them. Needs torch."""

from __future__ import annotations

import numpy as np
import torch

from tests.checkpoints.golden import Case, Tensors

_NAMES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint8: "U8", torch.int8: "I8",
    torch.int16: "I16", torch.int32: "I32", torch.int64: "I64", torch.uint32: "U32", torch.bool: "BOOL",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ", torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
}  # fmt: skip


def stored(tensors: dict[str, torch.Tensor]) -> Tensors:
    """As safetensors would write them."""
    return {
        name: (_NAMES[t.dtype], tuple(t.shape), t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        for name, t in tensors.items()
    }


def uneven(*shape: int, seed: int = 0) -> torch.Tensor:
    """Float32 weights that no zero point is in the middle of: skewed, off zero, with some outliers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.02, 0.05, shape) + 0.03 * rng.exponential(1, shape)
    x[rng.random(shape) < 0.003] *= 9
    return torch.from_numpy(x.astype(np.float32))


def case(name: str, weight: str, tensors: dict[str, torch.Tensor], expected: torch.Tensor, config: dict) -> Case:
    """A layer, and what its library reads in the type in which it gives it. config: by file name."""
    type_ = str(expected.dtype).removeprefix("torch.")
    array = expected.detach().float().numpy().astype(np.float16 if type_ == "float16" else np.float32)
    return Case(name, weight, stored(tensors), array, type_, config)
