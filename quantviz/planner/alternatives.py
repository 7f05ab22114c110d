"""What a plan is held against: one scheme for all tensors, and llama.cpp's named mixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..checkpoints.names.fused import canonical
from ..errors import QuantvizError
from .rules import GUARDED
from .table import KEPT, Options, Table

if TYPE_CHECKING:
    from ..published.mixes import Recipe
    from ..sources import Model

_CASTS = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True)
class Alternative:
    """name: of the scheme or mix.  bits: in all.  cost: in the unit of the budget, bits or seconds."""

    name: str
    bits: float
    damage: float
    cost: float


def uniform(o: Options) -> tuple[Alternative, ...]:
    """Every scheme that can be given to all tensors at once, by cost.

    Tensors that are kept stay so. Where a floor forbids the scheme to an embedding or head, that takes the smallest
    scheme that the floor allows.
    """
    guarded = np.ones(len(o.cost), bool)
    np.logical_and.at(guarded, o.item, o.table.tensors["role"].isin(GUARDED).to_numpy())
    smallest = np.argmin(np.where(np.isnan(o.cost), np.inf, o.bits), axis=1)
    kept = ~np.isnan(o.cost[:, -1])
    rows, found = np.arange(len(o.cost)), []
    for column, name in enumerate(o.table.schemes):
        has = ~np.isnan(o.cost[:, column])
        if not has.any() or not (has | kept | guarded).all():
            continue
        choice = np.where(has, column, smallest)
        found.append(Alternative(name, *(float(a[rows, choice].sum()) for a in (o.bits, o.damage, o.cost))))
    return tuple(sorted(found, key=lambda a: a.cost))


def mixes(t: Table, model: Model, seconds: np.ndarray | None = None) -> tuple[tuple[Alternative, ...], str]:
    """llama.cpp's named mixes over the tensors of the sweep, by cost, and a sentence where there is none.

    A mix is there where the sweep has figures of every type that it gives.  Rules do not bind it.
    """
    from ..published.mixes import Recipe, sizes

    try:
        made = sizes(model)
    except QuantvizError as problem:
        return (), f"What llama.cpp's mixes make of it is unknown: {problem}"
    found, missing = [], {}
    for name, recipe in made.items():
        if isinstance(recipe, Recipe):
            one = _one(name, recipe, t, seconds)
            if isinstance(one, Alternative):
                found.append(one)
            else:
                missing[name] = one
    if found or not missing:
        return tuple(sorted(found, key=lambda a: a.cost)), ""
    name = "q4_k_m" if "q4_k_m" in missing else next(iter(missing))
    return (), f"No mix of llama.cpp can be held against it: for {name}, for example, {missing[name]}."


def _one(name: str, recipe: Recipe, t: Table, seconds: np.ndarray | None) -> Alternative | str:
    """A mix, or what is missing."""
    kinds = {line.name: line.kind for line in recipe.lines}
    columns: Mapping[str, int] = {scheme: at for at, scheme in enumerate(t.schemes)}
    bits = damage = cost = 0.0
    for index, tensor in enumerate(t.tensors["tensor"]):
        kind = kinds.get(canonical(tensor.partition("[")[0], recipe.facts.architecture).name)
        if kind is None:
            return f"it has no tensor like {tensor}"
        scheme = next((cast for cast, dtype in _CASTS.items() if dtype == kind), kind)
        at = columns.get(scheme, -1)
        here, harm = (t.bits[index, at], t.damage[index, at]) if at >= 0 else (np.nan, np.nan)
        if at < 0 and t.tensors["stored_as"].iat[index] == kind:
            here, harm = t.tensors["stored_bits"].iat[index] * t.tensors["weights"].iat[index], 0.0
        if np.isnan(here) or np.isnan(harm):
            return f"the sweep has no figures of {tensor} under {scheme}"
        bits, damage = bits + here, damage + harm
        cost += here if seconds is None else seconds[index, at]
    if np.isnan(cost):
        return "nothing here multiplies all of its types"
    return Alternative(name, float(bits), float(damage), float(cost))


def best_within(found: tuple[Alternative, ...], cost: float) -> Alternative | None:
    """The one of least damage at no more than a cost."""
    return min((a for a in found if a.cost <= cost), key=lambda a: a.damage, default=None)


def kept_name(scheme: str) -> str:
    return "as stored" if scheme == KEPT else scheme
