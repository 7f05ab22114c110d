"""q4_0, q4_1, q5_0 and q5_1 with importance: the k-quants' searches on blocks of 32, 64 blocks side by side.

Source of the rules: quantize_row_q{4,5}_{0,1}_impl in ggml's src/ggml-quants.c, commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..compiler import inlined, kernel
from ..once import once
from .bits import clamp, nearest, put_half
from .fit import Line, Trials
from .k.find import LANES, search_minimum, search_symmetric
from .plain import BLOCK

f4, i4, u1 = np.float32, np.int32, np.uint8


@inlined()
def weigh(x, importance, at, xt, w, mean_squares):
    """Turns blocks `at` … of x [rows, cols] into columns; a weight weighs importance · √(row's mean square + x²)."""
    rows, cols = x.shape
    per_row = cols // BLOCK
    for k in range(LANES):
        if at + k < rows * per_row:
            row, first = (at + k) // per_row, (at + k) % per_row * BLOCK
            block, given = x[row, first : first + BLOCK], importance[first : first + BLOCK]
            for i in range(BLOCK):
                xt[i, k] = block[i]
                w[i, k] = f4(given[i] * f4(np.sqrt(f4(mean_squares[row] + f4(block[i] * block[i])))))
        else:
            for i in range(BLOCK):
                xt[i, k] = w[i, k] = f4(0)


@inlined()
def fill_mean_squares(x, out):
    """Mean square of every row, added up in order."""
    for r in range(x.shape[0]):
        total = f4(0)
        for v in x[r]:
            total = f4(total + f4(v * v))
        out[r] = f4(total / f4(x.shape[1]))


@inlined()
def put_fifth_bits(codes, out):
    """Bit 4 of 32 codes as a 32-bit number in 4 bytes, lowest first."""
    mask = i4(0)
    for j in range(BLOCK):
        mask = i4(mask | i4(i4(codes[j] >> i4(4)) << i4(j)))
    for j in range(4):
        out[j] = u1(i4(mask >> i4(8 * j)) & i4(255))


@inlined()
def put_nibbles(codes, out):
    for j in range(BLOCK // 2):
        out[j] = u1(i4(codes[j] & i4(15)) | i4(i4(codes[j + 16] & i4(15)) << i4(4)))


@once
def weighted(bits: int, minimum: bool):
    """Kernel for one of the four: x float32 [rows, cols], importance float32 [cols], out uint8 [rows, row bytes]."""
    top = (1 << bits) - 1
    half = 1 << (bits - 1)
    trials = Trials(i4(top), f4(-0.9), f4(0.05), 36, False)
    at_codes = (4 if minimum else 2) + (4 if bits == 5 else 0)

    @kernel
    def run(x, importance, out):
        rows, cols = x.shape
        per_row = cols // BLOCK
        nbytes = out.shape[1] // per_row
        xt, w, aux = np.empty((BLOCK, LANES), f4), np.empty((BLOCK, LANES), f4), np.empty((BLOCK, LANES), f4)
        line = Line(np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4))
        scale, minus_min, factor, low = line
        s, mean_squares, codes = np.empty((11, LANES), f4), np.empty(rows, f4), np.empty(BLOCK, i4)
        fill_mean_squares(x, mean_squares)
        for at in range(0, rows * per_row, LANES):
            weigh(x, importance, at, xt, w, mean_squares)
            if minimum:
                search_minimum(xt, w, trials, line, s, aux)
            else:
                search_symmetric(xt, w, i4(half), scale, factor, s)
            for k in range(min(LANES, rows * per_row - at)):
                first = (at + k) % per_row * nbytes
                to = out[(at + k) // per_row, first : first + nbytes]
                put_half(to, 0, scale[k])
                if minimum:
                    put_half(to, 2, -minus_min[k])
                for i in range(BLOCK):
                    if minimum:
                        codes[i] = clamp(nearest(f4(factor[k] * f4(xt[i, k] - low[k]))), i4(0), i4(top))
                    else:
                        q = clamp(nearest(f4(factor[k] * xt[i, k])), i4(-half), i4(half - 1))
                        codes[i] = i4(q + i4(half)) if factor[k] != f4(0) else i4(0)
                if bits == 5:
                    put_fifth_bits(codes, to[at_codes - 4 : at_codes])
                put_nibbles(codes, to[at_codes : at_codes + 16])

    return run
