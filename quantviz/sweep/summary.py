"""A sweep in short, layer by layer and role by role: where a scheme hurts, and which tensors carry the error.

Everything here reads the table of a sweep, a row a tensor and scheme, whole or as far as it has come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..checkpoints.names.roles import ROLES
from ..metrics import METRICS

OUTSIDE = -1  # stands for the layer of what is in none, such as the embedding


@dataclass(frozen=True, eq=False)
class Cells:
    """One figure of every layer and role under a scheme.

    layers: numbers of layers, OUTSIDE first if there is such.  roles: those that occur, in the order of ROLES.
    values: float64 [layers, roles], NaN where there is nothing.
    tensors: for each (row, column) of values with something in it, the names of the tensors, worst error first.
    """

    layers: tuple[int, ...]
    roles: tuple[str, ...]
    values: np.ndarray
    tensors: dict[tuple[int, int], tuple[str, ...]]


def measured(frame: pd.DataFrame, scheme: str | None = None) -> pd.DataFrame:
    """The rows that have figures: of one scheme, or of all."""
    rows = frame[frame["refused"] == ""]
    return rows if scheme is None else rows[rows["scheme"] == scheme]


def joined(metric: str, rows: pd.DataFrame) -> float:
    """A metric over several tensors: from their sums where it follows from those, the largest of maxima, else the mean
    over weights. NaN where no row has it.
    """
    sums = {name: _sum(rows, name) for name in ("squared", "squared_error", "weighted_squared_error", "importance")}
    weights = float(rows["weights"].sum())
    match metric:
        case "relative_l2_error":
            return math.sqrt(_over(sums["squared_error"], sums["squared"]))
        case "sqnr_db":
            ratio = _over(sums["squared_error"], sums["squared"])
            return math.inf if ratio == 0 else -10 * math.log10(ratio)
        case "mse":
            return _over(sums["squared_error"], weights)
        case "rmse":
            return math.sqrt(_over(sums["squared_error"], weights))
        case "weighted_mse":
            return _over(sums["weighted_squared_error"], sums["importance"])
        case "bits_per_weight":
            return _over(float(rows["bits"].sum()), weights)
    if metric not in rows or rows[metric].isna().all():
        return math.nan
    held = rows[rows[metric].notna()]
    if metric == "max_abs_error":
        return float(held[metric].max())
    return float(np.average(held[metric].astype(float), weights=held["weights"].astype(float)))


def is_mean(metric: str) -> bool:
    """Whether `joined` gives the mean of several tensors over their weights, not what one tensor of all would have."""
    return metric not in {
        "relative_l2_error", "sqnr_db", "mse", "rmse", "weighted_mse", "bits_per_weight", "max_abs_error",
        "mean_abs_error",
    }  # fmt: skip


def metrics_of(frame: pd.DataFrame) -> list[str]:
    """The metrics that some row has, in the order of METRICS."""
    return [name for name in METRICS if name in frame and frame[name].notna().any()]


def cells(frame: pd.DataFrame, scheme: str, metric: str) -> Cells:
    """Every layer and role under a scheme; `joined` where several tensors are in one, such as experts."""
    every = frame.assign(layer=frame["layer"].fillna(OUTSIDE).astype(int))
    layers, roles = tuple(sorted(set(every["layer"]))), in_order(every["role"])
    values = np.full((len(layers), len(roles)), math.nan)
    names: dict[tuple[int, int], tuple[str, ...]] = {}
    for (layer, role), group in measured(every, scheme).groupby(["layer", "role"], sort=False):
        at = layers.index(layer), roles.index(role)
        one = len(group) == 1 and metric in group
        values[at] = group[metric].iloc[0] if one else joined(metric, group)
        names[at] = tuple(group.sort_values("relative_l2_error", ascending=False)["tensor"])
    return Cells(layers, roles, values, names)


def of_cell(frame: pd.DataFrame, layer: int, role: str) -> pd.DataFrame:
    """The rows of one layer, OUTSIDE for none, and role."""
    return frame[(frame["role"] == role) & (frame["layer"].fillna(OUTSIDE) == layer)]


def share_read(frame: pd.DataFrame) -> float:
    """Of the weights of all tensors, how many were read."""
    each = frame.drop_duplicates("tensor")
    return float(np.average(each["share"].astype(float), weights=each["weights"].astype(float)))


def in_order(roles: Sequence[str]) -> tuple[str, ...]:
    """Each role once, in the order in which roles are shown."""
    known = set(roles)
    return tuple(role for role in ROLES if role in known)


def ranking(frame: pd.DataFrame, scheme: str) -> pd.DataFrame:
    """The tensors under a scheme, those first that have the largest share of all squared error.

    tensor, role, layer, weights, error_share, weights_share, relative_l2_error, sqnr_db, bits_per_weight.
    """
    rows = measured(frame, scheme)
    error, weights = rows["squared_error"].sum(), rows["weights"].sum()
    ranked = rows.assign(
        error_share=rows["squared_error"] / error if error else 0.0, weights_share=rows["weights"] / weights
    ).sort_values("squared_error", ascending=False, kind="stable")
    return ranked[
        ["tensor", "role", "layer", "weights", "error_share", "weights_share", "relative_l2_error", "sqnr_db",
         "bits_per_weight"]
    ].reset_index(drop=True)  # fmt: skip


def sentences(frame: pd.DataFrame, scheme: str) -> list[str]:
    """What stands out under a scheme: which tensors and which roles carry more of the error than of the weights."""
    from ..text.wording import share

    ranked = ranking(frame, scheme)
    if len(ranked) < 2 or not ranked["error_share"].sum():
        return []
    first = ranked.iloc[0]
    said = [
        f"Under {scheme}, {first['tensor']} carries {share(first['error_share'])} of all squared error with "
        f"{share(first['weights_share'])} of the weights."
    ]
    roles = ranked.groupby("role")[["error_share", "weights_share"]].sum()
    roles = roles.assign(ratio=roles["error_share"] / roles["weights_share"]).sort_values("ratio", ascending=False)
    if len(roles) > 1 and roles["ratio"].iloc[0] > 1.2:
        worst = roles.iloc[0]
        said.append(
            f"Weight for weight, {roles.index[0]} suffers most: {share(worst['error_share'])} of the error, "
            f"{share(worst['weights_share'])} of the weights."
        )
    return said


def _sum(rows: pd.DataFrame, name: str) -> float:
    return float(rows[name].sum(min_count=1)) if name in rows else math.nan


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def refusals(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(scheme, tensors, reason) of what could not be measured, the most frequent first."""
    refused = frame[frame["refused"] != ""]
    found = []
    for (scheme, why), group in refused.groupby(["scheme", "refused"], sort=False):
        names = list(group["tensor"])
        found.append((len(names), scheme, names[0] if len(names) == 1 else f"{len(names):,} tensors", why))
    return [(scheme, names, why) for _, scheme, names, why in sorted(found, key=lambda f: -f[0])]
