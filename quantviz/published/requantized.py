"""Whether plain quantization of a tensor gives the bytes that somebody's file has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..block_types import BLOCK_TYPES, BlockType
from ..kernels.block_rows import quantize_rows
from ..kernels.results import Progress
from ..tensors import PackedTensor, StoredTensor

_PIECE = 1 << 20  # weights that are quantized anew at a time, about
# From what a file's tensor may have been quantized: most converters write one of these first.
THROUGH = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Requantized:
    """Plain quantization of the original beside the file: units are blocks, or weights of types without.

    through: the type the original was rounded to before, the one of THROUGH that gives the most equal units.
    first: (row, unit of the row) of the first that differs, None where all are equal.
    importance: whether it was quantized with importance.
    """

    unit: str
    count: int
    equal: int
    through: str
    first: tuple[int, int] | None
    importance: bool

    @property
    def same(self) -> bool:
        return self.equal == self.count


def requantized(
    x: StoredTensor, y: StoredTensor, importance: np.ndarray | None, progress: Progress | None
) -> tuple[Requantized | None, str]:
    """What plain quantization of `x` gives of `y`'s bytes; None and the reason where that cannot be told.

    importance: float32 [cols], or None for quantization without.
    """
    kind = BLOCK_TYPES.get(y.dtype) if isinstance(y, PackedTensor) else None
    if kind is None and y.stored_as not in THROUGH:
        return None, f"{y.stored_as} is no type that quantviz rounds to"
    if kind and y.factors is not None:
        return None, "the file multiplies its values by a scale of the whole tensor, which plain quantization lacks"
    if kind and kind.needs_importance and importance is None:
        return None, f"{kind.name} cannot be quantized without the importance its maker used"
    used = importance if kind and kind.uses_importance else None
    height = max(1, _PIECE // x.cols)
    through, first = _through(x, y, kind, used, min(height, x.rows))
    equal, different = 0, None
    for row in range(0, x.rows, height):
        stop = min(row + height, x.rows)
        same = _equal(x, y, kind, used, through, row, stop) if row else first
        equal += int(same.sum())
        if different is None and not same.all():
            at = np.unravel_index(int((~same).argmax()), same.shape)
            different = row + int(at[0]), int(at[1])
        if progress:
            progress(stop * x.cols, x.size)
    units = x.size // kind.block if kind else x.size
    unit = "blocks" if kind else "weights"
    return Requantized(unit, units, equal, through, different, used is not None), ""


def _through(
    x: StoredTensor, y: StoredTensor, kind: BlockType | None, importance: np.ndarray | None, rows: int
) -> tuple[str, np.ndarray]:
    """The one of THROUGH that gives the most equal units of the first rows, and which those are."""
    best = THROUGH[0], _equal(x, y, kind, importance, THROUGH[0], 0, rows)
    original = x.read(0, rows * x.cols)
    for through in THROUGH[1:]:
        if not best[1].all() and not np.array_equal(rounded(original, through), original):
            same = _equal(x, y, kind, importance, through, 0, rows)
            best = (through, same) if same.sum() > best[1].sum() else best
    return best


def _equal(
    x: StoredTensor, y: StoredTensor, kind: BlockType | None, importance, through: str, row: int, stop: int
) -> np.ndarray:
    """bool [rows, units a row]: which blocks of the file's rows are those of the original, rounded and quantized."""
    values = rounded(x.read(row * x.cols, stop * x.cols), through).reshape(stop - row, x.cols)
    if kind is None:
        made = rounded(values.reshape(-1), y.dtype).reshape(values.shape)
        return made.view(np.uint32) == y.read(row * x.cols, stop * x.cols).reshape(values.shape).view(np.uint32)
    blocks = x.cols // kind.block
    made = quantize_rows(kind.name, values, importance).reshape(stop - row, blocks, kind.nbytes)
    stored = y.blocks(row * blocks, stop * blocks).reshape(made.shape)
    return (made == stored).all(axis=2)


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    """float32 values rounded to a float type and back, to nearest, ties to even."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return x.astype(np.float16).astype(np.float32)
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(x).view(np.uint32)
        bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    return np.ascontiguousarray(x)
