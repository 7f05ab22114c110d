"""What a scheme does to one tensor, as one number that can be added over tensors, in four grades.

All of them grow with the square of the error, as the KL divergence of a model does while errors are small: then what
each tensor does to the model adds up. Measured on the demo model, the KL divergences of its 28 linear layers, one
quantized at a time, sum to 0.95 of that of all together at int4-sym-b32, 0.90 at int3-sym-b32 and 0.85 at
int2-asym-b32.

Of what can be made of Σe² and Σx², n·Σe² / Σx² went best with the KL divergence of single tensors there, its embedding
among them: over 29 tensors and three schemes the spread of the logarithm of their ratio was 0.81, and 0.91 for Σe²,
0.96 for Σe² / Σx², 0.90 for Σe² / n. Σ h·e² had 1.53 over the linear layers, and relative to the output's size 0.74.
What neither tells is the place of a tensor: a weight of the embedding, which is the head too there, did six times the
harm of one in a layer at the same relative error. An error of the head moves the predictions at once; one in a layer is
a part of what all layers add up to. So the grades without a model count the head as all layers together, which are 6.5
times as many weights there; 3 to 13 times do as well.

Plans of int3-sym-b32's, int4-sym-b32's and q4_k_m's size then have less KL divergence than those, by many standard
errors of the difference over 27 windows of a text that nothing was planned by (nats, ± paired over windows):

    damage       at 3.50 bits, 0.1505      at 4.50 bits, 0.0260      at 5.05 bits, 0.00664
    weights      0.0575, less 0.0930 ± 19  0.0120, less 0.0140 ± 4   0.00569, less 0.00095 ± 5
    output       0.0512, less 0.0993 ± 19  0.0111, less 0.0149 ± 4   0.00589, less 0.00074 ± 7
    calibrated   0.0556, less 0.0949 ± 20  0.0111, less 0.0150 ± 4   0.00577, less 0.00087 ± 6
    kl           0.0421, less 0.1084 ± 21  0.0092, less 0.0168 ± 3   0.00415, less 0.00249 ± 8

± is in units of the last digit. Counted like any other weights, the head had too few bits at the last size: 0.00948 by
weights and 0.00999 by output, more than q4_k_m. A floor of q6_k mended that, and cost more than it gained at 3.5 bits.
`python -m tests.benchmarks.planner --pays` measures all of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..checkpoints.names.fused import canonical
from ..errors import QuantvizError, did_you_mean
from .rules import GUARDED

_NAMES_SHOWN = 4


@dataclass(frozen=True)
class Grade:
    """name: as it is chosen.  formula: of one tensor under one scheme.  sums: what the sum over tensors is."""

    name: str
    label: str
    formula: str
    unit: str
    sums: str


_OF_HEAD = (
    " The head, or the embedding that does its work, counts as many weights as all layers together: its error moves "
    "the predictions at once."
)
_DECLARED = (
    Grade("weights", "Error of the weights", "n·Σe² / Σx²", "weights",
          "The relative squared error of each tensor counted once for each of its n weights." + _OF_HEAD),
    Grade("output", "Error of the outputs by importance", "n·Σ h·e² / (mean(h)·Σx²)", "weights",
          "The relative squared error of each layer's output, for inputs of mean square h that do not depend on each "
          "other, counted once for each of its n weights. Where nothing is known of a tensor's inputs, all count "
          "alike, which makes it the error of the weights." + _OF_HEAD),
    Grade("calibrated", "Error of the outputs over a calibration", "n·‖Ŵx - Wx‖² / ‖Wx‖²", "weights",
          "The relative squared error of each layer's output over a calibration's inputs x, counted once for each of "
          "its n weights: over those held out where there are such, and with the inputs quantized too where the scheme "
          "says so. Where the calibration has no inputs of a tensor, it is the error of the weights."
          + _OF_HEAD),
    Grade("kl", "KL divergence", "KL of the model with this tensor alone quantized", "nats",
          "The sum over tensors stands for the KL divergence of the whole. Where a unit of several tensors was "
          "measured, each gets the share that n·Σe² / Σx² gives it; a scheme that was not measured gets the figure of "
          "the one nearest to it in error, times the ratio of their squared errors."),
)  # fmt: skip
GRADES: dict[str, Grade] = {grade.name: grade for grade in _DECLARED}
# Of the columns that a calibration adds, those that tell most of a layer first: GPTQ fits inputs that are not held out.
_OUTPUT_ERRORS = ("heldout_joint_output_relative_error", "joint_output_relative_error",
                  "heldout_output_relative_error", "output_relative_error")  # fmt: skip


def grade_of(name: str) -> Grade:
    """Raises QuantvizError for a name that is none of GRADES."""
    if name not in GRADES:
        raise QuantvizError(f"There is no damage {name!r}; choose {', '.join(GRADES)}.{did_you_mean(name, GRADES)}")
    return GRADES[name]


def damages(frame: pd.DataFrame, grade: str, sensitivity: pd.DataFrame | None = None) -> np.ndarray:
    """float64, one for each row of a sweep's frame; NaN where the grade says nothing of it.

    sensitivity: for the grade "kl", as `sensitivity` measures it, by tensor, role or layer.
    Raises QuantvizError where what the grade needs is missing altogether.
    """
    grade_of(grade)
    if grade in _BY_ERROR:
        return _BY_ERROR[grade](frame) * _as_layers(frame)
    if sensitivity is None:
        raise QuantvizError(
            "Damage kl needs what `sensitivity` measured of this model; give its file with --sensitivity FILE."
        )
    return _of_model(frame, sensitivity)


def _of_weights(frame: pd.DataFrame) -> np.ndarray:
    error, squared, weights = (
        frame[name].to_numpy(np.float64, na_value=np.nan) for name in ("squared_error", "squared", "weights")
    )
    return np.where(error == 0, 0.0, weights * error / np.where(squared > 0, squared, np.nan))


def _of_outputs(frame: pd.DataFrame) -> np.ndarray:
    known = has_importance(frame)
    if not known.any():
        raise QuantvizError(
            "This sweep was made without importance, so it tells nothing of outputs; sweep with --importance FILE, "
            "or plan with --damage weights."
        )
    error, weighted, importance = (
        frame[name].to_numpy(np.float64, na_value=np.nan)
        for name in ("squared_error", "weighted_squared_error", "importance")
    )
    # Σh over all weights divided by their number is the mean; it stands in for h where the error has h.
    mean = importance / frame["weights"].to_numpy(np.float64)
    ratio = np.where(known & (error > 0), weighted / np.where(mean * error > 0, mean * error, np.nan), 1.0)
    return _of_weights(frame) * ratio


def _of_calibration(frame: pd.DataFrame) -> np.ndarray:
    relative = _output_error(frame)
    if np.isnan(relative).all():
        raise QuantvizError(
            "This sweep was made without a calibration, so it tells nothing of outputs over one; sweep with "
            "--calibration FILE, or plan with --damage weights."
        )
    squared = frame["weights"].to_numpy(np.float64) * np.square(relative)
    return np.where(np.isnan(squared), _of_weights(frame), squared)


_BY_ERROR = {"weights": _of_weights, "output": _of_outputs, "calibrated": _of_calibration}


def has_head(tensors: pd.DataFrame) -> np.ndarray:
    """bool, for each row: whether it is of the head, or where none was swept of the embedding, which does its work."""
    role = "head" if (tensors["role"] == "head").any() else "embedding"
    return (tensors["role"] == role).to_numpy(bool)


def _as_layers(frame: pd.DataFrame) -> np.ndarray:
    """float64, for each row: what its weights count; 1 but for the head, which counts as all layers together."""
    tensors = frame.drop_duplicates("tensor")
    weights, of_head = tensors["weights"].to_numpy(np.float64), has_head(tensors)
    layers = weights[~tensors["role"].isin(GUARDED).to_numpy(bool)].sum()
    times = max(1.0, layers / weights[of_head].sum()) if of_head.any() else 1.0
    return np.where(has_head(frame), times, 1.0)


def _output_error(frame: pd.DataFrame) -> np.ndarray:
    """float64, for each row: ‖Ŵx - Wx‖ / ‖Wx‖ as _OUTPUT_ERRORS prefers it; NaN where a calibration told nothing."""
    found = np.full(len(frame), np.nan)
    for name in _OUTPUT_ERRORS:
        if name in frame:
            found = np.where(np.isnan(found), frame[name].to_numpy(np.float64, na_value=np.nan), found)
    return found


def grades_of(frame: pd.DataFrame, sensitivity: pd.DataFrame | None = None) -> tuple[str, ...]:
    """The names of the grades that a sweep tells something of, and with `sensitivity` of the model."""
    told = {
        "weights": True, "output": has_importance(frame).any(), "kl": sensitivity is not None,
        "calibrated": not np.isnan(_output_error(frame)).all(),
    }  # fmt: skip
    return tuple(name for name in GRADES if told[name])


def has_importance(frame: pd.DataFrame) -> np.ndarray:
    """bool, for each row: whether the importance of the tensor's inputs was known."""
    return (frame["weighted_squared_error"].notna() & (frame["importance"] > 0)).to_numpy(bool)


