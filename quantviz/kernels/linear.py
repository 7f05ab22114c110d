"""Linear layers with quantized weights: `pack` them once for a device, then `linear` multiplies activations by them.

On the CPU numba kernels take int8, int4 and int2; on a CUDA device Triton's take the other low-bit formats too.
"""

from __future__ import annotations

from typing import Any

from ..errors import QuantvizError
from ..schemes import Scheme

DEVICES = ("cpu", "cuda")


def pack(w: Any, key: str | Scheme, device: str = "cpu") -> Any:
    """Quantizes weights [rows, cols] under a scheme and packs them for the kernels of a device.

    Gives an object with scheme, shape, device and nbytes, what its arrays take there.
    Raises QuantvizError for a scheme or a shape that the device's kernels do not take.

    >>> import numpy as np
    >>> w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    >>> packed = pack(w, "int4-sym-b64")
    >>> packed.nbytes, linear(np.ones(256, np.float32), packed).shape
    (8704, (64,))
    """
    Scheme.parse(key).check_importance_given(True)  # of block types the kernels themselves say what they take
    return _kernels(device).pack(w, key, **({} if device == "cpu" else {"device": device}))


def linear(x: Any, packed: Any) -> Any:
    """y = x · Wᵀ of activations x [tokens, cols] or [cols] and what `pack` gave.

    On the CPU float32 NumPy comes back; on CUDA a tensor of x's own type, float16 or bfloat16, there.
    """
    if str(packed.device).startswith("cuda"):
        from .cuda.linear import linear as triton_linear

        return triton_linear.linear(x, packed)
    from .cpu.linear import linear as cpu

    return cpu.linear(x, packed)


def _kernels(device: str) -> Any:
    if device == "cpu":
        from .cpu.linear import linear as cpu

        return cpu
    if device.startswith("cuda"):
        from .cuda.linear import packing as triton_packing

        return triton_packing
    raise QuantvizError(f"There are no low-bit linear kernels for {device!r}; choose {' or '.join(DEVICES)}.")
