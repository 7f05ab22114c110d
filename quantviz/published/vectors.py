"""AQLM beside plain quantization: the nearest sums of vectors for a sample of groups, given codebooks and scales."""

from __future__ import annotations

import numpy as np

from ..checkpoints.decoded import Decoded
from ..checkpoints.readers.aqlm import taken_apart
from ..kernels.results import Progress
from ..tensors import StoredTensor
from .plain import ALL, verdict_of
from .searched import Search, Searched, can_be_squared, spread

PRODUCTS = 1 << 32  # that a round of the search may take
LINES = 512  # rows of groups that are looked at
_AT_ONCE = 1 << 22  # distances that are held
_LESS = 1e-6  # by how much of it an error must shrink for a code to change: what float32 can tell apart
_WHY = "AQLM chooses codes, and trains codebooks and scales, for a smaller error of the layer's output."
_SEARCH = Search("groups of weights", "codebooks and scales", "", _WHY, _WHY)


def beside_vectors(x: StoredTensor, y: Decoded, progress: Progress | None = None) -> tuple[Searched | None, str]:
    """x: the original as its quantizer saw it.  y: as it is stored. None and the reason where nothing can be told."""
    height = y.layer.height
    if y.first_row % height or y.rows % height:
        return None, f"{height} rows of {y.stored_as} share their codes, and here some of them are missing"
    count, vectors, _, width = y.layer.parts["codebooks"].info.shape
    rows, groups = y.rows // height, x.cols // width
    places = spread(rows, groups, min(rows * groups, max(1, PRODUCTS // (count * vectors * height * width))), LINES)
    targets, codes, scales = [], [], []
    for row, columns in places:
        own, books, shared = taken_apart(y.arrays(row * height, (row + 1) * height))
        band = x.read(row * height * x.cols, (row + 1) * height * x.cols).reshape(height, groups, width)
        targets.append(band[:, columns].swapaxes(0, 1).reshape(len(columns), -1))
        codes.append(own[0, columns])
        scales.append(np.broadcast_to(shared[0], groups)[columns])
    stored, scale = np.concatenate(codes), np.concatenate(scales).astype(np.float64)[:, None]
    weights = np.concatenate(targets).astype(np.float64)
    seen = np.divide(weights, scale, out=sums(books, stored), where=scale != 0)  # of scale 0, any code is the nearest
    if not can_be_squared(seen):
        return None, f"the original, divided by the scales of {y.stored_as}, is not finite"
    best = nearest(seen, books, stored, progress and (lambda n, total: progress(n * x.size // total, x.size)))
    errors = [np.square(weights - scale * sums(books, each)).sum(axis=1) for each in (stored, best)]
    same = int((stored == best).sum())
    mse, plain_mse = (float(e.sum()) / weights.size for e in errors)
    verdict = verdict_of(mse, plain_mse, same >= ALL * stored.size)
    return Searched(_SEARCH, verdict, mse, plain_mse, same, stored.size, len(stored), rows * groups), ""


def sums(books: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """float64 [n, d]: of the vectors that codes [n, codebooks] name."""
    return sum(np.take(book, codes[:, n], axis=0).astype(np.float64) for n, book in enumerate(books))


def nearest(x: np.ndarray, books: np.ndarray, codes: np.ndarray, progress: Progress | None = None) -> np.ndarray:
    """int64 [n, codebooks]: from the given codes on, each in turn is made the nearest beside the others, until all are.

    x: float64 [n, d].  books: float32 [codebooks, vectors, d]. No error grows; of one codebook, the result is the best
    there is.
    """
    codes, left, lengths = codes.copy(), np.arange(len(x)), np.square(books).sum(axis=2)
    step = max(1, _AT_ONCE // books.shape[1])
    while left.size:
        changed = np.zeros(len(x), bool)
        for begin in range(0, left.size, step):
            part = left[begin : begin + step]
            for n, book in enumerate(books):
                vectors = np.take(book, codes[part, n], axis=0)
                rest = x[part] - sums(books, codes[part]) + vectors  # what this codebook's vector has to be
                found = np.argmin(lengths[n] - 2 * (rest.astype(np.float32) @ book.T), axis=1)
                before, after = (np.square(rest - v).sum(axis=1) for v in (vectors, np.take(book, found, axis=0)))
                better = after < (1 - _LESS) * before
                codes[part[better], n] = found[better]
                changed[part[better]] = True
        if progress:
            progress(len(x) - int(changed.sum()), len(x))
        left = np.flatnonzero(changed) if len(books) > 1 else left[:0]
    return codes