def _of_model(frame: pd.DataFrame, sensitivity: pd.DataFrame) -> np.ndarray:
    told = sensitivity[sensitivity["kl_mean"].notna()]
    kinds = told["by"].unique()
    if len(kinds) != 1:
        raise QuantvizError(f"The sensitivity holds {len(kinds)} kinds of unit with figures; give a file of one kind.")
    work = pd.DataFrame(
        {"unit": _units(frame, kinds[0]), "scheme": frame["scheme"].to_numpy(), "own": _of_weights(frame)}
    )
    whole = work.groupby(["unit", "scheme"])["own"].sum(min_count=1)
    known: dict[str, list[tuple[float, float]]] = {}  # unit -> its error under a scheme, and what that does
    for unit, scheme, kl in told[["unit", "scheme", "kl_mean"]].itertuples(index=False):
        unit = canonical(unit).name if kinds[0] == "tensor" else unit
        error = whole.get((unit, scheme), np.nan)
        if error > 0:
            known.setdefault(unit, []).append((float(error), max(float(kl), 0.0)))
    if not known:
        raise QuantvizError("The sensitivity and the sweep share no unit and scheme; make both of one model.")
    totals = whole.to_dict()
    return np.array(
        [
            _scaled(own, totals[unit, scheme], known.get(unit, ())) if own == own else np.nan
            for unit, scheme, own in work.itertuples(index=False)
        ]
    )


