"""EXL3 beside plain quantization: the best way through the trellis for each tile of a sample, given suh and svh."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np

from ..checkpoints.decoded import Decoded
from ..checkpoints.readers.exl3 import SIDE, TILE
from ..kernels.results import Progress
from ..tensors import StoredTensor
from .plain import verdict_of
from .searched import Search, Searched, can_be_squared, spread

TILES = 96  # that are searched at most: a second or two on two processors
_THREADS = 16  # at most: a search holds up to 34 MB
# ExLlamaV3 sums errors in 16 bits as it searches, and rounds suh and svh afterwards. Of random numbers quantized so,
# without calibration, between half (at 8 bits) and all of the codes are those found here, and the error is 1.6% larger
# at most on average, 2.6% in a single tile; with calibration it is larger by tens of percent.
_CODES, _ERROR = 0.25, 1.03  # at least so many of the codes, at most so much of the error, for plain quantization
_SEARCH = Search(
    "tiles of 16 × 16 weights", "codebook, suh and svh", " of the numbers that its quantizer saw",
    "ExLlamaV3 adds to each tile what makes up for the errors of others (LDLQ), for a smaller error of the layer's "
    "output.",
    "ExLlamaV3 searches in numbers of 16 bits, and neither search tries everything.",
)  # fmt: skip


def beside_trellis(x: StoredTensor, y: Decoded, progress: Progress | None = None) -> tuple[Searched | None, str]:
    """x: the original as its quantizer saw it.  y: as it is stored. None and the reason where nothing can be told."""
    from ..kernels.cpu.workers import work

    first = y.first_row
    if first % SIDE or y.rows % SIDE:
        return None, f"{SIDE} rows of {y.stored_as} are transformed together, and here some of them are missing"
    places = spread(y.rows // TILE, y.cols // TILE, TILES, TILES)
    found: dict[int, np.ndarray] = {}  # by row of tiles
    lock = threading.Lock()

    def run(parts: Iterator[tuple[int, list[tuple[int, np.ndarray]]]]) -> None:
        for row, columns in (line for _, part in parts for line in part):
            tiles = _tiles(x, y, row, columns)
            with lock:
                found[row] = tiles
                if progress:
                    progress(len(found) * x.size // len(places), x.size)

    work([places[n::_THREADS] for n in range(min(_THREADS, len(places)))], run)
    tiles = np.concatenate([found[row] for row in sorted(found)])
    if not np.isfinite(tiles).all():
        return None, f"the original, divided by the suh and svh of {y.stored_as}, is not finite"
    count = len(tiles) * TILE**2
    mse, plain_mse, same = (float(total) for total in tiles.sum(axis=0) / count)
    verdict = verdict_of(mse, plain_mse, same >= _CODES and mse <= _ERROR * plain_mse)
    return Searched(_SEARCH, verdict, mse, plain_mse, round(same * count), count, len(tiles), x.size // TILE**2), ""


def _tiles(x: StoredTensor, y: Decoded, row: int, columns: np.ndarray) -> np.ndarray:
    """float64 [tiles, 3], of tiles in one row of them: Σ e² in the file, Σ e² as found, how many codes are the same.

    NaN of a tile that is not finite as its quantizer saw it.
    """
    from ..kernels.cpu.loops.trellis import nearest_states

    trellis = y.layer.unpack
    numbers, top, o = trellis.numbers, row * TILE // SIDE * SIDE, y.first_row // TILE + row
    arrays = y.arrays(top, top + SIDE)
    band = x.read(top * x.cols, (top + SIDE) * x.cols).reshape(SIDE, x.cols)
    tiles = np.full((len(columns), 3), np.nan)
    for at, i in enumerate(map(int, columns)):
        seen = trellis.seen(band[:, i * TILE // SIDE * SIDE :][:, :SIDE], arrays, i, o)
        if can_be_squared(seen):
            stored = trellis.states(arrays, i, o)
            best = nearest_states(seen.astype(np.float32), numbers.astype(np.float32), trellis.bits)
            errors = (np.square(numbers[states] - seen).sum() for states in (stored, best))
            tiles[at] = *errors, (stored == best).sum()
    return tiles
