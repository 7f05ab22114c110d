"""Counting weight by weight: histograms, logarithmic bins, codes. Indices are made in vectors, then counted singly."""

from __future__ import annotations

import numpy as np

from ..common import LOG_BIN_SHIFT
from .bits import MAGNITUDE, bits_of
from .compiler import inlined

f4, i4, u4 = np.float32, np.int32, np.uint32
SHIFT = i4(LOG_BIN_SHIFT)

# Two copies of every table, used in turn: counting the same bin twice in a row must not wait for itself.
COPIES = 2
# Weights counted at a time: their indices stay in the first-level cache beside the tables.
COUNTED = 1024


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
def bin_of(v, low, inverse_width, count):
    """0 below, 1 ... count inside, count + 1 above; float32, as `reference` counts."""
    position = f4(np.floor(f4(f4(v - low) * inverse_width)))
    return i4(i4(min(max(position, f4(-1)), count)) + i4(1))


@inlined()
def count_values(y, n, bins, index, table):
    low, inverse_width, count = bins[0], bins[1], bins[2]
    for j in range(n):
        index[j] = u4(bin_of(y[j], low, inverse_width, count))
    tally(index, n, table)


@inlined()
def count_errors(x, y, n, bins, index, table, log_table):
    low, inverse_width, count = bins[0], bins[1], bins[2]
    for j in range(n):
        index[j] = u4(bin_of(f4(y[j] - x[j]), low, inverse_width, count))
    tally(index, n, table)
    for j in range(n):
        index[j] = u4(i4(i4(bits_of(f4(y[j] - x[j])) & MAGNITUDE) >> SHIFT))
    tally(index, n, log_table)


@inlined()
def count_zeroed(x, y, n):
    total = i4(0)
    for j in range(n):
        total = i4(total + (i4(1) if (x[j] != f4(0)) & (y[j] == f4(0)) else i4(0)))
    return total


@inlined()
def count_outside(x, n, low, high):
    total = i4(0)
    for j in range(n):
        total = i4(total + (i4(1) if (x[j] < low) | (x[j] > high) else i4(0)))
    return total
