"""Whole tensors under a block type: to bytes and back, piece by piece."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....block_types import BlockType
from ....schemes import Scheme
from ....tensors import StoredTensor, refuse_non_finite
from ...overflow import beyond_float32
from ...results import Quantized
from ..loops.plan import PIECE, Piece
from ..workers import work
from .run import is_finite, kernels_of


def cut(kind: BlockType, rows: int, cols: int, by_column: bool) -> list[Piece]:
    """Pieces of whole blocks. Where rows divide into blocks they are forgotten; `by_column` keeps them whole."""
    unit = max(PIECE // kind.block, 1) * kind.block
    if cols % kind.block == 0 and not by_column:
        size = rows * cols
        return [Piece(s, 1, min(unit, size - s), 0, s // kind.block) for s in range(0, size, unit)]
    if cols > unit and not by_column:
        return [
            Piece(r * cols + c, 1, min(unit, cols - c), r, c // kind.block)
            for r in range(rows)
            for c in range(0, cols, unit)
        ]
    step = max(1, PIECE // cols)
    return [Piece(r * cols, min(step, rows - r), cols, r) for r in range(0, rows, step)]


@dataclass
class RoundTrip:
    """A piece to bytes and back. x float32 [rows, cols]; data uint8 [blocks, bytes]; y float32 [rows, padded cols]."""

    x: np.ndarray
    data: np.ndarray
    y: np.ndarray


class Writer:
    """Takes pieces of one tensor to bytes and back, in memory of one thread's own that is used again and again."""

    def __init__(self, stored: StoredTensor, kind: BlockType, importance: np.ndarray | None) -> None:
        self.stored, self.kind, self.kernels = stored, kind, kernels_of(kind)
        self.by_column = importance is not None
        self.importance = importance if kind.uses_importance else None
        if self.importance is not None:  # what fills a row up matters to nobody
            self.importance = np.pad(self.importance, (0, kind.padded(stored.cols) - stored.cols))
        self._held: dict[str, np.ndarray] = {}

    def pieces(self) -> list[Piece]:
        return cut(self.kind, self.stored.rows, self.stored.cols, self.by_column)

    def memory(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array of this shape, with whatever it held before."""
        size = math.prod(shape)
        if name not in self._held or self._held[name].size < size:
            self._held[name] = np.empty(size, dtype)
        return self._held[name][:size].reshape(shape)

    def quantize(self, piece: Piece, data: np.ndarray | None = None) -> RoundTrip:
        """The bytes of a piece, into `data` or memory of its own. Raises QuantvizError for NaN and infinity."""
        kind = self.kind
        x = self.stored.read(piece.start, piece.stop).reshape(piece.rows, piece.cols)
        cols = kind.padded(piece.cols)
        z = x
        if cols != piece.cols:
            z = self.memory("z", (piece.rows, cols), np.float32)
            z[:, : piece.cols], z[:, piece.cols :] = x, 0
        z = np.ascontiguousarray(z)
        if not is_finite(z.reshape(-1).view(np.int32)):
            refuse_non_finite(self.stored)
        blocks = z.size // kind.block
        data = self.memory("data", (blocks, kind.nbytes), np.uint8) if data is None else data.reshape(blocks, -1)
        if self.importance is None:
            self.kernels.quantize(z.reshape(blocks, kind.block), data)
        else:
            self.kernels.weighted(z, self.importance, data.reshape(piece.rows, -1))
        return RoundTrip(x, data, self.memory("y", z.shape, np.float32))

    def round_trip(self, piece: Piece) -> RoundTrip:
        trip = self.quantize(piece)
        self.kernels.dequantize(trip.data, trip.y.reshape(-1, self.kind.block))
        return trip


def first_block(piece: Piece, grid_cols: int) -> int:
    """The number of a piece's first block in the whole tensor."""
    return piece.row * grid_cols + piece.group_col


def quantize(stored: StoredTensor, scheme: Scheme, importance: np.ndarray | None = None) -> Quantized:
    """The bytes of a tensor, and what they hold: codes, scales and minima as the readable readers see them."""
    kind, rows, cols = scheme.fmt, stored.rows, stored.cols
    grid_cols = kind.padded(cols) // kind.block
    data = np.empty((rows * grid_cols, kind.nbytes), np.uint8)
    codes = np.empty(stored.size, scheme.code_dtype)
    scales, minima = (np.empty((rows * grid_cols, kind.groups), np.float32) for _ in range(2))
    counted, lock = [0], threading.Lock()

    def run(tasks) -> None:
        mine = Writer(stored, kind, importance)
        for _, piece in tasks:
            start = first_block(piece, grid_cols)
            part = slice(start, start + piece.rows * (kind.padded(piece.cols) // kind.block))
            trip = mine.quantize(piece, data[part])
            with np.errstate(invalid="ignore"):  # an infinite scale, times 0
                shared = kind.parameters(trip.data)
            scales[part] = shared.scales
            if shared.minima is not None:
                minima[part] = shared.minima
            found = kind.codes(trip.data).reshape(piece.rows, -1)[:, : piece.cols]
            codes[piece.start : piece.stop] = found.reshape(-1)
            gone = vanished(kind, trip.x, shared.scales)
            with lock:
                counted[0] += gone

    work(Writer(stored, kind, importance).pieces(), run)
    wide = rows, grid_cols * kind.groups
    has_minima = kind.parameters(data[:1]).minima is not None
    return Quantized(
        scheme, stored.shape, codes.reshape(stored.shape), scales.reshape(wide),
        minima=minima.reshape(wide) if has_minima else None, notices=notices(scheme, counted[0]),
        data=data.reshape(rows, -1),
    )  # fmt: skip


def dequantize(q: Quantized) -> np.ndarray:
    """float32 weights in the shape of the tensor."""
    kind, cols = q.scheme.fmt, q.shape[-1]
    data, padded = np.asarray(q.data), q.scheme.fmt.padded(cols)
    kernels, out = kernels_of(kind), np.empty((len(data), padded), np.float32)
    blocks, into = data.reshape(-1, kind.nbytes), out.reshape(-1, kind.block)
    step = max(1, PIECE // kind.block)

    def run(tasks) -> None:
        for _, start in tasks:
            kernels.dequantize(blocks[start : start + step], into[start : start + step])

    work(range(0, len(blocks), step), run)
    return np.ascontiguousarray(out[:, :cols]).reshape(q.shape)


def reconstruct(stored: StoredTensor, scheme: Scheme, visit: Callable, importance: np.ndarray | None = None) -> None:
    """Calls visit(first row, x, y) for bands of whole rows, in any order and from several threads."""
    kind = scheme.fmt

    def run(tasks) -> None:
        mine = Writer(stored, kind, importance)
        for _, piece in tasks:
            trip = mine.round_trip(piece)
            refuse_infinite(stored, scheme, trip.y)
            visit(piece.row, trip.x, np.ascontiguousarray(trip.y[:, : piece.cols]))

    work(cut(kind, stored.rows, stored.cols, by_column=True), run)


def vanished(kind: BlockType, x: np.ndarray, scales: np.ndarray) -> int:
    """How many blocks have no scale other than 0 although some weight is not 0. x [rows, cols], scales [blocks, ·]."""
    if scales.all():
        return 0
    gone = ~scales.any(axis=1)
    if not gone.any():
        return 0
    z = np.pad(x, ((0, 0), (0, kind.padded(x.shape[1]) - x.shape[1])))
    return int(z.reshape(-1, kind.block)[gone].any(axis=1).sum())


def notices(scheme: Scheme, gone: int) -> tuple[str, ...]:
    """A sentence about scales that became 0, if there are any."""
    if not gone:
        return ()
    have = "s have scales" if gone != 1 else " has a scale"
    return (f"{gone:,} block{have} too small for {scheme} to store, so their weights are exact zeros.",)


def refuse_infinite(stored: StoredTensor, scheme: Scheme, y: np.ndarray) -> None:
    """Raises QuantvizError where a scale beyond its stored type leaves no weights to measure."""
    if not is_finite(y.reshape(-1).view(np.int32)):
        raise beyond_float32(stored.name, scheme)
