"""The search through a trellis, beside the same in NumPy and beside every way of closing the circle."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.checkpoints.readers.exl3 import Trellis
from quantviz.kernels.cpu.loops.trellis import nearest_states

NUMBERS = Trellis(4, "mcg").numbers
LAST = 0xFFFF


def error(states: np.ndarray, x: np.ndarray) -> float:
    return float(np.square(NUMBERS[states] - x).sum())


def is_circle(states: np.ndarray, bits: int) -> bool:
    return np.array_equal(np.roll(states.astype(int), 1) << bits & LAST, states.astype(int) >> bits << bits)


def best_way(x: np.ndarray, bits: int, end: int | None) -> np.ndarray:
    """Viterbi over all states: the way with the least error that begins and ends with the remainder `end`, or any."""
    states = np.arange(LAST + 1)
    kept = LAST >> bits
    cost = np.zeros(LAST + 1)  # of being in a state before the first number
    if end is not None:
        cost[states & kept != end] = np.inf
    came = []
    for each in x:
        before = cost.reshape(1 << bits, kept + 1)  # by what the next state loses, and by what it keeps
        lost = before.argmin(axis=0)
        came.append((lost << 16 - bits | np.arange(kept + 1))[states >> bits])
        cost = before.min(axis=0)[states >> bits] + np.square(NUMBERS - each)
    last = int(cost.argmin() if end is None else np.where(states & kept == end, cost, np.inf).argmin())
    found = [last]
    for back in came[:0:-1]:
        found.append(int(back[found[-1]]))
    return np.array(found[::-1])


def targets(n: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(n) * NUMBERS.std()).astype(np.float32)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8])
def test_it_finds_what_the_same_two_searches_in_numpy_find(bits: int) -> None:
    x = targets(64, bits)
    middle = best_way(np.roll(x, -32), bits, None)[31] & LAST >> bits
    expected = best_way(x, bits, middle)
    found = nearest_states(x, NUMBERS.astype(np.float32), bits)
    assert found.dtype == np.uint16 and is_circle(found, bits) and is_circle(expected, bits)
    assert error(found, x) == pytest.approx(error(expected, x), rel=1e-5)


def test_no_way_of_closing_the_circle_is_much_better() -> None:
    x = targets(32, 1)
    least = min(error(best_way(x, 8, end), x) for end in range(256))
    assert least * (1 - 1e-5) <= error(nearest_states(x, NUMBERS.astype(np.float32), 8), x) <= least * 1.05


@pytest.mark.parametrize("bits", range(1, 9))
def test_numbers_that_a_circle_stands_for_are_found(bits: int) -> None:
    own = np.random.default_rng(bits).integers(0, 2, 256 * bits)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([own, own]), 16)
    states = windows[(np.arange(256) * bits + bits - 16) % own.size] @ (1 << np.arange(15, -1, -1))
    assert is_circle(states, bits)
    found = nearest_states(NUMBERS[states].astype(np.float32), NUMBERS.astype(np.float32), bits)
    assert error(found, NUMBERS[states]) < 1e-9 and is_circle(found, bits)


def test_numbers_beyond_reach_still_make_a_circle() -> None:
    x = np.where(np.arange(256) % 2, 1e15, -1e15).astype(np.float32)
    assert is_circle(nearest_states(x, NUMBERS.astype(np.float32), 4), 4)
