"""A layer's weights, packed for the kernels of a device or as a plain cast for torch, and their product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..kernels.results import Quantized
from ..schemes import Scheme
from .bench import Bench
from .devices import NAMES, has_bf16, takes_bf16

CASTS = ("fp32", "fp16", "bf16")  # torch multiplies these; every other scheme needs a kernel of ours
CAST_KERNEL = "torch's own matrix product"
ROWS_CHECKED = 1024  # of a layer, spread evenly, are compared with float64

# ‖y - ŷ‖ / ‖ŷ‖ of torch's product against float64, by the type in which it gives y: half a unit of that type in the
# last place, and of float32 the sum of a row besides, as in kernels.linear.cpu. A wrong row or column shows as 1.
CAST_TOLERANCE = {"fp32": 2.0**-15, "fp16": 2.0**-10, "bf16": 2.0**-7}


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's weights on the device under one scheme: `multiply` them by activations of `dtype` (a scheme's name).

    on_host: whether activations and results are NumPy's.  nbytes: that one product reads.  error, correct: of the
    check.  sqnr_db: of the weights; None of plain casts.
    """

    scheme: Scheme
    packed: Any
    multiply: Callable[[Any, Any, Any], Any]  # activations, packed, out
    dtype: str
    on_host: bool
    kernel: str
    nbytes: int
    error: float
    correct: bool
    sqnr_db: float | None

    def clone(self) -> Any:
        """The packed weights in other memory."""
        return self.packed.clone()


def why_not_multiplied(scheme: Scheme, rows: int, cols: int, device: str) -> str | None:
    """Why this device multiplies no weights [rows, cols] under `scheme`; None where it does."""
    if scheme.key in CASTS:
        missing = scheme.key == "bf16" and not takes_bf16(device)
        return f"This {NAMES[device]} has no bfloat16; take fp16." if missing else None
    if device not in ("cpu", "cuda"):
        return f"There are no low-bit kernels for this {NAMES[device]}, so {scheme} is not multiplied; choose cpu."
    return _kernels(device).refusal(scheme, rows, cols)


def activation_type(scheme: Scheme, device: str) -> str:
    """The type of the activations that a scheme's weights are multiplied by."""
    if scheme.key in CASTS:
        return scheme.key
    return "fp32" if device == "cpu" else "bf16" if has_bf16(device) else "fp16"


def bytes_needed(scheme: Scheme, rows: int, cols: int) -> int:
    """Bytes of a layer while it is made: float32 weights, codes, dequantized weights, and the packed ones."""
    n = rows * cols
    return 4 * n + (0 if scheme.key in CASTS else 5 * n) + -(-scheme.bits_stored((rows, cols)) // 8)


def make(scheme: Scheme, rows: int, cols: int, batch: int, bench: Bench) -> Weights:
    """Weights [rows, cols] packed and checked, by a product with `batch` tokens."""
    dtype, on_host = activation_type(scheme, bench.device), bench.device == "cpu" and scheme.key not in CASTS
    x = activations(batch, cols, dtype, on_host, bench)
    picked = np.unique(np.linspace(0, rows - 1, min(rows, ROWS_CHECKED)).astype(np.int64))
    sqnr_db = None
    if scheme.key in CASTS:
        import torch

        packed = torch.from_numpy(bench.host_weights(rows, cols)).to(bench.torch_device, _torch_dtype(scheme.key))
        right, kernel, multiply, nbytes = packed[picked], CAST_KERNEL, _multiply_cast, packed.nbytes
        tolerance = CAST_TOLERANCE[scheme.key]
    else:
        module = _kernels(bench.device)
        w = bench.weights(rows, cols)
        q = bench.quantize(w, scheme)
        right = _rows(q, picked, bench)
        sqnr_db = _sqnr(w[picked], right)
        packed = module.pack_quantized(q) if bench.device == "cpu" else module.pack_quantized(q, bench.torch_device)
        kernel, nbytes = module.KERNEL, packed.nbytes
        multiply, tolerance = _multiplier(bench.device, packed, x)
    y = multiply(x, packed, output(batch, rows, dtype, on_host, bench))
    error = _off(_double(y)[:, picked], _double(x) @ _double(right).T)
    return Weights(scheme, packed, multiply, dtype, on_host, kernel, nbytes, error, error <= tolerance, sqnr_db)


def _rows(q: Quantized, picked: np.ndarray, bench: Bench) -> Any:
    """Some rows of what is quantized, dequantized; the others too where a scale serves rows together."""
    if bench.device != "cpu" or q.scheme.granularity is None or q.scheme.granularity.rows != 1:
        return bench.dequantize(q)[picked]
    zeros = None if q.zero_points is None else q.zero_points[picked]
    shape = len(picked), q.shape[1]
    return bench.dequantize(replace(q, shape=shape, codes=q.codes[picked], scales=q.scales[picked], zero_points=zeros))


def activations(batch: int, cols: int, dtype: str, on_host: bool, bench: Bench) -> Any:
    """Normal activations [batch, cols]: float32 NumPy on the host, else a tensor on the device."""
    x = np.random.default_rng(cols).standard_normal((batch, cols), dtype=np.float32)
    if on_host:
        return x
    import torch

    return torch.from_numpy(x).to(bench.torch_device, _torch_dtype(dtype))


def output(batch: int, rows: int, dtype: str, on_host: bool, bench: Bench) -> Any:
    """Where a product is written."""
    if on_host:
        return np.empty((batch, rows), np.float32)
    import torch

    return torch.empty((batch, rows), dtype=_torch_dtype(dtype), device=bench.torch_device)


def _multiply_cast(x: Any, w: Any, out: Any) -> Any:
    import torch

    return torch.mm(x, w.T, out=out)


def _multiplier(device: str, packed: Any, x: Any) -> tuple[Callable[[Any, Any, Any], Any], float]:
    """(the product as a function, the error it may have)."""
    if device == "cpu":
        from ..kernels.cpu.linear import linear as cpu

        return cpu.linear, cpu.TOLERANCE
    from ..kernels.cuda.linear import linear as triton_linear

    return triton_linear.linear, triton_linear.tolerance(packed, x.dtype, len(x))


def _kernels(device: str) -> Any:
    if device == "cpu":
        from ..kernels.cpu.linear import linear as module
    else:
        from ..kernels.cuda.linear import packing as module
    return module


def _torch_dtype(name: str) -> Any:
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[name]


def _double(a: Any) -> Any:
    """float64, on the device where it has that type, else on the host."""
    import torch

    t = torch.from_numpy(np.ascontiguousarray(a)) if isinstance(a, np.ndarray) else a
    return (t if t.device.type in ("cpu", "cuda") else t.cpu()).double()


def _off(y: Any, right: Any) -> float:
    norm = float(right.norm())
    return float((y - right).norm()) / norm if norm else float(y.norm())


def _sqnr(w: Any, y: Any) -> float | None:
    w, y = _double(w), _double(y)
    noise = float((y - w).square().sum())
    return 10 * float((w.square().sum() / noise).log10()) if noise else None
