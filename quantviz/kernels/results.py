"""What every engine gives: quantized tensors, and the sums and counts of one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..metrics import Sums
from ..schemes import Scheme
from ..tensors import Shaped

Progress = Callable[[int, int], None]  # (weights done, weights in all); raising stops the work


@dataclass(frozen=True)
class Extremes:
    """What a scale of the whole tensor is made from, where an engine sees only a part of it."""

    min: float
    max: float
    mean_abs: float

    @property
    def max_abs(self) -> float:
        return max(abs(self.min), abs(self.max))


@dataclass
class Counts:
    """What one pass counts weight by weight. Histogram arrays hold [below, bins ..., above]."""

    dequantized: np.ndarray  # int64 [VALUE_BINS + 2]
    error: np.ndarray  # int64 [ERROR_BINS + 2]
    abs_error_log: np.ndarray  # int64 [LOG_BINS]
    codes: np.ndarray | None  # int64 [number of codes], smallest code first; None beyond 16 bits
    block_rmse: np.ndarray  # float32 [grid rows, grid cols], √mean(e²) of each group
    zeroed: int
    clipped: int | None  # None where no weight lies beyond the codes, as they tell no more than signs or are a lattice
    least_error: float  # the least |e|


@dataclass
class Pass:
    """The result of one pass over a tensor under one scheme."""

    sums: Sums
    counts: Counts | None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Quantized(Shaped):
    """Codes, scales and what else a scheme stores.

    codes: shape of the tensor; signed for sym and ternary, unsigned for asym, offset and code books,
    bit patterns for float formats.
    scales: float32 [grid rows, grid cols], the values as stored (rounded to the scale's type); None for a cast.
    zero_points: integers as float32-exact uint8, asym only.  minima: float32, offset only.
    tensor_scale: float32, nvfp4 only; a block's scale is tensor_scale · scales.
    kept_index, kept_values: with keep=, the flat places (int64, rising) and float16 values of the weights kept apart.
    nested: with double=1, what the scales are restored from.
    data: block types only, the runtime's own bytes: uint8 [rows, row bytes]. Their scales and minima are those of each
    group, float32 [rows, groups a row], second-level scales multiplied in; codes are as `block_types` reads them.
    input_scales: with solver=awq and smooth=, float32 [cols], what each column was multiplied by before it was rounded,
    and is divided by after; in the model the inputs are divided by it instead.
    With rotate=hadamard the codes are those of the rotated rows.
    Arrays are NumPy's, or torch's where the tensor quantized was torch's.
    """

    scheme: Scheme
    shape: tuple[int, ...]
    codes: Any
    scales: Any = None
    zero_points: Any = None
    minima: Any = None
    tensor_scale: float | None = None
    notices: tuple[str, ...] = field(default=())
    kept_index: Any = None
    kept_values: Any = None
    nested: Any = None
    data: Any = None
    input_scales: Any = None
    input_axes: int = field(default=0, kw_only=True)

    def shaped(self, shape: tuple[int, ...], input_axes: int = 0) -> Quantized:
        """The same codes for weights of another shape with the same rows."""
        return replace(self, shape=shape, codes=self.codes.reshape(shape), input_axes=input_axes)

    @property
    def nbytes(self) -> int:
        """Bytes stored, the last one padded."""
        return -(-self.scheme.bits_stored(self.matrix) // 8)

    @property
    def bits_per_weight(self) -> float:
        return self.scheme.bits_per_weight(self.matrix)

    def dequantize(self) -> Any:
        """float32 weights in the shape of the original."""
        from . import dequantize

        return dequantize(self)

    def tobytes(self) -> bytes:
        """The bytes that the runtime of a block type stores, row after row. Other schemes are no runtime's layout."""
        if self.data is None:
            raise QuantvizError(
                f"{self.scheme} is no packed layout of a runtime's; tobytes() is for block types such as q4_0 and q4_k."
            )
        data = self.data if isinstance(self.data, np.ndarray) else self.data.cpu().numpy()
        return data.tobytes()


def scale_notices(scheme: Scheme, vanished: int, saturated: int) -> tuple[str, ...]:
    """Sentences about scales that their stored type could not hold."""
    out, way = [], "a scale of the tensor" if scheme.stored_scale == "e4m3" else "scale=fp32"
    if vanished:
        out.append(
            f"{vanished:,} scale{'s' * (vanished != 1)} became 0 in {scheme.stored_scale}, so their weights are exact "
            f"zeros; {way} keeps them."
        )
    if saturated:
        out.append(
            f"{saturated:,} scale{'s' * (saturated != 1)} exceeded the largest {scheme.stored_scale} value and "
            f"{'were' if saturated != 1 else 'was'} cut to it; {way} holds them."
        )
    return tuple(out)
