"""The error of a layer's output, from the error of its weights and the second moment of its inputs.

Of W [rows, cols] and Ŵ, with E = Ŵ - W and inputs x, the mean of ‖E x‖² over the tokens is tr(E H Eᵀ) with
H = E[x xᵀ]: exact, however many tokens there were. Products are float64, since E often lies where H is small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import QuantvizError
from ..metrics import signal_to_noise_db
from ..tensors import StoredTensor
from .layer import Calibration

_PANEL = 512  # columns of H in float64 at once
_BAND = 1024  # rows of weights in float64 at once
NEEDED_BY = "The error of the output"


@dataclass(frozen=True, eq=False)
class Power:
    """Mean ‖A x‖² over the tokens of a calibration, and over its held-out ones (NaN where there are none).

    by_input: what of it each input channel carries, float64 [cols]: Σ over rows of a_j (A H)_j, which adds up to the
    whole. Below 0 where the error of a channel cancels that of others.
    """

    by_input: np.ndarray
    heldout: float

    @property
    def whole(self) -> float:
        return float(self.by_input.sum())


def power(a: np.ndarray, calibration: Calibration, check: Callable[[], None] | None = None) -> Power:
    """Of weights or of their errors, a: float32 [rows, cols]. check: called now and then; may raise to stop."""
    moment = calibration.second_moment(NEEDED_BY)
    by_input = np.zeros(calibration.cols)
    for first in range(0, calibration.cols, _PANEL):
        panel = moment[:, first : first + _PANEL].astype(np.float64)
        for row in range(0, len(a), _BAND):
            band = a[row : row + _BAND].astype(np.float64)
            by_input[first : first + _PANEL] += np.einsum("ij,ij->j", band @ panel, band[:, first : first + _PANEL])
            if check:
                check()
    return Power(by_input, _of_rows(a, calibration.heldout))


def _of_rows(a: np.ndarray, inputs: np.ndarray | None) -> float:
    """Mean ‖A x‖² over inputs given one by one."""
    if inputs is None or not len(inputs):
        return math.nan
    x = inputs.astype(np.float64).T
    total = 0.0
    for row in range(0, len(a), _BAND):
        y = a[row : row + _BAND].astype(np.float64) @ x
        total += float(np.einsum("ij,ij", y, y))
    return total / len(inputs)


def power_of(stored: StoredTensor, calibration: Calibration, check: Callable[[], None] | None = None) -> Power:
    """Mean ‖W x‖² of a tensor's own output; kept with the calibration for as long as the tensor is held."""
    return calibration.of_signal(
        stored, lambda: power(stored.read().reshape(stored.matrix), calibration, check)
    )  # fmt: skip


def output_metrics(error: Power, signal: Power) -> dict[str, float]:
    """`output_relative_error`, `output_sqnr_db`, and the same error on held-out inputs where there are any."""
    noise, whole = max(error.whole, 0.0), signal.whole
    found = {
        "output_relative_error": math.sqrt(noise / whole) if whole > 0 else math.nan,
        "output_sqnr_db": signal_to_noise_db(whole, noise),
    }
    if not math.isnan(signal.heldout):
        found["heldout_output_relative_error"] = (
            math.sqrt(error.heldout / signal.heldout) if signal.heldout > 0 else math.nan
        )
    return found


def shares(error: Power) -> np.ndarray:
    """The share of the output's squared error that each input channel carries, float64 [cols], which adds up to 1.

    Raises QuantvizError where there is no error to share.

    >>> shares(Power(np.array([3.0, 1.0]), math.nan))
    array([0.75, 0.25])
    """
    if not error.whole > 0:
        raise QuantvizError("The output has no error, so no input channel carries a share of it.")
    return error.by_input / error.whole
