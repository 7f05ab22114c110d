"""What a scheme makes of finite weights may leave float32's range: refused in one sentence, as NaN in the input is.

Rotating adds up whole rows, nested scales are averaged, a range is a difference, a scale rounded upwards times the
largest code is more than the largest weight: near 3.4e38 each of them may overflow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..block_types import BlockType
from ..errors import QuantvizError
from ..formats import CodebookFormat, FloatFormat
from ..metrics import Sums
from ..schemes import Scheme

if TYPE_CHECKING:
    from .results import Quantized

LARGEST = float(np.finfo(np.float32).max)

ROTATING, BACK = "rotating its rows", "rotating its rows back"
VALUES, RANGE = "what its codes stand for", "the width of a range"


def beyond_float32(name: str, scheme: Scheme, what: str | None = None) -> QuantvizError:
    """The error for weights of which a scheme makes numbers beyond float32. what: the step that does, if known."""
    ranged = scheme.rule in ("asym", "offset")
    what = what or (BACK if scheme.rotate != "none" else f"{RANGE} or {VALUES}" if ranged else VALUES)
    problem = f"{what} goes beyond float32's largest number, 3.4e38"
    if scheme.rule == "block type" and scheme.format != "gguf_mxfp4":
        problem = "a scale is beyond fp16's 65,504, ggml stores infinity, and no error can be measured"
    plain = scheme.rotate == "none" and scheme.rule != "block type"
    ways = [
        *(["leave rotate=hadamard out"] if scheme.rotate != "none" else []),
        *(["choose the symmetry sym"] if plain and ranged and _fits(scheme.fmt.max_symmetric) else []),
        *(["choose scale=fp32"] if plain and scheme.scale == "bf16" and _fits(_largest_number(scheme)) else []),
        *(["choose a scheme with scale=fp32"] if scheme.rule == "block type" else []),
        "divide the tensor by its largest weight",
    ]
    return QuantvizError(f"{name or 'The tensor'} has weights too large for {scheme}: {problem}; {' or '.join(ways)}.")


def refuse_sums(sums: Sums, name: str, scheme: Scheme) -> None:
    """Raises QuantvizError where the error of finite weights has no finite measure."""
    if not all(math.isfinite(v) for v in vars(sums).values() if v is not None):
        raise beyond_float32(name, scheme)


def refuse_values(q: Quantized, name: str) -> None:
    """Raises QuantvizError where a tensor quantized stands for infinity or NaN.

    Nearly always its scales alone tell that it cannot; only where they do not, it is dequantized.
    """
    if q.scales is not None and not _reach(q) < LARGEST and not is_finite(q.dequantize()):
        raise beyond_float32(name, q.scheme)


def is_finite(values: Any) -> bool:
    """Whether a NumPy array or torch tensor holds neither NaN nor infinity."""
    return bool(np.isfinite(values).all() if isinstance(values, np.ndarray) else values.isfinite().all())


def _reach(q: Quantized) -> float:
    """What no magnitude exceeds that q stands for, nor a sum on the way back from a rotation."""
    scale = _largest(q.scales) * (1.0 if q.tensor_scale is None else abs(q.tensor_scale))
    minimum = 0.0 if q.minima is None else _largest(q.minima)
    return (scale * _largest_number(q.scheme) + minimum) * (q.cols if q.scheme.rotate != "none" else 1)


def _largest(a: Any) -> float:
    return max(abs(float(a.max())), abs(float(a.min())))


def _largest_number(scheme: Scheme) -> float:
    """The largest magnitude that a code has before it meets its scale."""
    f = getattr(scheme.fmt, "element", scheme.fmt)
    if isinstance(f, FloatFormat):
        return f.max
    if isinstance(f, BlockType):
        return float(np.nanmax(np.abs(f.numbers)))
    return 1.0 if isinstance(f, CodebookFormat) else float(max(map(abs, scheme.code_range)))


def _fits(number: float) -> bool:
    """Whether float32's largest number, divided by this one and multiplied again, does not come out larger."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.float32(LARGEST) / np.float32(number) * np.float32(number)))
