"""ggml's searches for scales that move one code at a time, until nothing gets better or five rounds have passed.

Groups are lanes, as in fit. Source of the rules: make_q3_quants and make_qp_quants in ggml's src/ggml-quants.c at
commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..compiler import inlined, kernel
from ..once import once
from .bits import clamp, nearest
from .fit import SMALLEST

f4, i4 = np.float32, np.int32


@once
def scale_by_descent(lanes: int):
    """Kernel for value = scale · code with codes -top … top - 1: one code at a time, at most five times round.

    x float32 [n, lanes], weighted by its own squares. Fills scale float32 [lanes] and codes float32 [n, lanes].
    A group of zeros has scale 0 and codes -top. Work space: s float32 [4, lanes].
    """

    @kernel
    def search(x, top, scale, codes, s):
        n = x.shape[0]
        largest, peak, sum_lx, sum_l2 = s[0], s[1], s[2], s[3]
        for k in range(lanes):
            largest[k] = peak[k] = sum_lx[k] = sum_l2[k] = f4(0)
        for i in range(n):
            xi = x[i]
            for k in range(lanes):
                a = f4(abs(xi[k]))
                peak[k] = xi[k] if a > largest[k] else peak[k]
                largest[k] = a if a > largest[k] else largest[k]
        for k in range(lanes):
            scale[k] = f4(-f4(top) / peak[k])
        for i in range(n):
            xi, ci = x[i], codes[i]
            for k in range(lanes):
                q = f4(clamp(nearest(f4(scale[k] * xi[k])), -top, i4(top - i4(1))))
                w = f4(xi[k] * xi[k])
                ci[k] = q
                sum_lx[k] = f4(sum_lx[k] + f4(f4(w * xi[k]) * q))
                sum_l2[k] = f4(sum_l2[k] + f4(f4(w * q) * q))
        for _ in range(5):  # a lane that has settled stays as it is
            for i in range(n):
                xi, ci = x[i], codes[i]
                for k in range(lanes):
                    v, q = xi[k], ci[k]
                    w = f4(v * v)
                    lx = f4(sum_lx[k] - f4(f4(w * v) * q))
                    l2 = f4(sum_l2[k] - f4(f4(w * q) * q))
                    new = f4(clamp(nearest(f4(f4(v * l2) / lx)), -top, i4(top - i4(1))))
                    new_lx = f4(lx + f4(f4(w * v) * new))
                    new_l2 = f4(l2 + f4(f4(w * new) * new))
                    gain = f4(f4(new_lx * new_lx) * sum_l2[k]) > f4(f4(sum_lx[k] * sum_lx[k]) * new_l2)
                    better = (lx > f4(0)) & (new != q) & (new_l2 > f4(0)) & gain
                    ci[k] = new if better else q
                    sum_lx[k] = new_lx if better else sum_lx[k]
                    sum_l2[k] = new_l2 if better else sum_l2[k]
        for k in range(lanes):
            zeros = largest[k] < SMALLEST
            scale[k] = f4(sum_lx[k] / sum_l2[k]) if (sum_l2[k] > f4(0)) & (not zeros) else f4(0)
        for i in range(n):
            ci = codes[i]
            for k in range(lanes):
                ci[k] = -f4(top) if largest[k] < SMALLEST else ci[k]

    return search


@once
def _best_factor(lanes: int):
    """Fills high with the largest value of each lane, and factor with the best of nine, by the error each leaves."""

    @inlined()
    def run(x, w, top, high, factor, best, error):
        for k in range(lanes):
            high[k] = best[k] = f4(0)
        for i in range(x.shape[0]):
            xi = x[i]
            for k in range(lanes):
                high[k] = high[k] if high[k] > xi[k] else xi[k]
        for k in range(lanes):
            factor[k] = f4(f4(top) / high[k])
        for i in range(x.shape[0]):
            xi, wi = x[i], w[i]
            for k in range(lanes):
                q = f4(i4(nearest(f4(factor[k] * xi[k])) & i4(255)))
                e = f4(xi[k] - f4(f4(f4(1) / factor[k]) * q))
                best[k] = f4(best[k] + f4(f4(wi[k] * e) * e))
        for t in range(8):
            m = i4(t - 4) if t < 4 else i4(t - 3)  # -4 … 4 without 0
            numerator = f4(f4(f4(0.1) * f4(m)) + f4(top))
            for k in range(lanes):
                error[k] = f4(0)
            for i in range(x.shape[0]):
                xi, wi = x[i], w[i]
                for k in range(lanes):
                    trial = f4(numerator / high[k])
                    q = f4(min(nearest(f4(trial * xi[k])), top))
                    e = f4(xi[k] - f4(f4(f4(1) / trial) * q))
                    error[k] = f4(error[k] + f4(f4(wi[k] * e) * e))
            for k in range(lanes):
                better = error[k] < best[k]
                best[k] = error[k] if better else best[k]
                factor[k] = f4(numerator / high[k]) if better else factor[k]

    return run


@once
def positive_scale(lanes: int):
    """Kernel for the scales of scales: value = scale · code with codes 0 … top, for values that are not negative.

    x, w float32 [n, lanes]. Fills scale float32 [lanes] and codes float32 [n, lanes] (which wrap at 256, as bytes do).
    Work space: s float32 [6, lanes].
    """
    best_factor = _best_factor(lanes)

    @kernel
    def search(x, w, top, scale, codes, s):
        n = x.shape[0]
        high, factor, best, error, sum_lx, sum_l2 = s[0], s[1], s[2], s[3], s[4], s[5]
        best_factor(x, w, top, high, factor, best, error)
        for k in range(lanes):
            sum_lx[k] = sum_l2[k] = f4(0)
        for i in range(n):
            xi, wi, ci = x[i], w[i], codes[i]
            for k in range(lanes):
                whole = i4(min(nearest(f4(factor[k] * xi[k])), top))
                q = f4(whole)
                ci[k] = f4(i4(whole & i4(255)))
                sum_lx[k] = f4(sum_lx[k] + f4(f4(wi[k] * xi[k]) * q))
                sum_l2[k] = f4(sum_l2[k] + f4(f4(wi[k] * q) * q))
        for _ in range(5):  # a lane that has settled stays as it is
            for i in range(n):
                xi, wi, ci = x[i], w[i], codes[i]
                for k in range(lanes):
                    v, u, q = xi[k], wi[k], ci[k]
                    lx = f4(sum_lx[k] - f4(f4(u * v) * q))
                    l2 = f4(sum_l2[k] - f4(f4(u * q) * q))
                    whole = i4(min(nearest(f4(f4(v * l2) / lx)), top))
                    new = f4(whole)
                    new_lx = f4(lx + f4(f4(u * v) * new))
                    new_l2 = f4(l2 + f4(f4(u * new) * new))
                    gain = f4(f4(new_lx * new_lx) * sum_l2[k]) > f4(f4(sum_lx[k] * sum_lx[k]) * new_l2)
                    better = (lx > f4(0)) & (l2 > f4(0)) & (new != q) & gain
                    ci[k] = f4(i4(whole & i4(255))) if better else q
                    sum_lx[k] = new_lx if better else sum_lx[k]
                    sum_l2[k] = new_l2 if better else sum_l2[k]
        for k in range(lanes):
            zeros = high[k] < SMALLEST
            scale[k] = f4(sum_lx[k] / sum_l2[k]) if (sum_l2[k] > f4(0)) & (not zeros) else f4(0)
        for i in range(n):
            ci = codes[i]
            for k in range(lanes):
                ci[k] = f4(0) if high[k] < SMALLEST else ci[k]

    return search
