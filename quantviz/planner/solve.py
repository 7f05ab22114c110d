"""One option for each item, so that the summed damage is least and the summed cost within a budget: exactly.

A multiple-choice knapsack. First the bound of its Lagrangian strikes out every option that no best choice can hold,
which leaves a small problem of hundreds of items. Bits of a model's tensors have a large common unit, so that a table
over all budgets gives the answer in milliseconds; where costs have none, as seconds, or too many, HiGHS finds it
(scipy.optimize.milp), and proves how near to the least it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from .front import Front, front

TIME_LIMIT = 3.0  # seconds for HiGHS
_SCALE = 1e3
_MOST_STEPS, _MOST_PLACES = 3e8, 5e7  # of the table: about a second, and 100 MB
_ROOM = 1e-9  # relative, for the rounding of sums


@dataclass(frozen=True, eq=False)
class Solution:
    """choice: int [items], the option of each.  cost, damage: summed over the items.
    bound: no choice within the budget has less damage, which is proven.  seconds: that it took.
    curve: the greedy one over all budgets.  greedy: the damage of its choice at this one.
    """

    choice: np.ndarray
    cost: float
    damage: float
    bound: float
    curve: Front
    greedy: float
    seconds: float

    @property
    def gap(self) -> float:
        """By how much of itself the damage may lie above the least possible; 0 where it is proven to be the least."""
        return max(0.0, (self.damage - self.bound) / self.damage) if self.damage > 0 else 0.0


def solve(cost: np.ndarray, damage: np.ndarray, budget: float, time_limit: float = TIME_LIMIT) -> Solution:
    """cost, damage: float64 [items, options], not negative; NaN where an item does not have the option.

    budget: at least the sum of each item's least cost. What is not proven in `time_limit` seconds shows in the gap.
    """
    began = time.perf_counter()
    curve = front(cost, damage)
    choice = curve.filled(budget)
    rows = np.arange(len(cost))
    greedy = float(damage[rows, choice].sum())
    bound = curve.bound(budget)
    left = _not_struck_out(cost, damage, curve, budget, greedy)
    if greedy > bound * (1 + _ROOM) and left.sum() > len(cost):
        found, proven = _exact(cost, damage, left, budget, greedy, time_limit)
        bound = max(bound, min(proven, greedy))
        if found is not None and damage[rows, found].sum() < greedy:
            choice = found
    total = float(damage[rows, choice].sum())
    return Solution(
        choice, float(cost[rows, choice].sum()), total, min(bound, total), curve, greedy, time.perf_counter() - began
    )


def _not_struck_out(cost: np.ndarray, damage: np.ndarray, curve: Front, budget: float, greedy: float) -> np.ndarray:
    """bool [items, options]: those that may stand in a choice better than the greedy one.

    With a price λ on cost, an item's least damage + λ·cost summed over all items, less λ·budget, bounds the damage of
    every choice; with one option forced, it rises by what that option has above its item's least.
    """
    price = curve.price(budget)
    reduced = damage + price * cost
    least = np.nanmin(reduced, axis=1)
    bound = least.sum() - price * budget
    slack = (greedy - bound) + _ROOM * max(abs(greedy), price * budget)
    return reduced - least[:, None] <= slack  # False for NaN


def _exact(
    cost: np.ndarray, damage: np.ndarray, left: np.ndarray, budget: float, greedy: float, time_limit: float
) -> tuple[np.ndarray | None, float]:
    """The best choice among the options that are left, None where none was found, and the bound that was proved."""
    # What every choice costs at least is taken off, so that the row of the budget keeps its digits.
    base = np.where(left, cost, np.inf).min(axis=1)
    extra = np.where(left, cost - base[:, None], 0.0)
    room = budget - base.sum()
    if room < 0 or not extra.any():
        return None, -np.inf
    unit, whole = _unit(extra[left])
    units = room / unit
    if whole and (units + 1) * left.sum() < _MOST_STEPS and (units + 1) * len(cost) < _MOST_PLACES:
        choice = _by_table((extra / unit).astype(np.int64), damage, left, int(units))
        return choice, float(damage[np.arange(len(cost)), choice].sum())
    choice, proven = _milp(extra / unit, damage, left, units, greedy, time_limit, whole)
    if choice is not None and cost[np.arange(len(cost)), choice].sum() > budget * (1 + 1e-12):
        return None, proven  # HiGHS's tolerance on the budget is not ours
    return choice, proven


def _by_table(extra: np.ndarray, damage: np.ndarray, left: np.ndarray, room: int) -> np.ndarray:
    """int [items]: the best choice, by the least damage of the first items at every cost: dynamic programming.

    extra: int [items, options], in units of which `room` may be spent.
    """
    least = np.zeros(room + 1)
    taken = np.zeros((len(extra), room + 1), np.int16)
    for i, options in enumerate(map(np.flatnonzero, left)):
        best = np.full(room + 1, np.inf)
        for o in options[extra[i, options] <= room]:
            value = least[: room + 1 - extra[i, o]] + damage[i, o]
            better = value < best[extra[i, o] :]
            best[extra[i, o] :][better] = value[better]
            taken[i, extra[i, o] :][better] = o
        least = best
    choice, at = np.zeros(len(extra), np.int64), room
    for i in reversed(range(len(extra))):
        choice[i] = taken[i, at]
        at -= extra[i, choice[i]]
    return choice


def _milp(
    extra: np.ndarray, damage: np.ndarray, left: np.ndarray, room: float, greedy: float, limit: float, whole: bool
) -> tuple[np.ndarray | None, float]:
    """The same by HiGHS, where costs have no common unit or too many of them."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    item, option = np.nonzero(left)
    which = np.arange(len(item))
    one_each = csr_array((np.ones(len(item)), (item, which)), shape=(len(left), len(item)))
    most = np.floor(room) + 0.5 if whole else room  # half a unit more, so that rounding decides nothing
    scale = _SCALE / greedy
    result = milp(
        damage[item, option] * scale, integrality=np.ones(len(item)), bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, 1, 1), LinearConstraint(csr_array(extra[item, option][None, :]), -np.inf, most),
        ],
        options={"time_limit": limit, "mip_rel_gap": 0.0},
    )  # fmt: skip
    proven = -np.inf if result.mip_dual_bound is None else result.mip_dual_bound / scale
    if result.x is None:
        return None, proven
    choice = np.full(len(left), -1)
    taken = np.flatnonzero(result.x > 0.5)
    choice[item[taken]] = option[taken]
    return (None if (choice < 0).any() else choice), proven


def _unit(extra: np.ndarray) -> tuple[float, bool]:
    """What divides every cost where these are whole numbers, as bits are, and whether they are; else the largest."""
    if (extra == np.floor(extra)).all() and extra.max() < 2**53:
        return float(np.gcd.reduce(extra.astype(np.int64))), True
    return float(extra.max()), False
