"""The knapsack against brute force, the curve against every choice, and both on instances of every kind."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from quantviz.planner.front import front, lower_hull
from quantviz.planner.solve import solve


def instance(seed: int, items: int = 5, options: int = 4, whole: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cost = rng.integers(1, 60, (items, options)) * 8.0 if whole else rng.uniform(0.1, 7, (items, options))
    damage = 10.0 ** rng.normal(0, 1.5, (items, options))
    if seed % 3 == 0:
        damage[rng.random(damage.shape) < 0.2] = 0.0
    missing = rng.random(cost.shape) < 0.25
    missing[np.arange(items), rng.integers(0, options, items)] = False
    return np.where(missing, np.nan, cost), np.where(missing, np.nan, damage)


def every_choice(cost: np.ndarray, damage: np.ndarray) -> np.ndarray:
    """(cost, damage) of all choices there are."""
    there = [np.flatnonzero(~np.isnan(row)) for row in cost]
    rows = np.arange(len(cost))
    return np.array([(cost[rows, c].sum(), damage[rows, c].sum()) for c in map(np.array, product(*there))])


def test_the_choice_is_the_best_of_all_and_fits() -> None:
    for seed in range(40):
        cost, damage = instance(seed, whole=seed % 2 == 0)
        choices = every_choice(cost, damage)
        least, most = choices[:, 0].min(), choices[:, 0].max()
        for share in (0.0, 0.2, 0.5, 0.8, 1.0):
            budget = least + share * (most - least)
            found = solve(cost, damage, budget)
            best = choices[choices[:, 0] <= budget * (1 + 1e-12), 1].min()
            rows = np.arange(len(cost))
            assert found.cost == pytest.approx(cost[rows, found.choice].sum(), rel=1e-12)
            assert found.damage == damage[rows, found.choice].sum()
            assert found.cost <= budget * (1 + 1e-12), (seed, share)
            assert found.damage == pytest.approx(best, rel=1e-6, abs=1e-12), (seed, share)
            assert found.bound <= best * (1 + 1e-9) and found.damage <= found.greedy
            assert 0 <= found.gap < 1e-6


def test_the_table_and_highs_agree() -> None:
    for seed in range(6):
        cost, damage = instance(seed, items=30, options=6)
        least, most = np.nanmin(cost, axis=1).sum(), np.nanmax(cost, axis=1).sum()
        budget = np.floor(least + 0.4 * (most - least))
        by_table = solve(cost, damage, budget)
        by_highs = solve(cost + 1e-7 * np.sqrt(np.arange(1, 31))[:, None], damage, budget + 1e-4)  # no common unit
        assert by_table.damage == pytest.approx(by_highs.damage, rel=1e-6, abs=1e-12)
        assert by_table.gap < 1e-12 and by_highs.gap < 1e-6


def test_the_curve_falls_is_convex_and_lies_below_every_choice() -> None:
    for seed in range(20):
        cost, damage = instance(seed)
        curve = front(cost, damage)
        steps, drops = np.diff(curve.cost), -np.diff(curve.damage)
        assert (steps > 0).all() and (drops > 0).all()
        slopes = drops / steps
        assert (slopes[1:] <= slopes[:-1] * (1 + 1e-9)).all()
        for at, damaged in every_choice(cost, damage):
            assert curve.bound(at) <= damaged + 1e-9 * curve.damage[0]
        rows = np.arange(len(cost))
        for taken in range(len(curve.cost)):  # each point is a choice of its own
            choice = curve.choice(taken)
            assert cost[rows, choice].sum() == pytest.approx(curve.cost[taken])
            assert damage[rows, choice].sum() == pytest.approx(curve.damage[taken], abs=1e-9 * curve.damage[0])
            assert solve(cost, damage, curve.cost[taken] * (1 + 1e-12)).damage == pytest.approx(
                curve.damage[taken], abs=1e-9 * curve.damage[0]
            )


def test_the_hull_leaves_out_what_lies_above_it() -> None:
    assert lower_hull(np.array([4.0, 2, 3, np.nan, 1]), np.array([1.0, 8, 6, 0, 9])) == [4, 0]
    assert lower_hull(np.array([1.0, 1, 2]), np.array([5.0, 3, 3])) == [1]
    assert lower_hull(np.array([np.nan, 7.0]), np.array([1.0, 2.0])) == [1]


def test_equal_costs_and_no_damage_leave_nothing_to_choose() -> None:
    same = np.full((3, 2), 8.0)
    found = solve(same, np.array([[2.0, 1], [1, 2], [3, 3]]), 24.0)
    assert found.choice[:2].tolist() == [1, 0] and found.damage == 5 and found.gap == 0
    assert solve(same, np.zeros((3, 2)), 24.0).gap == 0


def test_what_is_not_proven_in_time_shows_in_the_gap() -> None:
    rng = np.random.default_rng(5)
    cost = rng.integers(1, 10**6, (150, 20)).astype(float)
    damage = 1e6 / cost * rng.uniform(0.9, 1.1, cost.shape)
    found = solve(cost, damage, 150 * 3e5, time_limit=0.01)
    assert 0 <= found.gap < 1e-3
    assert found.cost <= 150 * 3e5 and found.bound <= found.damage
