"""How well what is cheap to know of a tensor predicts what quantizing it costs the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checkpoints.names.fused import canonical, parts_of
from ..checkpoints.names.roles import role
from ..errors import QuantvizError
from ..metrics import Metric
from .frame import COLUMNS
from .units import unit_of

if TYPE_CHECKING:
    import pandas as pd

_DECLARED = (
    Metric("squared_error", "Squared error", "Σe²", "weight²", "lower",
           "Of all weights of the unit; large tensors have more of it."),
    Metric("relative_l2_error", "Relative L2 error", "‖e‖ / ‖x‖", "fraction", "lower",
           "The error's length against that of the weights, however many there are."),
    Metric("sqnr_db", "SQNR", "10·log₁₀(Σx² / Σe²)", "dB", "higher",
           "The same in decibels, so it ranks exactly the other way round."),
    Metric("relative_error_by_size", "Relative squared error times weights", "n·Σe² / Σx²", "weights", "lower",
           "The share of the weights' energy that is lost, counted once a weight."),
    Metric("weighted_squared_error", "Importance-weighted squared error", "Σh·e²", "", "lower",
           "The squared error of the layer's output, weighed by how large its inputs are."),
)  # fmt: skip
GRADES: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}
"""What is cheap: from the weights alone, and with importance."""
ALL_SCHEMES = ""
_SUMS = ("squared", "squared_error", "weighted_squared_error")
_NEEDED = ("tensor", "scheme", "weights", "squared", "squared_error")
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Agreement:
    """points: a row a unit and scheme of both tables: unit, role, scheme, weights, kl_mean, kl_se and the grades.
    correlations: a row a scheme and grade, and ALL_SCHEMES for all together where there are several: scheme, grade,
    spearman, low, high, units. left_out: rows of the sensitivity without a grade.

    spearman is signed so that 1 means the grade ranks damage as the KL divergence does, for SQNR too.
    low, high: its 95% interval by Fisher's z with Bonett and Wright's error √((1 + ρ²/2) / (n - 3)).
    """

    by: str
    points: pd.DataFrame
    correlations: pd.DataFrame
    left_out: int


def agreement(sweep: pd.DataFrame, sensitivity: pd.DataFrame) -> Agreement:
    """Rank correlation of each cheap grade with the KL divergence, over the units both tables have.

    sweep: a row a tensor and scheme with tensor, scheme, weights, squared, squared_error and, where importance was
    known, weighted_squared_error.  sensitivity: as `sensitivity` gives it, of one `by`.
    Tensors are matched whoever named them; experts, fused tensors, roles and layers take the sums of their parts. A
    unit of which the sweep has not all weights is left out. Raises QuantvizError where columns are missing, and where
    the two share no unit.
    """
    import pandas as pd

    _check(sweep, _NEEDED, "sweep")
    _check(sensitivity, COLUMNS, "sensitivity")
    kinds = sensitivity["by"].unique()
    if len(kinds) != 1:
        raise QuantvizError(f"The sensitivity holds {len(kinds)} kinds of unit; give a table of one kind.")
    told = sensitivity[sensitivity["kl_mean"].notna()]
    sums = _sums_of_units(sweep, kinds[0])
    rows = [row for row in (_point(unit, sums) for unit in told.to_dict("records")) if row]
    if not rows:
        raise QuantvizError("The sweep and the sensitivity share no unit and scheme; make both of one model.")
    points = pd.DataFrame(rows)
    return Agreement(kinds[0], points, pd.DataFrame(list(_correlations(points))), len(sensitivity) - len(points))


def _check(frame: pd.DataFrame, needed: Any, what: str) -> None:
    if missing := [name for name in needed if name not in frame.columns]:
        raise QuantvizError(f"The table of the {what} lacks {', '.join(missing)}.")


def _sums_of_units(sweep: pd.DataFrame, by: str) -> dict[tuple[str, str], dict[str, float]]:
    """(canonical name of a tensor, or unit; scheme) -> the sums over what the sweep has of it."""
    import pandas as pd

    names = sweep["tensor"].str.partition("[")[0]
    key = names.map(lambda name: canonical(name).name if by == "tensor" else unit_of(name, by))
    columns = [name for name in _SUMS if name in sweep.columns]
    whole = pd.DataFrame({"key": key, "scheme": sweep["scheme"], "weights": sweep["weights"], **sweep[columns]})
    whole = whole[whole["squared_error"].notna()]
    added = whole.groupby(["key", "scheme"], sort=False).agg(lambda values: values.sum(skipna=False))
    return {key: dict(row) for key, row in zip(added.index, added.to_dict("records"), strict=True)}


def _point(unit: Mapping[str, Any], sums: Mapping[tuple[str, str], dict[str, float]]) -> dict[str, Any] | None:
    """One row of points; None where the sweep has not exactly the weights of the unit."""
    own = unit["unit"]
    names = [own]
    if unit["by"] == "tensor":
        name = canonical(own).name
        names = [name] if (name, unit["scheme"]) in sums else list(parts_of(name))
    found = [sums[name, unit["scheme"]] for name in names if (name, unit["scheme"]) in sums]
    if len(found) < max(len(names), 1) or sum(part["weights"] for part in found) != unit["weights"]:
        return None
    total = {name: math.fsum(part.get(name, math.nan) for part in found) for name in _SUMS}
    kept = {name: unit[name] for name in ("unit", "scheme", "weights", "kl_mean", "kl_se")}
    of = role(own) if unit["by"] == "tensor" else own if unit["by"] == "role" else "other"
    return {**kept, "role": of, **_grades(total, unit["weights"])}


def _grades(total: Mapping[str, float], weights: int) -> dict[str, float]:
    squared, lost = total["squared"], total["squared_error"]
    share = lost / squared if squared else math.nan
    return {
        "squared_error": lost,
        "relative_l2_error": math.sqrt(share),
        "sqnr_db": math.inf if share == 0 else -10 * math.log10(share),
        "relative_error_by_size": weights * share,
        "weighted_squared_error": total["weighted_squared_error"],
    }


def _correlations(points: pd.DataFrame) -> Iterator[dict[str, Any]]:
    schemes = list(points["scheme"].unique())
    for scheme in [*schemes, *([ALL_SCHEMES] if len(schemes) > 1 else [])]:
        own = points if scheme == ALL_SCHEMES else points[points["scheme"] == scheme]
        for grade, metric in GRADES.items():
            known = own[own[grade].notna()]
            if len(known):
                sign = -1 if metric.direction == "higher" else 1
                rho = sign * spearman(known[grade].to_numpy(), known["kl_mean"].to_numpy())
                low, high = interval(rho, len(known))
                yield {"scheme": scheme, "grade": grade, "spearman": rho, "low": low, "high": high, "units": len(known)}


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of ranks, ties at their mean rank; NaN for fewer than two, or where all of one are equal."""
    import pandas as pd

    a, b = (pd.Series(values).rank().to_numpy() for values in (x, y))
    a, b = a - a.mean(), b - b.mean()
    length = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / length if length else math.nan


def interval(rho: float, count: int) -> tuple[float, float]:
    """The 95% interval of a rank correlation over `count` points; NaN for fewer than four.

    Source: Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman correlations,
    Psychometrika 65 (2000).

    >>> [round(end, 3) for end in interval(0.8, 28)]
    [0.57, 0.914]
    """
    if count < 4 or not math.isfinite(rho):
        return math.nan, math.nan
    if abs(rho) >= 1:
        return rho, rho
    z, error = math.atanh(rho), math.sqrt((1 + rho * rho / 2) / (count - 3))
    return math.tanh(z - _NORMAL_95 * error), math.tanh(z + _NORMAL_95 * error)
