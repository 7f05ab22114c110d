"""The Hadamard rotation of rows, compiled; `quantviz.schemes.hadamard` defines it and the order of every addition.

Single-threaded and without the GIL, for threads that each rotate rows of their own. About a nanosecond a weight
for rows of a power of two; a factor m adds m / 4 additions a weight.
"""

from __future__ import annotations

import numpy as np

from ....schemes.hadamard import matrix, order, scale, signs
from ..compiler import inlined, kernel
from ..once import once

f4 = np.float32

COLUMNS = 128  # weights that the inner loops of `mix` take at a time; their 32 sums of four fill half a core's cache
NOTHING = f4(-0.0)  # what leaves every number as it is when added, zeros of both signs too


def rotate(x: np.ndarray, into: np.ndarray, seed: int = 0) -> None:
    """H · (signs · x) / √n of every row of float32 [rows, n], written to `into` of that shape, which may be x.

    Raises QuantvizError where there is no rotation of n weights.
    """
    n = x.shape[1]
    m, _ = order(n)
    _transform_kernel(m > 1)(x, into, signs(n, seed).copy(), np.full(n, scale(n)), _patterns(m, False))


def unrotate(y: np.ndarray, into: np.ndarray, seed: int = 0) -> None:
    """signs · (Hᵀ · y) / √n of every row: the way back, but for float32 rounding. Arguments as for `rotate`."""
    n = y.shape[1]
    m, _ = order(n)
    _transform_kernel(m > 1)(y, into, np.ones(n, f4), signs(n, seed) * scale(n), _patterns(m, True))


@once
def _patterns(m: int, transposed: bool) -> np.ndarray:
    """uint8 [m, m / 4]: the signs of four entries of a row as a number of four bits; a column of 0 makes it even."""
    h = matrix(m).T if transposed else matrix(m)
    if m == 1:
        return np.zeros((1, 0), np.uint8)
    patterns = (h.reshape(m, m // 4, 4) < 0) @ np.array([1, 2, 4, 8])
    return np.pad(patterns, ((0, 0), (0, m // 4 % 2))).astype(np.uint8)


@inlined()
def two_strides(x, y, n):
    """Butterflies of strides 1 and 2; n weights of x to y, and each to where its two lowest index bits come on top.

    So the next pass finds the next two strides as neighbours, and when all bits have gone round every weight is
    back in its place. One loop, which reads neighbours and writes four runs, serves all strides, and vectorises.
    """
    q = n // 4
    y0, y1, y2, y3 = y[:q], y[q : 2 * q], y[2 * q : 3 * q], y[3 * q : n]
    for i in range(q):
        a, b, c, d = x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]
        a, b, c, d = a + b, a - b, c + d, c - d
        y0[i], y1[i], y2[i], y3[i] = a + c, b + d, a - c, b - d


@inlined()
def one_stride(x, y, n):
    """The same for the last stride alone, where their number is odd."""
    q = n // 2
    y0, y1 = y[:q], y[q:n]
    for i in range(q):
        a, b = x[2 * i], x[2 * i + 1]
        y0[i], y1[i] = a + b, a - b


@inlined()
def butterflies(x, spare, n):
    """All strides below n, a power of two: from x to `spare`, back, and so on, as often as `passes` says."""
    for done in range(passes(n)):
        if n >> (2 * done) == 2:
            one_stride(x, spare, n)
        else:
            two_strides(x, spare, n)
        x, spare = spare, x


@inlined()
def passes(n):
    """How often n weights are gone over: once for every two strides below n."""
    count = 0
    while n > 1:
        n //= 4
        count += 1
    return count


@inlined()
def sums_of_four(x, o, n, halves, sums):
    """sums[p] = (±x[0] ± x[1]) + (±x[2] ± x[3]) over columns [o, o + n), for each pattern p of four signs.

    The loops over patterns take their length from the arrays: unrolled they would take three times as long to compile.
    """
    a, b, c, d = x[0, o : o + n], x[1, o : o + n], x[2, o : o + n], x[3, o : o + n]
    for p in range(len(halves) // 2):
        first, second = f4(1 - 2 * (p & 1)), f4(1 - (p & 2))
        low, high = halves[p], halves[4 + p]
        for j in range(n):
            low[j] = first * a[j] + second * b[j]
            high[j] = first * c[j] + second * d[j]
    for p in range(len(sums)):
        low, high, total = halves[p & 3], halves[4 + (p >> 2)], sums[p]
        for j in range(n):
            total[j] = low[j] + high[j]


@inlined()
def mix(x, y, columns, patterns, halves, sums):
    """y = Hm · x over [m, columns], two fours at a time; their 16 sums each serve all rows of Hm."""
    m = x.shape[0]
    for o in range(0, columns, COLUMNS):
        n = min(COLUMNS, columns - o)
        for i in range(m):
            y[i, o : o + n] = NOTHING
        for g in range(0, patterns.shape[1], 2):
            for t in range(2):
                if 4 * (g + t) < m:
                    sums_of_four(x[4 * (g + t) :], o, n, halves, sums[t])
                else:
                    sums[t] = NOTHING
            for i in range(m):
                a, b, total = sums[0, patterns[i, g]], sums[1, patterns[i, g + 1]], y[i, o : o + n]
                for j in range(n):
                    total[j] = total[j] + a[j] + b[j]


@once
def _transform_kernel(mixes: bool):
    """Made without `mix` for powers of two, and with it where that is needed, because it doubles the compilation.

    Rows are taken in batches [m, rows · width] at least COLUMNS wide, so that `mix` has long loops for any width.
    """

    @kernel
    def run(x, into, before, after, patterns):
        rows, n = x.shape
        m = patterns.shape[0]
        width = n // m
        batch = min(max(1, COLUMNS // width), max(1, rows))
        turned, spare = np.empty((m, batch * width), f4), np.empty(width, f4)
        result = turned
        if mixes:
            result, halves = np.empty((m, batch * width), f4), np.empty((8, COLUMNS), f4)
            sums = np.empty((2, 16, COLUMNS), f4)
        for start in range(0, rows, batch):
            count = min(batch, rows - start)
            for r in range(count):
                for i in range(m):
                    xs, factors = x[start + r, i * width :], before[i * width :]
                    part = turned[i, r * width : (r + 1) * width]
                    source, target = (spare, part) if passes(width) % 2 else (part, spare)  # the last ends in `part`
                    for j in range(width):
                        source[j] = xs[j] * factors[j]
                    butterflies(source, target, width)
            if mixes:
                mix(turned, result, count * width, patterns, halves, sums)
            for r in range(count):
                for i in range(m):
                    part, ys, factors = result[i, r * width :], into[start + r, i * width :], after[i * width :]
                    for j in range(width):
                        ys[j] = part[j] * factors[j]

    return run