def _scaled(own: float, error: float, known: list[tuple[float, float]] | tuple[()]) -> float:
    """What a tensor does to the model: the figure of its unit under the scheme measured that is nearest in error."""
    if own == 0:
        return 0.0
    if not known:
        return np.nan
    at, kl = min(known, key=lambda pair: abs(np.log(pair[0] / error)))
    return kl * own / at


def _units(frame: pd.DataFrame, by: str) -> np.ndarray:
    """The unit of each row as a sensitivity calls it: a tensor by GGUF's name for it, a role, or `layer 3`."""
    if by == "tensor":
        return np.array([canonical(name.partition("[")[0]).name for name in frame["tensor"]], object)
    if by == "role":
        return frame["role"].to_numpy(object)
    layers = zip(frame["layer"], frame["role"], strict=True)
    return np.array([role if pd.isna(layer) else f"layer {int(layer)}" for layer, role in layers], object)


def without(grade: str, missing: np.ndarray) -> str:
    """A sentence for tensors of which a grade says nothing.  missing: their names."""
    what = "sensitivity" if grade == "kl" else "error relative to the weights"
    more = f" and {len(missing) - _NAMES_SHOWN:,} more" if len(missing) > _NAMES_SHOWN else ""
    return (
        f"There is no {what} for {', '.join(missing[:_NAMES_SHOWN])}{more}; keep them as they are stored, or plan with "
        "another damage."
    )
