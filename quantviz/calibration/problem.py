"""What GPTQ is given of a layer: weights as they are rounded, the grid of each group, how errors are passed on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import kernels
from ..kernels.results import Quantized
from ..schemes import Scheme
from ..tensors import StoredTensor
from . import gptq
from .layer import Calibration
from .steps import Steps, steps_of


@dataclass(frozen=True, eq=False)
class Problem:
    """weights: float32 [rows, cols], rotated where the scheme says so, and 0 where an input was always 0.

    nearest: the same weights rounded to nearest, whose scales and zero points stay.  u: as `gptq.factor` gives it.
    order: of the columns; None for as they stand.  dead: the columns of inputs that were always 0.
    """

    weights: np.ndarray
    nearest: Quantized
    steps: Steps
    u: np.ndarray
    order: np.ndarray | None
    dead: np.ndarray


def problem(stored: StoredTensor, scheme: Scheme, calibration: Calibration, importance: Any = None) -> Problem:
    """Of a tensor of rows and columns. Raises QuantvizError where E[x xᵀ] cannot be inverted."""
    moment, w = calibration.moment, np.array(stored.read()).reshape(stored.matrix)
    if scheme.rotate == "hadamard":
        w, moment = _rotated(w), _rotated_moment(moment)
    dead = np.flatnonzero(moment.diagonal() == 0)
    plain = scheme.without_data
    # Scales and zero points are those of the original weights, whatever its solver does to them afterwards.
    nearest = kernels.quantize(stored.read().reshape(stored.matrix), plain, importance)
    exact = None
    if scheme.double:
        exact = kernels.quantize(stored.read().reshape(stored.matrix), replace(plain, double=False), importance).scales
    order = gptq.order_of(moment, scheme.order)
    u = gptq.factor(moment, scheme.damp, order, scheme.key)
    w[:, dead] = 0
    return Problem(w, nearest, steps_of(nearest, exact), u, order, dead)


def _rotated(a: np.ndarray) -> np.ndarray:
    import torch

    from ..kernels.rotation import rotate

    return rotate(torch.from_numpy(np.require(a, requirements=["C", "W"]))).numpy()  # a file's is not writable


def _rotated_moment(moment: np.ndarray) -> np.ndarray:
    """Of rotated inputs R x: R H Rᵀ, kept symmetric."""
    turned = _rotated(_rotated(moment).T)
    turned += turned.T.copy()
    turned /= 2
    return turned
