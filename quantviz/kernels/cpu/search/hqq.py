"""solver=hqq: each group's minimum moves until few errors are large; its scale stays."""

from __future__ import annotations

import numpy as np

from ...searching import HQQ_BETA, HQQ_EXPONENT, HQQ_ITERATIONS
from ..compiler import inlined, kernel
from ..loops import groups as loops
from ..rules.scalings import Parameters
from .groups import Groups

f4, f8 = np.float32, np.float64


def half_quadratic(groups: Groups, found: Parameters) -> Parameters:
    """HQQ's proximal solver: each group's minimum moves, its scale stays.

    Source: Badri and Shaji, Half-Quadratic Quantization (2023); the package's default settings. The package stops
    early when the mean |e| of the whole tensor no longer falls; here every group takes all iterations.
    """
    job = groups.job
    factor, stored, minimum = found
    sizes = groups.sizes()
    for _ in range(HQQ_ITERATIONS):
        now = minimum

        def call(x, _, of, into, now=now) -> None:
            _hqq_step(x, groups.width, groups.height, job.constants, of(factor), of(stored), of(now), into)

        minimum = (groups.add(f8, call) / sizes).astype(f4)
    return found._replace(extra=loops.stored_kernel(minimum, job.constants))


# |e| - |e|^(p-1) / β is below 0 for |e| < (1 / β)^(1 / (2 - p)) = 0.1701, which spares nearly every weight the power.
ALL_SHRUNK = f4(0.99 * (1 / HQQ_BETA) ** (1 / (2 - HQQ_EXPONENT)))


@inlined()
def _shrunk(e):
    """HQQ's shrinkage of an error: sign(e) · max(|e| - |e|^(p-1) / β, 0)."""
    a = abs(e)
    if a < ALL_SHRUNK:
        return f4(0)
    r = f4(max(f4(a - f4(f4(1 / HQQ_BETA) * a ** f4(HQQ_EXPONENT - 1))), f4(0)))
    return r if e > f4(0) else -r


@kernel
def _hqq_step(x, width, height, k, factor, stored, minimum, into):
    """into[group] += Σ of where each weight would have the minimum."""
    rows, cols = x.shape
    for i in range(rows):
        gi = i // height
        for g in range(minimum.shape[1]):
            a, b, c = factor[gi, g], stored[gi, g], minimum[gi, g]
            total = f8(0)
            for j in range(g * width, min(g * width + width, cols)):
                v = x[i, j]
                steps = f4(min(max(f4(np.rint(f4(f4(v - c) / a))), f4(0)), k.top) * b)
                e = f4(v - f4(c + steps))
                total += f8(f4(f4(v - _shrunk(e)) - steps))
            into[gi, g] += total
