"""The greedy curve over all budgets: the least damage at every size, on the lower convex hull.

Each item keeps the options on the lower convex hull of cost and damage. From each item's cheapest one, the step that
saves most damage a unit of cost is taken first, and so on. What these steps reach is the optimum at its own cost, and
the lines between them are below every choice: the linear relaxation of the knapsack (Sinha and Zoltners, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Front:
    """cost, damage: float64 [steps + 1], summed over all items after each step; cost rises, damage falls, convex.

    start: int [items], the options at the lowest cost.  item, option: int [steps], who takes a step and to what.
    """

    cost: np.ndarray
    damage: np.ndarray
    start: np.ndarray
    item: np.ndarray
    option: np.ndarray
    _costs: np.ndarray
    _damages: np.ndarray

    def choice(self, steps: int) -> np.ndarray:
        """int [items]: the option of each item after so many steps."""
        chosen = self.start.copy()
        chosen[self.item[:steps]] = self.option[:steps]  # of an item's several steps the last one stands
        return chosen

    def steps_within(self, budget: float) -> int:
        return max(int(np.searchsorted(self.cost, budget, side="right")) - 1, 0)

    def bound(self, budget: float) -> float:
        """No choice within the budget has less damage than this."""
        return float(np.interp(budget, self.cost, self.damage))

    def price(self, budget: float) -> float:
        """What one more unit of cost saves at this budget; 0 where all steps are taken."""
        at = self.steps_within(budget)
        if at >= len(self.item):
            return 0.0
        return float((self.damage[at] - self.damage[at + 1]) / (self.cost[at + 1] - self.cost[at]))

    def filled(self, budget: float) -> np.ndarray:
        """int [items]: the greedy choice: all steps within the budget, then what else fits, best saving first."""
        chosen = self.choice(self.steps_within(budget))
        rows = np.arange(len(chosen))
        room = budget - self._costs[rows, chosen].sum()
        while True:
            more = self._costs - self._costs[rows, chosen][:, None]
            less = self._damages[rows, chosen][:, None] - self._damages
            less = np.where((more <= room) & (less > 0), less, 0.0)  # NaN compares false
            if not less.any():
                return chosen
            i, o = np.unravel_index(np.argmax(less), less.shape)
            room -= more[i, o]
            chosen[i] = o


def front(cost: np.ndarray, damage: np.ndarray) -> Front:
    """cost, damage: float64 [items, options]; NaN where an item does not have the option, but each has one."""
    starts, steps = [], []
    for i in range(len(cost)):
        hull = lower_hull(cost[i], damage[i])
        starts.append(hull[0])
        steps += [
            ((damage[i, a] - damage[i, b]) / (cost[i, b] - cost[i, a]), place, i, b, cost[i, b] - cost[i, a],
             damage[i, b] - damage[i, a])
            for place, (a, b) in enumerate(zip(hull, hull[1:], strict=False))
        ]  # fmt: skip
    steps.sort(key=lambda step: (-step[0], step[2], step[1]))  # within an item savings fall, so its order is kept
    rows, start = np.arange(len(cost)), np.array(starts, np.int64)
    extra = np.array([step[4:] for step in steps], np.float64).reshape(-1, 2)
    total = np.vstack([[cost[rows, start].sum(), damage[rows, start].sum()], extra]).cumsum(axis=0)
    item, option = (np.array([step[at] for step in steps], np.int64) for at in (2, 3))
    return Front(total[:, 0], total[:, 1], start, item, option, cost, damage)


def lower_hull(cost: np.ndarray, damage: np.ndarray) -> list[int]:
    """Indices of the options on the lower convex hull, cheapest first; each costs more and harms less than the last.

    >>> lower_hull(np.array([1.0, 2, 3, 4]), np.array([9.0, 8, 1, 1]))
    [0, 2]
    """
    there = np.flatnonzero(~np.isnan(cost) & ~np.isnan(damage))
    hull: list[int] = []
    for at in there[np.lexsort((damage[there], cost[there]))].tolist():
        if hull and damage[at] >= damage[hull[-1]]:
            continue
        while len(hull) > 1 and _rises(cost, damage, hull[-2], hull[-1], at):
            hull.pop()
        hull.append(at)
    return hull


def _rises(cost: np.ndarray, damage: np.ndarray, a: int, b: int, c: int) -> bool:
    """Whether b lies on or above the line from a to c."""
    return (damage[a] - damage[b]) * (cost[c] - cost[b]) <= (damage[b] - damage[c]) * (cost[b] - cost[a])
