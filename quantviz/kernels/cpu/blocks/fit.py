"""ggml's searches for scales, many groups at a time.

A group is a column ("lane") of x float32 [n, lanes]: every sum runs down a column in ggml's order, so the bits are
ggml's, while the lanes lie side by side and fill vector registers. The number of lanes is a constant of a kernel,
because a loop of known length becomes better vector instructions; the length n of a group is not.

No search stores codes as it goes: it remembers for each lane the factor (and minimum) that made the best ones, from
which `codes` makes them again for the few groups that need them.

Source of the rules: make_qx_quants, make_q3_quants, make_qkx2_quants, make_qkx3_quants and make_qp_quants in ggml's
src/ggml-quants.c at commit d99724f2b141.
"""

from __future__ import annotations

import numpy as np

from ..compiler import kernel
from ..once import once
from .bits import clamp, nearest

f4, i4 = np.float32, np.int32

SMALLEST = f4(1e-15)  # a group whose largest magnitude lies below counts as zeros


@once
def scale_and_minimum(lanes: int):
    """Kernel for value = scale · code - minimum with codes 0 … top: least weighted error over `steps` + 1 factors.

    x, w float32 [n, lanes]; top the largest code; first, step, steps: the factors tried are
    (first + step·k + top) / range; absolute: error is |e|, not e².
    Fills scale, minus_min, factor, low float32 [lanes]; the codes are nearest(factor · (x - low)) within 0 … top.
    A constant group has scale and factor 0. Work space: s float32 [11, lanes], aux float32 [n, lanes].
    """

    @kernel
    def search(x, w, top, first, step, steps, absolute, scale, minus_min, factor, low, s, aux):
        n = x.shape[0]
        best, high, sum_w, sum_x = s[0], s[1], s[2], s[3]
        sum_l, sum_l2, sum_xl, error, trial, minimum, floor = s[4], s[5], s[6], s[7], s[8], s[9], s[10]
        top_f = f4(top)
        for k in range(lanes):
            minimum[k] = high[k] = x[0, k]
            sum_w[k] = w[0, k]
            sum_x[k] = f4(w[0, k] * x[0, k])
        for i in range(1, n):
            xi, wi = x[i], w[i]
            for k in range(lanes):
                minimum[k] = xi[k] if xi[k] < minimum[k] else minimum[k]
                high[k] = xi[k] if xi[k] > high[k] else high[k]
                sum_w[k] = f4(sum_w[k] + wi[k])
                sum_x[k] = f4(sum_x[k] + f4(wi[k] * xi[k]))
        for k in range(lanes):
            minimum[k] = f4(0) if minimum[k] > f4(0) else minimum[k]
            low[k] = floor[k] = minimum[k]
            factor[k] = f4(top_f / f4(high[k] - minimum[k]))
            scale[k] = f4(f4(1) / factor[k])
            best[k] = f4(0)
        for i in range(n):
            xi, wi = x[i], w[i]
            for k in range(lanes):
                q = f4(clamp(nearest(f4(factor[k] * f4(xi[k] - minimum[k]))), i4(0), top))
                e = f4(f4(f4(scale[k] * q) + minimum[k]) - xi[k])
                best[k] = f4(best[k] + f4(wi[k] * (f4(abs(e)) if absolute else f4(e * e))))
        for t in range(steps + 1):
            numerator = f4(f4(first + f4(step * f4(t))) + top_f)
            for k in range(lanes):
                trial[k] = f4(numerator / f4(high[k] - minimum[k]))
                sum_l[k] = sum_l2[k] = sum_xl[k] = f4(0)
            for i in range(n):
                xi, wi, ai = x[i], w[i], aux[i]
                for k in range(lanes):
                    q = f4(clamp(nearest(f4(trial[k] * f4(xi[k] - minimum[k]))), i4(0), top))
                    wq = f4(wi[k] * q)
                    ai[k] = q
                    sum_l[k] = f4(sum_l[k] + wq)
                    sum_l2[k] = f4(sum_l2[k] + f4(wq * q))
                    sum_xl[k] = f4(sum_xl[k] + f4(wq * xi[k]))
            # From here sum_l holds the trial's scale, and sum_l2 its minimum, or NaN where there is no solution.
            for k in range(lanes):
                a, b, c = sum_l[k], sum_l2[k], sum_xl[k]
                determinant = f4(f4(sum_w[k] * b) - f4(a * a))
                trial_scale = f4(f4(f4(sum_w[k] * c) - f4(sum_x[k] * a)) / determinant)
                trial_min = f4(f4(f4(b * sum_x[k]) - f4(a * c)) / determinant)
                trial_scale = f4(c / b) if trial_min > f4(0) else trial_scale
                trial_min = f4(0) if trial_min > f4(0) else trial_min
                sum_l[k] = trial_scale
                sum_l2[k] = trial_min
                error[k] = f4(0) if determinant > f4(0) else f4(np.nan)
            for i in range(n):
                xi, wi, ai = x[i], w[i], aux[i]
                for k in range(lanes):
                    e = f4(f4(f4(sum_l[k] * ai[k]) + sum_l2[k]) - xi[k])
                    error[k] = f4(error[k] + f4(wi[k] * (f4(abs(e)) if absolute else f4(e * e))))
            for k in range(lanes):
                better = error[k] < best[k]
                best[k] = error[k] if better else best[k]
                factor[k] = trial[k] if better else factor[k]
                low[k] = minimum[k] if better else low[k]
                scale[k] = sum_l[k] if better else scale[k]
                minimum[k] = sum_l2[k] if better else minimum[k]
        for k in range(lanes):
            constant = high[k] == floor[k]
            scale[k] = f4(0) if constant else scale[k]
            factor[k] = f4(0) if constant else factor[k]
            minus_min[k] = -floor[k] if constant else -minimum[k]

    return search


