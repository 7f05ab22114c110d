"""What the codes of quantized blocks stand for, by the compiled dequantizers: on blocks whose scales are all 1.

A copy of the blocks keeps the bits of its codes and takes all others from a block whose scales are 1 and whose minima
are 0; dequantizing it gives numbers in place of weights. So codes are counted without a second reader of each layout.
"""

from __future__ import annotations

import numpy as np

from ....block_types import BlockType
from ..bits import place
from ..compiler import kernel
from ..loops.counts import tally
from ..once import once

f4, i4, u4 = np.float32, np.int32, np.uint32

EIGHTHS = i4(8)  # numbers are whole, or on iq1's grids multiples of an eighth
LARGEST = 128
PLACES = 2 * 8 * LARGEST + 1

# Runs of bytes (how many, each byte of the block with scales 1 and minima 0, which of its bits belong to codes).
_ONE, _FOUR, _EIGHT = (((1, 0x00, 0x00), (1, high, 0x00)) for high in (0x3C, 0x44, 0x48))  # as fp16
_NOTHING = (2, 0x00, 0x00)  # a minimum, or the scale of minima
_PAIRS = ((4, 0x01, 0x00), (4, 0x00, 0x00), (4, 0x01, 0x00))  # q4_k: scales, minima, and high bits of both
_RUNS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "q4_0": (*_ONE, (16, 0, 0xFF)),
    "q4_1": (*_ONE, _NOTHING, (16, 0, 0xFF)),
    "q5_0": (*_ONE, (20, 0, 0xFF)),
    "q5_1": (*_ONE, _NOTHING, (20, 0, 0xFF)),
    "q8_0": (*_ONE, (32, 0, 0xFF)),
    "q1_0": (*_ONE, (16, 0, 0xFF)),
    "q2_0": (*_ONE, (16, 0, 0xFF)),
    "q2_k": ((16, 0x01, 0x00), (64, 0, 0xFF), *_ONE, _NOTHING),
    "q3_k": ((96, 0, 0xFF), (8, 0x11, 0x00), (4, 0xAA, 0x00), *_ONE),  # 33, of which 32 are taken off
    "q4_k": (*_ONE, _NOTHING, *_PAIRS, (128, 0, 0xFF)),
    "q5_k": (*_ONE, _NOTHING, *_PAIRS, (160, 0, 0xFF)),
    "q6_k": ((192, 0, 0xFF), (16, 0x01, 0x00), *_ONE),
    "iq4_nl": (*_ONE, (16, 0, 0xFF)),
    "iq4_xs": (*_ONE, (2, 0xAA, 0x00), (4, 0x11, 0x00), (128, 0, 0xFF)),  # 33 again
    "iq3_s": (*_ONE, (104, 0, 0xFF), (4, 0x00, 0x00)),
    "iq3_xxs": (*_FOUR, (64, 0, 0xFF), *((3, 0, 0xFF), (1, 0x00, 0x0F)) * 8),  # d · (0 + ½) / 2
    "iq2_s": (*_EIGHT, (72, 0, 0xFF), (8, 0x00, 0x00)),  # d · (0 + ½) / 4
    "iq2_xs": (*_EIGHT, (64, 0, 0xFF), (8, 0x00, 0x00)),
    "iq2_xxs": (*_EIGHT, *((7, 0, 0xFF), (1, 0x00, 0x0F)) * 8),
    "iq1_s": (*_ONE, (32, 0, 0xFF), *((1, 0, 0xFF), (1, 0x00, 0x8F)) * 8),
    "iq1_m": ((48, 0, 0xFF), (5, 0x00, 0x00), (1, 0xC0, 0x00), (1, 0x00, 0x00), (1, 0x30, 0x00)),  # 0x3C00 in nibbles
    "tq1_0": ((52, 0, 0xFF), *_ONE),
    "tq2_0": ((64, 0, 0xFF), *_ONE),
    "gguf_mxfp4": ((1, 0x80, 0x00), (16, 0, 0xFF)),
    "gguf_nvfp4": ((4, 0x40, 0x00), (32, 0, 0xFF)),
}


@once
def _masks(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(bits of codes, what stands in place of all others), uint8 [bytes of a block] each."""
    runs = np.array(_RUNS[name])
    keep, put = (np.repeat(runs[:, i], runs[:, 0]).astype(np.uint8) for i in (2, 1))
    return keep, put


def unscaled(kind: BlockType, data: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`out`, filled with the same codes under scales of 1 and minima of 0; uint8 [blocks, bytes] both."""
    keep, put = _masks(kind.name)
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
