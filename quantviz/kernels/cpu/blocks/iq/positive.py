"""The first guess of IQ2_XXS: the scale that fits 32 weights on the plain levels 0 … 4.

Follows make_qp_quants of ggml (ggml-quants.c at d99724f2b141), to the point that it keeps levels in single bytes: the
few weights below zero that IQ2_XXS hands it come back as 255, and are reckoned with as that.
"""

from __future__ import annotations

import numpy as np

from ...compiler import inlined
from ..bits import nearest

f4, i4 = np.float32, np.int32

PART, TOP, SWEEPS = 32, 4, 5
LANES, TRIES = 16, 4  # candidates in steps of a tenth of a level, four either side
TOO_SMALL = f4(1e-15)


@inlined()
def _level(v):
    return i4(min(nearest(v), i4(TOP)))


@inlined()
def positive_scale(x, weight, level, inverse, step, error):
    """x, weight float32 [32]; room: level int32 [32], inverse, step and error float32 [16]."""
    largest = f4(0)
    for j in range(PART):
        largest = x[j] if x[j] > largest else largest
    if largest < TOO_SMALL:
        return f4(0)
    for t in range(LANES):
        inverse[t] = f4(f4(f4(f4(0.1) * f4(t - TRIES)) + f4(TOP)) / largest)
        error[t] = f4(0)
    chosen = f4(f4(TOP) / largest)
    inverse[TRIES] = chosen
    for t in range(LANES):
        step[t] = f4(f4(1) / inverse[t])
    plain = f4(0)
    for j in range(PART):
        v, w = x[j], weight[j]
        for t in range(LANES):
            off = f4(v - f4(step[t] * f4(_level(f4(inverse[t] * v)))))
            error[t] = f4(error[t] + f4(f4(w * off) * off))
        off = f4(v - f4(step[TRIES] * f4(nearest(f4(chosen * v)) & i4(255))))
        plain = f4(plain + f4(f4(w * off) * off))
    for t in range(2 * TRIES + 1):
        if t != TRIES and error[t] < plain:
            plain = error[t]
            chosen = inverse[t]
    return _improve(x, weight, level, chosen)


@inlined()
def _improve(x, weight, level, inverse):
    """Moves one level at a time to where the others' scale would have it, as long as the fit improves."""
    along, square = f4(0), f4(0)
    for j in range(PART):
        q = _level(f4(inverse * x[j]))
        level[j] = q & i4(255)
        along = f4(along + f4(f4(weight[j] * x[j]) * f4(q)))
        square = f4(square + f4(f4(weight[j] * f4(q)) * f4(q)))
    for _ in range(SWEEPS):
        moved = False
        for j in range(PART):
            w, v, q = weight[j], x[j], f4(level[j])
            other_along = f4(along - f4(f4(w * v) * q))
            other_square = f4(square - f4(f4(w * q) * q))
            if other_along > f4(0) and other_square > f4(0):
                new = _level(f4(f4(v * other_square) / other_along))
                if new != level[j]:
                    n = f4(new)
                    other_along = f4(other_along + f4(f4(w * v) * n))
                    other_square = f4(other_square + f4(f4(w * n) * n))
                    if f4(f4(other_along * other_along) * square) > f4(f4(along * along) * other_square):
                        level[j] = new & i4(255)
                        along, square = other_along, other_square
                        moved = True
        if not moved:
            break
    return f4(along / square) if square > f4(0) else f4(0)
