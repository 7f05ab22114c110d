"""What the codes of quantized blocks stand for, by the compiled dequantizers: on blocks whose scales are all 1.

A copy of the blocks keeps the bits of its codes and takes all others from a block whose scales are 1 and whose minima
are 0, both as its type tells them; dequantizing it gives numbers in place of weights. So codes are counted without a
second reader of each layout.
"""

from __future__ import annotations

import numpy as np

from ....block_types import BlockType
from ..bits import place
from ..compiler import kernel
from ..loops.counts import tally

f4, i4, u4 = np.float32, np.int32, np.uint32

EIGHTHS = i4(8)  # numbers are whole, or on iq1's grids multiples of an eighth
LARGEST = 128
PLACES = 2 * 8 * LARGEST + 1


def unscaled(kind: BlockType, data: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`out`, filled with the same codes under scales of 1 and minima of 0; uint8 [blocks, bytes] both."""
    keep, put = kind.unscaling
    np.bitwise_and(data, keep, out=out)
    return np.bitwise_or(out, put, out=out)


@kernel
def count_numbers(numbers, cols, table):
    """table[·, 8 · (number + LARGEST)] += 1 for numbers float32 [rows, at least cols], of each row the first `cols`."""
    index = np.empty(8192, u4)
    for i in range(numbers.shape[0]):
        for o in range(0, cols, 8192):
            part = numbers[i, o : min(o + 8192, cols)]
            for j in range(part.shape[0]):
                index[j] = place(i4(part[j] * f4(EIGHTHS)) + EIGHTHS * i4(LARGEST), PLACES)
            tally(index, part.shape[0], table)


def by_code(kind: BlockType, counted: np.ndarray) -> np.ndarray:
    """int64 [number of codes] from what was counted by number; of two codes for one number the first has it all."""
    counts = np.zeros(1 << kind.bits, np.int64)
    numbers, first = np.unique(kind.numbers, return_index=True)
    known = np.isfinite(numbers)
    places = (numbers[known] * EIGHTHS).astype(np.int64) + EIGHTHS * LARGEST
    counts[first[known]] = counted[places]
    return counts


@kernel
def count_beyond(x, scales, minima, group, lowest, highest, margin):
    """How many weights lie more than `margin` scales below or above what the codes of their group reach.

    x float32 [rows, cols]; scales, minima float32 [rows, groups]; lowest, highest: numbers of the outermost codes.
    """
    total = 0
    for i in range(x.shape[0]):
        for g in range(-(-x.shape[1] // group)):
            s, m = scales[i, g], minima[i, g]
            if s == f4(0):
                continue
            a, b = f4(f4(s * lowest) + m), f4(f4(s * highest) + m)
            rest = f4(abs(s) * margin)
            low, high = f4(min(a, b) - rest), f4(max(a, b) + rest)
            part, found = x[i, g * group : min((g + 1) * group, x.shape[1])], i4(0)
            for j in range(part.shape[0]):
                found = i4(found + (i4(1) if (part[j] < low) | (part[j] > high) else i4(0)))
            total += found
    return total
