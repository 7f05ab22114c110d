"""Block FP8, as DeepSeek-V3 and others publish it: a weight is its FP8 number times the scale of its tile.

`weight` float8 [out, in] beside `weight_scale_inv` [out / height, in / width], which is multiplied although it is
called the inverse. Rule: transformers, integrations/finegrained_fp8.py, Fp8Dequantize; factors and product in float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..sources import TensorInfo
from ..tensors import StoredTensor
from .packed import FLOAT8, PackedFormat

NAME = "block FP8"
SCALES = "_scale_inv"
_SIDE = 128  # of a tile, where config.json does not say
_FLOATS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class BlockFP8:
    """scales: the tensor with the scales of tiles of height × width weights."""

    scales: TensorInfo
    height: int
    width: int

    def notice(self, info: TensorInfo) -> str:
        return (
            f"Stored as block FP8: {info.dtype}, with a scale for each {self.height} × {self.width} weights, by which "
            "they are multiplied here."
        )


def block_fp8(
    info: TensorInfo, form: PackedFormat, infos: Mapping[str, TensorInfo], sides: Iterable[tuple[int, int]]
) -> BlockFP8 | None:
    """How to read a tensor of a format with such scales; None for another, and where its scales do not fit its shape.

    sides: of a tile, as config.json says, each (height, width).
    """
    scales = infos.get(info.name + SCALES)
    if SCALES not in form.beside or scales is None or info.dtype not in FLOAT8[:2] or len(info.shape) != 2:
        return None
    for height, width in (*sides, (_SIDE, _SIDE)):
        grid = -(-info.shape[0] // height), -(-info.shape[1] // width)
        if scales.shape == grid and scales.dtype in _FLOATS:
            return BlockFP8(scales, height, width)
    return None


def tile_sides(config: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The tiles that config.json, or the part of it for the text model, gives as weight_block_size.

    >>> tile_sides({"quantization_config": {"weight_block_size": [128, 64]}})
    [(128, 64)]
    """
    found = []
    for part in (config, *(value for value in config.values() if isinstance(value, Mapping))):
        said = part.get("quantization_config")
        size = said.get("weight_block_size") if isinstance(said, Mapping) else None
        if isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size):
            found.append((size[0], size[1]))
    return found


def decoded(codes: StoredTensor, scales: np.ndarray, how: BlockFP8, first: int, info: TensorInfo) -> StoredTensor:
    """The weights as float32, computed piece by piece when they are read.

    codes: rows of the tensor as stored, from row `first` on.  scales: float32, of all tiles.
    """
    if not np.isfinite(scales).all():
        raise QuantvizError(f"{how.scales.name!r} holds scales that are no numbers, so the file is damaged.")
    values = ScaledElements(codes, scales, how, first * codes.cols, first * codes.cols, first * codes.cols + codes.size)
    bits = 8 * info.nbytes / info.size
    return Decoded(values, "float32", codes.shape, info.name, notices=info.notices, stored_bits=bits)


@dataclass(frozen=True, eq=False)
class Decoded(StoredTensor):
    """Weights that are computed from what is stored. stored_bits: what one takes in its file."""

    stored_bits: float = 32.0

    @property
    def stored_as(self) -> str:
        return NAME

    @property
    def bits_per_weight(self) -> float:
        return self.stored_bits

    @property
    def nbytes(self) -> int:
        return round(self.size * self.stored_bits / 8)


class ScaledElements:
    """float32 weights in row-major order: sliced like an array with one axis, computed by `numpy.asarray`."""

    ndim, dtype = 1, np.dtype(np.float32)

    def __init__(
        self, codes: StoredTensor, scales: np.ndarray, how: BlockFP8, begin: int, start: int, stop: int
    ) -> None:
        """begin: the place in the whole tensor of the first code; [start, stop): which of its weights these are."""
        self._codes, self._scales, self._how, self._begin = codes, scales, how, begin
        self._start, self._stop = start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def size(self) -> int:
        return len(self)

    @property
    def nbytes(self) -> int:
        return 4 * len(self)

    def __getitem__(self, part: slice) -> ScaledElements:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("Elements are read one after the other.")
        start, stop = self._start + start, self._start + max(start, stop)
        return ScaledElements(self._codes, self._scales, self._how, self._begin, start, stop)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        cols = self._codes.cols
        values = np.array(self._codes.read(self._start - self._begin, self._stop - self._begin))
        for row in range(self._start // cols, -(-self._stop // cols)):
            start, stop = max(self._start, row * cols), min(self._stop, (row + 1) * cols)
            factors = np.repeat(self._scales[row // self._how.height], self._how.width)[start - row * cols :]
            values[start - self._start : stop - self._start] *= factors[: stop - start]
        return values if dtype is None else values.astype(dtype, copy=False)
