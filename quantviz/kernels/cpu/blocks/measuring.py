"""Measuring a tensor under a block type that is no rule for one weight: each piece goes to bytes and back."""

from __future__ import annotations

import math

import numpy as np

from ....schemes import Scheme
from ....schemes.granularity import some_sizes
from ....tensors import StoredTensor
from ...bins import Bins
from ...results import Counts, Progress
from ..loops import groups as loops
from ..loops import sums
from ..loops.measure import Asked, Weights, measure_kernel
from ..loops.tables import Tables, Ticker
from ..rules.constants import SYMMETRIC, constants_of
from ..rules.scalings import Parameters
from ..workers import work
from .numbers import PLACES, by_code, count_beyond, count_numbers, unscaled
from .tensor import Writer, first_block, refuse_infinite, vanished

# A kernel that takes what became of the weights from outside only measures. Its rule then says no more than that
# there are scales; this one is compiled for other schemes anyway.
_RULE = SYMMETRIC
_CONSTANTS = Scheme.parse("int4-sym-b32")


def measure(
    stored: StoredTensor,
    scheme: Scheme,
    bins: tuple[Bins, Bins] | None,
    importance: np.ndarray | None,
    progress: Progress | None,
) -> tuple[np.ndarray, Counts | None]:
    """The sums of all pieces, and the counts if there are bins to count in."""
    full, kind, cols = bins is not None, scheme.fmt, stored.cols
    kernel = measure_kernel(_RULE, kind.group if kind.group in loops.KNOWN_WIDTHS else 0)
    constants = constants_of(_CONSTANTS, None)
    asked = Asked(full, importance is not None, apart=True, wide=stored.is_wide, given=True)
    grid, sizes_of_blocks = scheme.granularity.grid(stored.rows, cols), scheme.granularity.sizes(stored.rows, cols)
    block_rmse = np.zeros(math.prod(grid) if full else 0, np.float32)
    pieces = Writer(stored, kind, importance).pieces()
    outs = sums.empty(len(pieces))
    tables: list[Tables] = []
    ticker = Ticker(progress, stored.size)
    no_codes, nothing = np.zeros((2, 0), np.int64), np.zeros(0, np.float32)

    def run(tasks) -> None:
        mine, writer = Tables.of(bins, PLACES), Writer(stored, kind, importance)
        tables.append(mine)
        for number, piece in tasks:
            out, trip = outs[number], writer.round_trip(piece)
            refuse_infinite(stored, scheme, trip.y)
            y = trip.y if trip.y.shape == trip.x.shape else np.ascontiguousarray(trip.y[:, : piece.cols])
            shared = kind.parameters(trip.data)
            scales = shared.scales.reshape(piece.rows, -1)
            sizes, errors = np.abs(scales), np.zeros(scales.shape if full else (1, 1))
            first = piece.start % cols
            weights = nothing if importance is None else importance[first : first + piece.cols]
            x = stored.read_exactly(piece.start, piece.stop).reshape(trip.x.shape) if stored.is_wide else trip.x
            kernel(
                asked, Weights(x, trip.x, y, weights), kind.group, 1, constants, Parameters(sizes, sizes, sizes),
                mine._replace(codes=no_codes), errors, out,
            )  # fmt: skip
            out[sums.CLIPPED] = 0  # a rule stands in, of which only the kernel is used
            out[sums.VANISHED] = vanished(kind, trip.x, shared.scales)
            if full:
                at, found = first_block(piece, grid[1]), errors.reshape(-1, kind.groups).sum(axis=1)
                blocks = slice(at, at + len(found))
                block_rmse[blocks] = np.sqrt(found / some_sizes(sizes_of_blocks, grid, blocks))
                _count(writer, trip, scales, shared.minima, mine.codes, out)
            ticker.tick(piece.stop - piece.start)

    work(pieces, run)
    out = sums.added(outs)
    if not full:
        return out, None
    *counted, numbers = Tables.added(tables, bins, PLACES)
    return out, Counts(
        *counted, by_code(kind, numbers), block_rmse.reshape(grid), int(out[sums.ZEROED]),
        int(out[sums.CLIPPED]) if kind.ends else None, float(out[sums.LEAST_ERROR]),
    )  # fmt: skip


def _count(writer: Writer, trip, scales: np.ndarray, minima: np.ndarray | None, table: np.ndarray, out) -> None:
    """Codes, and weights beyond the outermost codes of types whose codes are a range."""
    kind, cols = writer.kind, trip.x.shape[1]
    if kind.ends:
        shifts = np.zeros_like(scales) if minima is None else minima.reshape(scales.shape)
        ends = *map(np.float32, kind.ends), np.float32(kind.margin)
        out[sums.CLIPPED] = count_beyond(trip.x, np.ascontiguousarray(scales), shifts, kind.group, *ends)
    numbers = writer.memory("numbers", trip.y.shape, np.float32)
    view = unscaled(kind, trip.data, writer.memory("view", trip.data.shape, np.uint8))
    writer.kernels.dequantize(view, numbers.reshape(-1, kind.block))
    count_numbers(numbers, cols, table)
