"""ggml's searches for scales, many groups at a time.

A group is a column ("lane") of x float32 [n, lanes]: every sum runs down a column in ggml's order, so the bits are
ggml's, while the lanes lie side by side and fill vector registers. The number of lanes is a constant of a kernel,
because a loop of known length becomes better vector instructions; the length n of a group is not.

No search stores codes as it goes: it remembers for each lane the factor (and minimum) that made the best ones, from
which `codes` makes them again for the few groups that need them. Those that move one code at a time are in descent.

Source of the rules: make_qx_quants, make_qkx2_quants and make_qkx3_quants in ggml's src/ggml-quants.c at commit
d99724f2b141.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..compiler import inlined, kernel
from ..once import once
from .bits import clamp, nearest

f4, i4 = np.float32, np.int32

SMALLEST = f4(1e-15)  # a group whose largest magnitude lies below counts as zeros


class Trials(NamedTuple):
    """What to try. top: the largest code.  The factors tried are (first + step·k + top) / range for k of 0 … steps.
    absolute: error is |e|, not e².
    """

    top: np.int32
    first: np.float32
    step: np.float32
    steps: int
    absolute: bool


class Line(NamedTuple):
    """What is found for each lane, float32 [lanes]: value = scale · code - minus_min, and the codes are
    nearest(factor · (x - low)) within 0 … top."""

    scale: np.ndarray
    minus_min: np.ndarray
    factor: np.ndarray
    low: np.ndarray


class _Room(NamedTuple):
    """Work space of `scale_and_minimum`, float32 [lanes] each."""

    best: np.ndarray
    high: np.ndarray
    floor: np.ndarray
    minimum: np.ndarray
    sum_w: np.ndarray
    sum_x: np.ndarray
    sum_l: np.ndarray
    sum_l2: np.ndarray
    sum_xl: np.ndarray
    error: np.ndarray
    trial: np.ndarray


@once
def _begin(lanes: int):
    """Fills the sums over each lane, and line and best with the line from its smallest to its largest weight."""

    @inlined()
    def run(x, w, trials, line, room):
        top, absolute = trials.top, trials.absolute
        best, high, floor, minimum, sum_w, sum_x = room[:6]
        scale, factor, low, n = line.scale, line.factor, line.low, x.shape[0]
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
            factor[k] = f4(f4(top) / f4(high[k] - minimum[k]))
            scale[k] = f4(f4(1) / factor[k])
            best[k] = f4(0)
        for i in range(n):
            xi, wi = x[i], w[i]
            for k in range(lanes):
                q = f4(clamp(nearest(f4(factor[k] * f4(xi[k] - minimum[k]))), i4(0), top))
                e = f4(f4(f4(scale[k] * q) + minimum[k]) - xi[k])
                best[k] = f4(best[k] + f4(wi[k] * (f4(abs(e)) if absolute else f4(e * e))))

    return run


@once
def _try(lanes: int):
    """Fills aux with the codes of one factor, (numerator) / range, and the sums that a line through them needs."""

    @inlined()
    def run(x, w, top, numerator, room, aux):
        high, minimum, trial = room.high, room.minimum, room.trial
        sum_l, sum_l2, sum_xl = room.sum_l, room.sum_l2, room.sum_xl
        for k in range(lanes):
            trial[k] = f4(numerator / f4(high[k] - minimum[k]))
            sum_l[k] = sum_l2[k] = sum_xl[k] = f4(0)
        for i in range(x.shape[0]):
            xi, wi, ai = x[i], w[i], aux[i]
            for k in range(lanes):
                q = f4(clamp(nearest(f4(trial[k] * f4(xi[k] - minimum[k]))), i4(0), top))
                wq = f4(wi[k] * q)
                ai[k] = q
                sum_l[k] = f4(sum_l[k] + wq)
                sum_l2[k] = f4(sum_l2[k] + f4(wq * q))
                sum_xl[k] = f4(sum_xl[k] + f4(wq * xi[k]))

    return run


@once
def _judge(lanes: int):
    """The best line through the codes in aux: its scale into sum_l, its minimum into sum_l2, and its error, which is
    NaN where there is no solution."""

    @inlined()
    def run(x, w, absolute, room, aux):
        sum_w, sum_x, error = room.sum_w, room.sum_x, room.error
        sum_l, sum_l2, sum_xl = room.sum_l, room.sum_l2, room.sum_xl
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
        for i in range(x.shape[0]):
            xi, wi, ai = x[i], w[i], aux[i]
            for k in range(lanes):
                e = f4(f4(f4(sum_l[k] * ai[k]) + sum_l2[k]) - xi[k])
                error[k] = f4(error[k] + f4(wi[k] * (f4(abs(e)) if absolute else f4(e * e))))

    return run


@once
def scale_and_minimum(lanes: int):
    """Kernel for value = scale · code - minimum with codes 0 … top: least weighted error over some factors.

    x, w float32 [n, lanes]; fills the Line. A constant group has scale and factor 0.
    Work space: s float32 [11, lanes], aux float32 [n, lanes].
    """
    begin, try_codes, judge = _begin(lanes), _try(lanes), _judge(lanes)

    @kernel
    def search(x, w, trials, line, s, aux):
        room = _Room(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10])
        best, high, floor, minimum, error, trial = (
            room.best,
            room.high,
            room.floor,
            room.minimum,
            room.error,
            room.trial,
        )
        found_scale, found_minimum = room.sum_l, room.sum_l2
        scale, minus_min, factor, low = line
        begin(x, w, trials, line, room)
        for t in range(trials.steps + 1):
            numerator = f4(f4(trials.first + f4(trials.step * f4(t))) + f4(trials.top))
            try_codes(x, w, trials.top, numerator, room, aux)
            judge(x, w, trials.absolute, room, aux)
            for k in range(lanes):
                better = error[k] < best[k]
                best[k] = error[k] if better else best[k]
                factor[k] = trial[k] if better else factor[k]
                low[k] = minimum[k] if better else low[k]
                scale[k] = found_scale[k] if better else scale[k]
                minimum[k] = found_minimum[k] if better else minimum[k]
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
