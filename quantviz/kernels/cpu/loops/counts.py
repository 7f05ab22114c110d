"""Counting weight by weight: histograms, logarithmic bins, codes. Indices are made in vectors, then counted singly.

Counting singly is what costs, so that what can be counted together is: both bins of an error, and codes in pairs.
"""

from __future__ import annotations

import numpy as np

from ...bins import LOG_BIN_SHIFT, LOG_BINS, Bins
from ..bits import MAGNITUDE, bits_of, float_of, within
from ..compiler import inlined

f4, i4, u4 = np.float32, np.int32, np.uint32
SHIFT = i4(LOG_BIN_SHIFT)

# Two copies of every table, used in turn: counting the same bin twice in a row must not wait for itself.
COPIES = 2
# Weights counted at a time: their indices stay in the first-level cache beside the tables.
COUNTED = 1024
# Codes of formats with no more than FEW of them are counted in pairs: table[·, first + FEW · second]; a second of FEW
# stands for none.
FEW = 16
PAIRS = FEW * (FEW + 1)
INFINITE = i4(0x7F800000)


@inlined()
def tally(index, n, table):
    """table[·, index] += 1 for n unsigned indices (signed ones would each be checked for counting from the end)."""
    first, second = table[0], table[1]
    even = n - n % 2
    for j in range(0, even, 2):
        first[index[j]] += 1
        second[index[j + 1]] += 1
    if even < n:
        first[index[even]] += 1


@inlined()
def tally_codes(index, n, table):
    """table[·, code] += 1 for n codes counted from 0; overwrites `index` where the table is one of pairs."""
    if table.shape[1] != PAIRS:
        tally(index, n, table)
        return
    half = n // 2
    first, second = index[:half], index[half : 2 * half]
    for j in range(half):
        first[j] = u4(first[j] + u4(FEW) * second[j])
    tally(first, half, table)
    if 2 * half < n:
        table[0, index[2 * half] + u4(FEW * FEW)] += 1


def places_of(codes: int) -> int:
    """How many places a table of codes has."""
    return PAIRS if 0 < codes <= FEW else codes


@inlined()
def codes_of(table):
    """How many codes a table of `places_of` can tell apart."""
    return FEW if table.shape[1] == PAIRS else table.shape[1]


def unpaired(counted: np.ndarray, codes: int) -> np.ndarray:
    """Counts int64 [places_of(codes)] -> [codes]."""
    if places_of(codes) != PAIRS:
        return counted
    pairs = counted.reshape(FEW + 1, FEW)
    return (pairs.sum(axis=0) + pairs.sum(axis=1)[:FEW])[:codes]


@inlined()
def bin_of(v, low, inverse_width, count):
    """0 below, 1 ... count inside, count + 1 above; float32, as `reference` counts."""
    position = f4(np.floor(f4(f4(v - low) * inverse_width)))
    return i4(within(position, f4(-1), count) + i4(1))


@inlined()
def count_values(y, n, bins, index, table):
    low, inverse_width, count = bins[0], bins[1], bins[2]
    for j in range(n):
        index[j] = u4(bin_of(y[j], low, inverse_width, count))
    tally(index, n, table)


# Errors are counted in cells. Of positive errors both bins, the equal one and the logarithmic one, only rise with the
# error, so that the sum of their numbers, the cell, tells them both. Of negative errors the equal bin falls as the
# logarithmic one rises: there its number is taken from the end, and the cells lie behind those of positive errors.


def cells_of(bins: Bins) -> int:
    """How many cells errors have."""
    return 2 * (LOG_BINS + bins.count + 2)


@inlined()
def count(x, y, n, value_bins, error_bins, index, values, cells):
    """Counts y by value and y - x by cell; returns how many weights became zero, and the least |y - x|."""
    value_low, value_inverse, value_last = value_bins[0], value_bins[1], value_bins[2]
    low, inverse_width, last = error_bins[0], error_bins[1], error_bins[2]
    above, negative = i4(i4(last) + i4(1)), i4(cells.shape[1] // 2)
    value_index, cell = index[:COUNTED], index[COUNTED : 2 * COUNTED]
    zeroed, least = i4(0), INFINITE
    for o in range(0, n, COUNTED):
        m = min(COUNTED, n - o)
        xs, ys = x[o : o + m], y[o : o + m]
        for j in range(m):
            e = f4(ys[j] - xs[j])
            pattern = bits_of(e)
            size = i4(pattern & MAGNITUDE)
            least = min(least, size)
            equal, log = bin_of(e, low, inverse_width, last), i4(size >> SHIFT)
            cell[j] = u4(i4(log + (equal if pattern >= i4(0) else i4(negative + above - equal))))
            value_index[j] = u4(bin_of(ys[j], value_low, value_inverse, value_last))
            zeroed = i4(zeroed + (i4(1) if (xs[j] != f4(0)) & (ys[j] == f4(0)) else i4(0)))
        tally(value_index, m, values)
        tally(cell, m, cells)
    return zeroed, float_of(least)


def split(cells: np.ndarray, bins: Bins) -> tuple[np.ndarray, np.ndarray]:
    """Counts int64 [cells_of(bins)] -> errors by equal bin [bins.count + 2] and their magnitudes by logarithmic bin."""
    errors, logs = np.zeros(bins.count + 2, np.int64), np.zeros(LOG_BINS, np.int64)
    starts = np.minimum(np.arange(LOG_BINS, dtype=np.int32) << SHIFT, INFINITE).view(f4)
    for sign, counted in zip((f4(1), f4(-1)), np.split(cells, 2), strict=True):
        equal = bins.places(sign * starts)
        first = (equal if sign > 0 else bins.count + 1 - equal) + np.arange(LOG_BINS)
        used = np.flatnonzero(counted)
        log = np.searchsorted(first, used, side="right") - 1  # the last logarithmic bin that starts at or before a cell
        equal = used - log
        np.add.at(errors, equal if sign > 0 else bins.count + 1 - equal, counted[used])
        np.add.at(logs, log, counted[used])
    return errors, logs


@inlined()
def count_outside(x, n, low, high):
    total = i4(0)
    for j in range(n):
        total = i4(total + (i4(1) if (x[j] < low) | (x[j] > high) else i4(0)))
    return total
