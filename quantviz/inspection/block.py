"""One block of a tensor, weight by weight, as the page's block inspector reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..block_types import Unpacked, original_name, unpack
from ..errors import QuantvizError
from ..kernels import dequantize
from ..kernels.arrays import as_numpy
from ..kernels.overflow import beyond_float32, is_finite
from ..kernels.results import Extremes, Quantized
from ..schemes import Scheme
from ..statistics import TensorStatistics
from ..tensors import StoredTensor, as_stored, check_importance, refuse_non_finite


@dataclass(frozen=True, eq=False)
class Block:
    """One group of a tensor, weight by weight, for reading by eye.

    rows, cols: half-open ranges in the tensor seen as [rows, cols].  original, dequantized: float32,
    codes: integers, all [R, C].  scale is what multiplies a code (or its level); zero_point and minimum where
    the symmetry has them.  kept: bool [R, C], which weights are stored apart in 16 bit, or None.
    rotated: whether original and dequantized are those of the rotated rows, on which blocks then lie.
    multiplied: whether they are those of columns multiplied by the scales of awq or smooth=, before they are divided.
    dtype: in which the tensor is stored.
    group: how many weights the group has; more than are here where a part of it is shown.
    Of a block type whose groups have a scale each, scale and minimum are None: unpacked has them all, of one block.
    """

    scheme: str
    rows: tuple[int, int]
    cols: tuple[int, int]
    original: np.ndarray
    codes: np.ndarray
    dequantized: np.ndarray
    scale: float | None
    zero_point: int | None
    minimum: float | None
    kept: np.ndarray | None = None
    rotated: bool = False
    multiplied: bool = False
    unpacked: Unpacked | None = None
    dtype: str = "float32"
    group: int = 0

    @property
    def is_part(self) -> bool:
        """Whether the group has more weights than are here."""
        return self.original.size < self.group

    @property
    def names(self) -> tuple[str, str]:
        """Labels of the weights before and after; those before may be rounded already by their file, or rotated."""
        turned = " (rotated)" if self.rotated else " (multiplied)" if self.multiplied else ""
        return f"{original_name(self.dtype)}{turned}", f"dequantized{turned}"

    @property
    def error(self) -> np.ndarray:
        return self.dequantized - self.original

    @property
    def scales(self) -> np.ndarray | None:
        """Of a block type, the scale of each weight: float32 [1, C]."""
        return None if self.unpacked is None else self._spread(self.unpacked.scales)

    @property
    def minima(self) -> np.ndarray | None:
        """Of a block type with minima, that of each weight: float32 [1, C]."""
        return None if self.unpacked is None or self.unpacked.minima is None else self._spread(self.unpacked.minima)

    def _spread(self, shared: np.ndarray) -> np.ndarray:
        return np.repeat(shared, self.unpacked.numbers.shape[1] // shared.shape[1], axis=1)[:, : self.codes.shape[1]]


MAX_BLOCK_WEIGHTS = 4096  # of a group are shown
_PARAMETERS = ("scales", "zero_points", "minima")


def inspect_block(
    w: Any,
    key: str | Scheme,
    row: int,
    col: int,
    statistics: TensorStatistics | None = None,
    importance: Any = None,
    around: tuple[int, int] | None = None,
    quantized: Quantized | None = None,
) -> Block:
    """Group (row, col) of the grid of groups, weight by weight; of a block type, a whole block.

    Of a group of more than MAX_BLOCK_WEIGHTS a part is shown, the first or that which holds the weight `around` (row
    and column of the tensor seen as [rows, columns]); its scale is the whole group's.
    importance: as `evaluate` takes it, and what the tensor is quantized with.
    quantized: what `quantize` gives for the tensor; needed, and looked at, where a scheme looks at data.
    """
    scheme = Scheme.parse(key)
    stored = as_stored(w)
    scheme.check_shape(stored.rows, stored.cols)
    scheme.check_importance_given(importance is not None, quantized is not None)
    g = scheme.granularity
    height, width = g.within(stored.rows, stored.cols) if g else (stored.rows, stored.cols)
    r0, c0 = row * height, col * width
    if not (0 <= r0 < stored.rows and 0 <= c0 < stored.cols):
        grid = (-(-stored.rows // height), -(-stored.cols // width))
        raise QuantvizError(
            f"There is no block ({row}, {col}); this tensor has {grid[0]:,} × {grid[1]:,} blocks, counted from 0."
        )
    h = check_importance(importance, stored.cols, stored.rows)
    if h is not None and h.ndim == 2:  # that of the expert in whose rows the block lies
        h = h[r0 * len(h) // stored.rows]
    if scheme.rule == "block type":
        packed = _packed_block(stored, scheme, row, col, h)
        return replace(packed, dtype=stored.dtype)
    from ..kernels import cpu

    r1, c1 = min(r0 + height, stored.rows), min(c0 + width, stored.cols)
    group = (r1 - r0) * (c1 - c0)
    r0, r1, c0, c1 = _part(r0, r1, c0, c1, around or (r0, c0))
    if scheme.uses_data:
        return replace(_solved_block(stored, as_numpy(quantized), (row, col), (r0, r1), (c0, c1)), group=group)
    t = statistics
    whole = Extremes(t.min, t.max, t.mean_abs) if t else None
    found = cpu.group(stored, scheme, (r0, r1), (c0, c1), whole, h)
    if not is_finite(found.y):
        refuse_non_finite(stored)
        raise beyond_float32(stored.name, scheme)
    rotated = scheme.rotate != "none"
    y = found.y
    if found.kept is not None and not rotated:
        y = np.where(found.kept, cpu.in_fp16(found.x), y)
    return Block(
        scheme.key, (r0, r1), (c0, c1), found.z if rotated else found.x, found.codes, y,
        None if g is None else float(found.stored),
        int(found.extra) if scheme.rule == "asym" else None,
        float(found.extra) if scheme.rule == "offset" else None,
        None if rotated else found.kept, rotated, dtype=stored.dtype, group=group,
    )  # fmt: skip


def _solved_block(
    stored: StoredTensor, q: Quantized, at: tuple[int, int], rows: tuple[int, int], cols: tuple[int, int]
) -> Block:
    """A part of the group at a place of the grid, of a tensor whose codes are there: as its codes have it, rotated or
    multiplied where the scheme does so. rows, cols: half-open ranges within the group.
    """
    if q.matrix != stored.matrix:
        raise QuantvizError(
            f"These codes are of {q.matrix[0]:,} × {q.matrix[1]:,} weights, and the tensor has {stored.rows:,} × "
            f"{stored.cols:,}; give what quantize makes of this tensor."
        )
    x = np.array(stored.read(rows[0] * stored.cols, rows[1] * stored.cols)).reshape(-1, stored.cols)
    if q.input_scales is not None:
        x = x * q.input_scales
    if q.scheme.rotate != "none":
        import torch

        from ..kernels.rotation import rotate

        x = rotate(torch.from_numpy(x)).numpy()
    codes = np.ascontiguousarray(q.codes.reshape(q.matrix)[slice(*rows), slice(*cols)])
    own = {name: None if (a := getattr(q, name)) is None else a[at].reshape(1, 1) for name in _PARAMETERS}
    plain = replace(q.scheme.without_data, rotate="none", double=False, keep=0.0)
    y = dequantize(Quantized(plain, codes.shape, codes, tensor_scale=q.tensor_scale, **own))
    kept = None
    if q.kept_index is not None:
        kept, stored_apart = np.zeros(q.matrix, bool), np.zeros(q.matrix, np.float32)
        kept.reshape(-1)[q.kept_index], stored_apart.reshape(-1)[q.kept_index] = True, q.kept_values
        kept = kept[slice(*rows), slice(*cols)]
        y = np.where(kept, stored_apart[slice(*rows), slice(*cols)], y)
    scale = own["scales"][0, 0] * (np.float32(1) if q.tensor_scale is None else np.float32(q.tensor_scale))
    return Block(
        q.scheme.key, rows, cols, np.ascontiguousarray(x[:, slice(*cols)]), codes, y, float(scale),
        None if q.zero_points is None else int(own["zero_points"][0, 0]),
        None if q.minima is None else float(own["minima"][0, 0]), kept,
        rotated=q.scheme.rotate != "none", multiplied=q.input_scales is not None, dtype=stored.dtype,
    )  # fmt: skip


def _part(r0: int, r1: int, c0: int, c1: int, around: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of rows [r0, r1) and columns [c0, c1) to show: whole rows, or part of a row, around a weight."""
    row, col = around
    if not (r0 <= row < r1 and c0 <= col < c1):
        raise QuantvizError(
            f"Row {row}, column {col} lie outside this block of rows {r0} to {r1 - 1} and columns {c0} to {c1 - 1}."
        )
    width = min(c1 - c0, MAX_BLOCK_WEIGHTS)
    height = MAX_BLOCK_WEIGHTS // width
    r0, c0 = r0 + (row - r0) // height * height, c0 + (col - c0) // width * width
    return r0, min(r1, r0 + height), c0, min(c1, c0 + width)


