"""A sweep's frame as arrays: what each scheme costs each tensor, and what the rules leave of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import QuantvizError
from ..sources.model import natural_order
from .damage import damages, grade_of, without
from .rules import GUARDED, Rules

NEEDED = ("tensor", "role", "layer", "expert", "rows", "cols", "weights", "stored_as", "stored_bits", "scheme",
          "squared", "squared_error", "weighted_squared_error", "importance", "bits", "refused")  # fmt: skip
_PER_TENSOR = ["tensor", "role", "layer", "expert", "rows", "cols", "weights", "stored_as", "stored_bits"]
KEPT = ""  # stands for no scheme: the tensor stays as it is stored


@dataclass(frozen=True, eq=False)
class Table:
    """tensors: a row a tensor.  schemes: keys; of options the last is KEPT.
    bits, damage: float64 [tensors, schemes], NaN where the sweep has no figures.
    refused: (tensor, scheme) -> why the sweep has none.
    """

    tensors: pd.DataFrame
    schemes: tuple[str, ...]
    bits: np.ndarray
    damage: np.ndarray
    refused: dict[tuple[str, str], str]

    @property
    def weights(self) -> int:
        return int(self.tensors["weights"].sum())

    def shape(self, index: int) -> tuple[int, int]:
        return int(self.tensors["rows"].iat[index]), int(self.tensors["cols"].iat[index])


def table(frame: pd.DataFrame, grade: str, sensitivity: pd.DataFrame | None = None) -> Table:
    """Raises QuantvizError for a table that is no sweep's, or holds nothing, or a tensor and scheme twice."""
    missing = [name for name in NEEDED if name not in getattr(frame, "columns", ())]
    if missing:
        raise QuantvizError(f"This is no sweep's table: it has no column {', '.join(missing[:4])}.")
    grade_of(grade)
    if not len(frame):
        raise QuantvizError("The sweep holds no tensor yet, so there is nothing to plan.")
    if frame.duplicated(["tensor", "scheme"]).any():
        twice = frame[frame.duplicated(["tensor", "scheme"])].iloc[0]
        raise QuantvizError(f"The sweep holds {twice['tensor']} under {twice['scheme']} twice; load one sweep.")
    place = {name: at for at, name in enumerate(sorted(frame["tensor"].unique(), key=natural_order))}
    frame = frame.iloc[np.argsort(frame["tensor"].map(place).to_numpy(), kind="stable")].reset_index(drop=True)
    there = (frame["refused"].fillna("") == "").to_numpy()
    harm = damages(frame, grade, sensitivity)
    tensors = frame.drop_duplicates("tensor")[_PER_TENSOR].reset_index(drop=True)
    schemes = tuple(frame["scheme"].drop_duplicates())
    at = (
        pd.Index(tensors["tensor"]).get_indexer(frame["tensor"]),
        pd.Index(schemes).get_indexer(frame["scheme"]),
    )
    bits, damage = (np.full((len(tensors), len(schemes)), np.nan) for _ in range(2))
    bits[at] = np.where(there, frame["bits"].to_numpy(np.float64, na_value=np.nan), np.nan)
    damage[at] = np.where(there, harm, np.nan)
    refused = {
        (name, scheme): str(why)
        for name, scheme, why in frame.loc[~there, ["tensor", "scheme", "refused"]].itertuples(index=False)
    }
    silent = tensors["tensor"][(~np.isnan(bits)).any(axis=1) & np.isnan(damage).all(axis=1)].to_numpy()
    if len(silent) == len(tensors):
        raise QuantvizError(without(grade, silent))
    return Table(tensors, schemes, bits, damage, refused)


@dataclass(frozen=True, eq=False)
class Options:
    """What may be chosen: float64 [items, schemes + 1], the last for KEPT; NaN where it may not.

    item: int [tensors], which item each tensor is part of.  kept: bool [tensors].
    """

    table: Table
    item: np.ndarray
    kept: np.ndarray
    bits: np.ndarray
    damage: np.ndarray
    cost: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.table.schemes, KEPT)

    def schemes_of(self, choice: np.ndarray) -> list[str]:
        """The scheme of each tensor, KEPT where it has none.  choice: int [items]."""
        return [self.names[option] for option in choice[self.item]]


def options(t: Table, rules: Rules, grade: str, seconds: np.ndarray | None = None) -> Options:
    """What the rules leave.

    seconds: float64 [tensors, schemes + 1], what a token takes, where that is the cost; else bits are.
    Raises QuantvizError for rules that mean nothing, and for a tensor to which they leave no scheme.
    """
    allowed = np.isin(t.schemes, rules.allowed(t.schemes))
    kept = rules.kept(t.tensors)
    item = rules.items(t.tensors, kept)
    may = ~np.isnan(t.bits) & ~np.isnan(t.damage) & allowed & ~kept[:, None] & _above_floor(t, rules)
    stored = (t.tensors["stored_bits"] * t.tensors["weights"]).to_numpy(np.float64)
    one = _where(np.column_stack([may, kept]), np.column_stack([t.bits, stored]))
    harm = _where(np.column_stack([may, kept]), np.column_stack([t.damage, np.zeros(len(t.tensors))]))
    cost = one if seconds is None else _where(~np.isnan(one), seconds)
    _refuse_empty(t, np.isnan(cost), rules, grade, seconds is not None)
    found = Options(t, item, kept, *(_summed(array, item) for array in (one, harm, cost)))
    empty = np.isnan(found.cost).all(axis=1)
    if empty.any():
        together = t.tensors["tensor"][item == np.flatnonzero(empty)[0]].tolist()
        shown = ", ".join(together[:4]) + (f" and {len(together) - 4:,} more" if len(together) > 4 else "")
        raise QuantvizError(f"No scheme fits all of {shown}, which must share one; allow more, or let them differ.")
    return found


def _where(there: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(there, values, np.nan)


def _above_floor(t: Table, rules: Rules) -> np.ndarray:
    found = np.ones(t.bits.shape, bool)
    if rules.floor is None:
        return found
    for index in np.flatnonzero(np.isin(t.tensors["role"], GUARDED)):
        least = rules.least_bits(t.shape(index)) * t.tensors["weights"].iat[index]
        found[index] = t.bits[index] >= least * (1 - 1e-12)
    return found


def _summed(values: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Over the tensors of each item; NaN where one of them has none."""
    out = np.zeros((item.max() + 1, values.shape[1]))
    np.add.at(out, item, values)
    return out


def _refuse_empty(t: Table, nothing: np.ndarray, rules: Rules, grade: str, timed: bool) -> None:
    empty = np.flatnonzero(nothing.all(axis=1))
    if not len(empty):
        return
    index = empty[0]
    name = t.tensors["tensor"].iat[index]
    silent = t.tensors["tensor"].to_numpy()[(~np.isnan(t.bits)).any(axis=1) & np.isnan(t.damage).all(axis=1)]
    if name in set(silent):
        raise QuantvizError(without(grade, silent))
    why = next((f" {scheme}: {reason}" for (tensor, scheme), reason in t.refused.items() if tensor == name), "")
    if not np.isnan(t.bits[index]).all():
        why = ""
    what = "no kernel here multiplies any scheme that is left" if timed else "no scheme is left"
    raise QuantvizError(
        f"For {name} {what}: allow more schemes, lower the floor, or keep it as it is stored (keep).{why}"
    )
