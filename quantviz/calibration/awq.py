"""AWQ: columns that large inputs meet are made larger before they are rounded, and the inputs smaller.

Lin et al., arXiv 2306.00978. Each column is multiplied by s = E|x|^α / m^(1-α), where m is the mean over rows of |w|
against its group's largest; within [1e-4, 1e4], and divided by √(max s · min s). α is the one of 0, 0.05 … 1 with
the least error of the output. That is ModelOpt's `awq_lite` with alpha_step=0.05; AutoAWQ ("duo scaling", a grid of
20) adds 1e-4 to the denominator and leaves α = 1 out. Then, as AutoAWQ's `_compute_best_clip` does, each group's
weights are cut off where what it adds to the output has the least error, of 1, 0.95 … 0.55 of its largest.
ModelOpt and AutoAWQ take the errors over inputs; here they are taken from E[x xᵀ], which gives the same sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .. import kernels
from ..kernels.cpu import reconstruct
from ..kernels.results import Quantized
from ..schemes import Scheme
from ..schemes.granularity import TENSOR
from ..tensors import StoredTensor
from ..text.wording import number
from .layer import Calibration

f4 = np.float32
EXPONENT = "AWQ's exponent is "  # how the notice about it begins
Progress = Callable[[int, int], None]
RATIOS = tuple(i / 20 for i in range(21))
SHRINKS = tuple(1 - i / 20 for i in range(10))
_LEAST, _MOST = f4(1e-4), f4(1e4)  # of a scale before they are brought around 1
_LARGE = 1 << 22  # weights: of more, not every exponent is tried on all of E[x xᵀ] ...
_FINALISTS = 5  # ... but so many, the best ones on a sample of inputs


@dataclass(frozen=True, eq=False)
class Scaled:
    """The exponent, and what each column is multiplied by: float32 [cols]. losses: exponent -> mean ‖(Ŵ - W) x‖²."""

    ratio: float
    scales: np.ndarray
    losses: dict[float, float]


def solve(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, importance=None, progress: Progress | None = None
) -> Quantized:
    """Quantized of rows and columns; `input_scales` says what the columns were multiplied by.

    importance: not used, since a range that is searched for by it is refused beside this solver.
    """
    w = np.array(stored.read()).reshape(stored.matrix)
    plain = scheme.without_data
    clips = plain.granularity != TENSOR
    told = _Told(progress, w.size, len(RATIOS) + len(SHRINKS) * clips)
    found = search(w, plain, calibration, told)
    w *= found.scales
    if clips:
        width = plain.granularity.within(*w.shape)[1]
        _clip(w, plain, width, calibration.moment, found.scales, told)
    q = kernels.quantize(w, plain)
    low, high = found.scales.min(), found.scales.max()
    said = (
        f"{EXPONENT}{found.ratio:g}: columns were multiplied by {number(float(low), 3)} to "
        f"{number(float(high), 3)}. In a model the layer before takes the inverse in, so that nothing more is stored."
    )
    return replace(q, scheme=scheme, input_scales=found.scales, notices=(*q.notices, *calibration.remarks, said))


def scales_of(mean_abs: np.ndarray, weight: np.ndarray, ratio: float) -> np.ndarray:
    """What columns are multiplied by. mean_abs: E|x|, and weight: m, both float32 [cols]."""
    tiny = np.finfo(f4).tiny
    s = np.power(mean_abs, f4(ratio)) / (np.power(weight, f4(1 - ratio)) + tiny)
    s = np.clip(s, _LEAST, _MOST).astype(f4)
    return s / np.sqrt(s.max() * s.min())


def weight_scale(w: np.ndarray, width: int) -> np.ndarray:
    """The mean over rows of |w| against the largest of its group of `width` columns, float32 [cols]."""
    out = np.empty(w.shape[1], f4)
    for first in range(0, w.shape[1], width):
        part = np.abs(w[:, first : first + width])
        part /= part.max(axis=1, keepdims=True) + np.finfo(f4).tiny
        out[first : first + width] = part.mean(axis=0, dtype=np.float64)
    return out


def search(
    w: np.ndarray, plain: Scheme, calibration: Calibration, told: Callable[[], None] = lambda: None,
    ratios: tuple[float, ...] = RATIOS,
) -> Scaled:  # fmt: skip
    """The exponent with the least error of the output, of weights float32 [rows, cols] under a plain scheme."""
    mean_abs = calibration.mean_abs if calibration.mean_abs is not None else np.sqrt(calibration.importance)
    weight = weight_scale(w, plain.granularity.within(*w.shape)[1])
    errors = np.empty_like(w)

    def loss(ratio: float, of: Callable[[np.ndarray], float]) -> float:
        _errors(w, plain, scales_of(mean_abs, weight, ratio), errors)
        return of(errors)

    tried, sample = ratios, calibration.inputs
    if w.size > _LARGE and sample is not None and len(sample) > len(ratios):
        rough = {}
        for ratio in ratios:
            rough[ratio] = loss(ratio, lambda e: float(np.square(e @ sample.T).sum(dtype=np.float64)))
            told()
        tried = tuple(sorted(sorted(ratios, key=rough.get)[:_FINALISTS]))
    losses = {}
    for ratio in tried:
        losses[ratio] = loss(ratio, lambda e: _moment_loss(e, calibration.moment))
        told()
    best = min(losses, key=losses.get)
    return Scaled(best, scales_of(mean_abs, weight, best), losses)


def _moment_loss(errors: np.ndarray, moment: np.ndarray) -> float:
    """tr(E H Eᵀ) as the sum of EᵀE times H: half the work, since BLAS knows that EᵀE is symmetric."""
    return float(np.einsum("ij,ij", errors.T @ errors, moment, dtype=np.float64))


def _errors(w: np.ndarray, plain: Scheme, scales: np.ndarray, into: np.ndarray) -> None:
    """Fills in what rounding w × scales to nearest, and dividing by them again, changes."""

    def visit(first: int, _: np.ndarray, y: np.ndarray) -> None:
        part = into[first : first + len(y)]
        np.divide(y, scales, out=part)
        part -= w[first : first + len(y)]

    reconstruct(_stored(w * scales), plain, None, visit)


def _stored(w: np.ndarray) -> StoredTensor:
    return StoredTensor(w.reshape(-1), "float32", w.shape)


def _clip(
    w: np.ndarray, plain: Scheme, width: int, moment: np.ndarray, scales: np.ndarray, told: Callable[[], None]
) -> None:
    """Cuts off, in place, what is beyond the best range of each row's part of a group. w: scaled weights."""
    groups = [slice(at, min(at + width, w.shape[1])) for at in range(0, w.shape[1], width)]
    largest = np.stack([np.abs(w[:, group]).max(axis=1) for group in groups], axis=1)
    best, least = largest.copy(), np.full(largest.shape, np.inf, f4)
    cut, errors, loss = np.empty_like(w), np.empty_like(w), np.empty_like(largest)

    def visit(first: int, _: np.ndarray, y: np.ndarray) -> None:
        part = errors[first : first + len(y)]
        np.subtract(y, w[first : first + len(y)], out=part)
        part /= scales

    for shrink in SHRINKS:
        limit = largest * f4(shrink)
        _cut(w, limit, groups, cut)
        reconstruct(_stored(cut), plain, None, visit)
        for place, group in enumerate(groups):
            part = errors[:, group]
            np.einsum("ij,ij->i", part @ moment[group, group], part, out=loss[:, place])
        better = loss < least
        best[better], least[better] = limit[better], loss[better]
        told()
    _cut(w, best, groups, w)


def _cut(w: np.ndarray, limit: np.ndarray, groups: list[slice], into: np.ndarray) -> None:
    for place, group in enumerate(groups):
        most = limit[:, place : place + 1]
        np.clip(w[:, group], -most, most, out=into[:, group])


class _Told:
    """Progress in steps of equal weight."""

    def __init__(self, progress: Progress | None, size: int, steps: int) -> None:
        self._progress, self._size, self._steps, self._done = progress, size, steps, 0

    def __call__(self) -> None:
        self._done = min(self._done + 1, self._steps)
        if self._progress:
            self._progress(self._done * self._size // self._steps, self._size)
