"""SmoothQuant: what makes some inputs large moves into the weights, so that inputs are easier to quantize.

Xiao et al., arXiv 2211.10438, equation 4: s_j = max|x_j|^α / max|w_j|^(1-α) of input channel j, in the form of the
authors' code (mit-han-lab/smoothquant, smooth_ln_fcs): max|w_j| and s_j are 1e-5 at least. Columns of weights are
multiplied by s, and inputs divided by it, which in a model the layer before does. Layers that share their inputs share
s there, made of the largest weight of them all; here it is that of one layer alone.
"""

from __future__ import annotations

import numpy as np

from ..errors import QuantvizError
from ..schemes import Scheme
from ..tensors import StoredTensor
from ..text.wording import number
from .layer import Calibration

LEAST = 1e-5
SMOOTHED = "SmoothQuant with "  # begins what is said of a result


def scales_of(max_abs: np.ndarray, w: np.ndarray, alpha: float) -> np.ndarray:
    """s, float32 [cols], of the largest |x| of each input, float32 [cols], and weights float32 [rows, cols].

    >>> scales_of(np.float32([16, 1]), np.float32([[1, -0.5], [0.25, 1]]), 0.5)
    array([4., 1.], dtype=float32)
    """
    import torch  # whose powers are those of the authors' code

    inputs, weights = torch.tensor(max_abs), torch.tensor(np.abs(w).max(axis=0))
    s = inputs.pow(alpha) / weights.clamp(min=LEAST).pow(1 - alpha)
    return s.clamp(min=LEAST).numpy()


def smoothing(stored: StoredTensor, calibration: Calibration, alpha: float) -> np.ndarray:
    """s of a tensor of rows and columns. Raises QuantvizError where the largest inputs are not known."""
    if calibration.max_abs is None:
        raise QuantvizError(
            f"smooth={alpha:g} takes the largest |x| of each input, which this calibration does not hold: calibrate "
            "anew, from a text or inputs of your own."
        )
    return scales_of(calibration.max_abs, stored.read().reshape(stored.matrix), alpha)


def smoothed(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, importance: np.ndarray | None = None
) -> tuple[np.ndarray, StoredTensor, Calibration, np.ndarray | None]:
    """(s, weights times s, the calibration and the importance of inputs divided by s) under a scheme with smooth=."""
    scales = smoothing(stored, calibration, scheme.smooth)
    h = None if importance is None else importance / np.square(scales)
    return scales, multiplied(stored, scales), divided(calibration, scales), h


def multiplied(stored: StoredTensor, scales: np.ndarray) -> StoredTensor:
    """The weights with each column multiplied by its scale, float32."""
    w = stored.read().reshape(stored.matrix) * scales
    return StoredTensor(w.reshape(-1), "float32", stored.matrix, stored.name)


def divided(calibration: Calibration, scales: np.ndarray) -> Calibration:
    """Of inputs that are divided by the scales, as far as a solver looks at it."""
    if calibration.moment is None:
        return calibration
    moment = calibration.moment / scales
    moment /= scales[:, None]
    return Calibration(moment.diagonal().copy(), moment, calibration.tokens, name=calibration.name)


def said(alpha: float, scales: np.ndarray) -> str:
    low, high = (number(float(s), 3) for s in (scales.min(), scales.max()))
    return (
        f"{SMOOTHED}α = {alpha:g}: columns were multiplied by {low} to {high}, and inputs are divided by that. "
        "In a model the layer before takes the inverse in, so that nothing more is stored."
    )