@once
def scale_alone(lanes: int):
    """Kernel for value = scale · code with codes -top … top - 1: largest (Σ w·x·code)² / Σ w·code² over 19 factors.

    x, w float32 [n, lanes]. Fills scale and factor float32 [lanes]; the codes are nearest(factor · x) within range.
    A group of zeros has scale and factor 0. Work space: s float32 [6, lanes].
    """

    @kernel
    def search(x, w, top, scale, factor, s):
        n = x.shape[0]
        largest, peak, sum_lx, sum_l2, best, trial = s[0], s[1], s[2], s[3], s[4], s[5]
        for k in range(lanes):
            largest[k] = peak[k] = f4(0)
        for i in range(n):
            xi = x[i]
            for k in range(lanes):
                a = f4(abs(xi[k]))
                peak[k] = xi[k] if a > largest[k] else peak[k]
                largest[k] = a if a > largest[k] else largest[k]
        for t in range(19):
            m = i4(0) if t == 0 else (i4(t - 10) if t < 10 else i4(t - 9))  # 0 first, then -9 … 9 without it
            numerator = -f4(f4(top) + f4(f4(0.1) * f4(m)))
            for k in range(lanes):
                trial[k] = f4(numerator / peak[k])
                sum_lx[k] = sum_l2[k] = f4(0)
            for i in range(n):
                xi, wi = x[i], w[i]
                for k in range(lanes):
                    q = f4(clamp(nearest(f4(trial[k] * xi[k])), -top, i4(top - i4(1))))
                    sum_lx[k] = f4(sum_lx[k] + f4(f4(wi[k] * xi[k]) * q))
                    sum_l2[k] = f4(sum_l2[k] + f4(f4(wi[k] * q) * q))
            for k in range(lanes):
                lx, l2 = sum_lx[k], sum_l2[k]
                if t == 0:
                    scale[k] = f4(lx / l2) if l2 != f4(0) else f4(0)
                    factor[k] = trial[k]
                    best[k] = f4(scale[k] * lx)
                else:
                    better = (l2 > f4(0)) & (f4(lx * lx) > f4(best[k] * l2))
                    scale[k] = f4(lx / l2) if better else scale[k]
                    factor[k] = trial[k] if better else factor[k]
                    best[k] = f4(f4(lx / l2) * lx) if better else best[k]
        for k in range(lanes):
            scale[k] = f4(0) if largest[k] < SMALLEST else scale[k]
            factor[k] = f4(0) if largest[k] < SMALLEST else factor[k]

    return search


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
def positive_scale(lanes: int):
    """Kernel for the scales of scales: value = scale · code with codes 0 … top, for values that are not negative.

    x, w float32 [n, lanes]. Fills scale float32 [lanes] and codes float32 [n, lanes] (which wrap at 256, as bytes do).
    Work space: s float32 [6, lanes].
    """

    @kernel
    def search(x, w, top, scale, codes, s):
        n = x.shape[0]
        high, factor, best, error, sum_lx, sum_l2 = s[0], s[1], s[2], s[3], s[4], s[5]
        for k in range(lanes):
            high[k] = best[k] = sum_lx[k] = sum_l2[k] = f4(0)
        for i in range(n):
            xi = x[i]
            for k in range(lanes):
                high[k] = high[k] if high[k] > xi[k] else xi[k]
        for k in range(lanes):
            factor[k] = f4(f4(top) / high[k])
        for i in range(n):
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
            for i in range(n):
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
