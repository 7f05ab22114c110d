"""A scheme for each tensor, so that the summed damage is least within a budget."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..text.plain import plain
from .alternatives import Alternative, best_within, kept_name, mixes, uniform
from .budget import Budget, budget_of
from .damage import Grade, grade_of
from .rules import Rules
from .solve import Solution, solve
from .table import KEPT, Options, Table, options, table

if TYPE_CHECKING:
    from ..sources import Model
    from .milliseconds import Times

NO_RULES = Rules()
_FRONT_POINTS = 200  # in the JSON document


@dataclass(frozen=True)
class Line:
    """One tensor of a plan. scheme: its key, "" where it stays as it is stored.  seconds: a token takes, if measured.

    stored_as, stored_bits: the dtype in the file, and the bits that a weight takes there.
    """

    tensor: str
    role: str
    layer: int | None
    expert: int | None
    shape: tuple[int, int]
    scheme: str
    weights: int
    bits: float
    damage: float
    stored_as: str
    stored_bits: float
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """lines: a tensor each, in the order of their names.  grade, budget, rules: what was asked for.

    solution: with the gap that is proven, and the greedy curve over all budgets.
    uniform, mixes: by cost, what the plan is held against.  rest: bytes of the file beside these tensors, None where
    the model could not be looked at.  others: names of its matrices that were not swept, None likewise.
    notices: sentences that the reader should see.
    """

    lines: tuple[Line, ...]
    grade: Grade
    budget: Budget
    rules: Rules
    solution: Solution
    uniform: tuple[Alternative, ...]
    mixes: tuple[Alternative, ...]
    rest: int | None
    others: tuple[str, ...] | None
    notices: tuple[str, ...]

    @property
    def damage(self) -> float:
        return self.solution.damage

    @property
    def weights(self) -> int:
        return self.budget.weights

    @property
    def bits(self) -> float:
        return sum(line.bits for line in self.lines)

    @property
    def bits_per_weight(self) -> float:
        """Over the tensors of the sweep, those that are kept as they are stored among them."""
        return self.bits / self.weights

    @property
    def nbytes(self) -> float:
        """Of the tensors of the sweep, and of all else in the file where that is known; no header, no tokenizer."""
        return self.bits / 8 + (self.rest or 0)

    @property
    def milliseconds(self) -> float | None:
        """A token takes in these tensors; None where times were not asked for."""
        return self.solution.cost * 1e3 if self.budget.kind == "ms" else None

    @property
    def best_uniform(self) -> Alternative | None:
        """The scheme with the least damage that all tensors can have within the budget."""
        return best_within(self.uniform, self.budget.cost)

    @property
    def best_mix(self) -> Alternative | None:
        """llama.cpp's mix with the least damage within the budget."""
        return best_within(self.mixes, self.budget.cost)

    def gain(self, other: Alternative) -> float:
        """The share of another's damage that the plan avoids."""
        return 1 - self.damage / other.damage if other.damage > 0 else 0.0

    @property
    def frame(self) -> pd.DataFrame:
        """A row a tensor."""
        return pd.DataFrame([asdict(line) for line in self.lines])

    @property
    def points(self) -> pd.DataFrame:
        """The greedy curve: bits_per_weight, or milliseconds, and damage."""
        curve = self.solution.curve
        cost = curve.cost
        axis = {"milliseconds": cost * 1e3} if self.budget.kind == "ms" else {"bits_per_weight": cost / self.weights}
        return pd.DataFrame(axis | {"damage": curve.damage})

    def record(self) -> dict[str, Any]:
        """As JSON holds it; of a long curve every so many points."""
        points = self.points.iloc[:: max(1, -(-len(self.points) // _FRONT_POINTS))]
        uniform, mix = self.best_uniform, self.best_mix
        return plain({
            "budget": {"kind": self.budget.kind, "amount": self.budget.amount},
            "damage": {"grade": self.grade.name, "formula": self.grade.formula, "total": self.damage},
            "gap": self.solution.gap, "greedy_damage": self.solution.greedy, "seconds": self.solution.seconds,
            "weights": self.weights, "bits_per_weight": self.bits_per_weight, "nbytes": self.nbytes,
            "rest_nbytes": self.rest, "milliseconds": self.milliseconds, "rules": asdict(self.rules),
            "best_uniform": uniform and asdict(uniform) | {"gain": self.gain(uniform)},
            "best_mix": mix and asdict(mix) | {"gain": self.gain(mix)},
            "uniform": [asdict(a) for a in self.uniform], "mixes": [asdict(a) for a in self.mixes],
            "front": {name: points[name].tolist() for name in points}, "notices": list(self.notices),
            "tensors": [asdict(line) | {"scheme": line.scheme or None} for line in self.lines],
        })  # fmt: skip


def plan(
    frame: pd.DataFrame,
    *,
    bits: float | None = None,
    nbytes: float | str | None = None,
    ms: float | None = None,
    damage: str = "weights",
    rules: Rules = NO_RULES,
    sensitivity: pd.DataFrame | None = None,
    model: Model | None = None,
    times: Times | None = None,
) -> Plan:
    """The plan of least summed damage within one budget, over the tensors of a sweep.

    frame: of the sweep; rows that it refused are no options.
    bits: a weight, over these tensors.  nbytes: of the file, as a number or as 4.2GB (10⁹) or 4GiB (2³⁰): these tensors
    and, where `model` is given, all else as it is stored.  ms: milliseconds a token takes in these tensors.
    damage: "weights", "output" (a sweep with importance), "calibrated" (one with a calibration), or "kl" with
    `sensitivity`.
    model: the one that was swept, for the rest of its file and for llama.cpp's mixes.
    times: measured before; without, `ms` measures each shape and scheme on this machine.
    Raises QuantvizError for a budget below the smallest plan or above the largest, for rules that mean nothing, and
    for a tensor to which they leave no scheme.
    """
    from .milliseconds import seconds_of, times_of

    t = table(frame, damage, sensitivity)
    rest, others = (None, None) if model is None else _rest(model, t)
    budget = budget_of(bits, nbytes, ms, t.weights, rest or 0)
    notices: list[str] = []
    seconds = None
    if budget.kind == "ms":
        seconds, told = seconds_of(t, times or times_of(t, rules), rules, model)
        notices += told
    o = options(t, rules, damage, seconds)
    budget.check(float(np.nanmin(o.cost, axis=1).sum()), float(np.nanmax(o.cost, axis=1).sum()))
    solution = solve(o.cost, o.damage, budget.cost)
    named, why = mixes(t, model, seconds) if model is not None else ((), "")
    notices += [why] if why else []
    if budget.kind == "size" and rest is None:
        notices.append("What else is in the file is unknown here, so the size counts the tensors of the sweep alone.")
    return Plan(
        _lines(o, solution.choice, seconds), grade_of(damage), budget, rules, solution,
        uniform(o), named, rest, others, tuple(notices),
    )  # fmt: skip


def _rest(model: Model, t: Table) -> tuple[int, tuple[str, ...]]:
    """Bytes of what is in the model's files and in no tensor of the sweep, and the names of the matrices among it."""
    swept = {name.partition("[")[0] for name in t.tensors["tensor"]}
    rest = [info for info in model.tensors if info.name not in swept]
    return sum(info.nbytes for info in rest), tuple(info.name for info in rest if len(info.shape) > 1)


def _lines(o: Options, choice: np.ndarray, seconds: np.ndarray | None) -> tuple[Line, ...]:
    t, found = o.table, []
    for index, (option, row) in enumerate(zip(choice[o.item], t.tensors.to_dict("records"), strict=True)):
        scheme = o.names[option]
        stored = row["stored_bits"] * row["weights"]
        found.append(
            Line(
                row["tensor"], row["role"], *(None if pd.isna(row[k]) else int(row[k]) for k in ("layer", "expert")),
                t.shape(index), scheme, int(row["weights"]),
                float(stored if scheme == KEPT else t.bits[index, option]),
                0.0 if scheme == KEPT else float(t.damage[index, option]), row["stored_as"], float(row["stored_bits"]),
                None if seconds is None else float(seconds[index, option]),
            )
        )  # fmt: skip
    return tuple(found)


def scheme_text(line: Line) -> str:
    """The scheme of a line, in words where it has none."""
    return kept_name(line.scheme)