def _packed_block(stored: StoredTensor, scheme: Scheme, row: int, col: int, importance: np.ndarray | None) -> Block:
    """A block as the bytes of its row hold it: with importance, a block is not quantized without its row."""
    from ..kernels.block_rows import quantize_rows

    kind = scheme.fmt
    x = stored.read(row * stored.cols, (row + 1) * stored.cols)
    start, stop = col * kind.block, (col + 1) * kind.block
    if importance is None:
        x, part = x[start:stop], 0
    else:
        importance, part = np.pad(importance, (0, kind.padded(len(x)) - len(x))), col
    if not np.isfinite(x).all():
        refuse_non_finite(stored)
    filled = np.pad(x, (0, kind.padded(len(x)) - len(x)))[None]
    data = quantize_rows(kind.name, filled, importance).reshape(-1, kind.nbytes)[part]
    original = stored.read(row * stored.cols + start, row * stored.cols + min(stop, stored.cols))
    block = packed_block(scheme, (row, row + 1), (start, start + len(original)), original[None], data)
    if not is_finite(block.dequantized):
        raise beyond_float32(stored.name, scheme)
    return block


def packed_block(
    scheme: Scheme, rows: tuple[int, int], cols: tuple[int, int], original: np.ndarray, data: np.ndarray
) -> Block:
    """A block from its bytes, uint8 [bytes of a block], and what it stands for, float32 [1, weights]."""
    found = unpack(scheme.format, data, scheme.fmt.block)
    count, alone = original.shape[1], scheme.fmt.groups == 1
    return Block(
        scheme.key, rows, cols, original, found.codes[:, :count], found.values[:, :count],
        float(found.scales[0, 0]) if alone else None, None,
        float(found.minima[0, 0]) if alone and found.minima is not None else None, unpacked=found,
    )  # fmt: skip
