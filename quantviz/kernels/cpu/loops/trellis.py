"""Finds which states of a trellis come nearest to given numbers, compiled: Viterbi's search over 2^16 states.

A state is 16 bits. The next number's state is made of all but its K highest bits and K new ones, so that of a state
only its 16 − K lowest bits, here its remainder, matter to what follows. Numbers lie in a circle: the first state begins
with the remainder of the last.
"""

from __future__ import annotations

import numpy as np

from ..compiler import inlined, kernel

f4, u2 = np.float32, np.uint16
STATE_BITS = 16


def nearest_states(x: np.ndarray, numbers: np.ndarray, bits: int) -> np.ndarray:
    """uint16 [n]: states in a circle whose numbers have the least Σ (number − x)² that two searches find.

    x: float32 [n].  numbers: float32 [65,536], what each state stands for.  bits: K, 1 to 8.
    The first search begins in the middle and may begin with any state; what it has where the circle closes is what the
    second one begins and ends with. So does ExLlamaV3, whose sums are of 16 bits; they are float32 here.
    """
    n, half = len(x), len(x) // 2
    least = np.empty((n + 1, 1 << STATE_BITS - bits), f4)  # by remainder: Σ of the best way there, before each number
    states = np.empty(n, u2)
    least[0] = 0
    _search(np.roll(x, -half), numbers, bits, least, -1, states)
    remainder = int(states[n - half - 1]) & len(least[0]) - 1
    least[0] = np.inf
    least[0, remainder] = 0
    _search(x, numbers, bits, least, remainder, states)
    return states


@inlined()
def _step(x, numbers, bits, before, after):
    """The best way to each remainder after one more number."""
    rest, many = STATE_BITS - 2 * bits, 1 << bits
    after[:] = f4(np.inf)
    for high in range(many):  # the bits that the state loses next
        for middle in range(1 << rest):
            so_far, first = before[high << rest | middle], (high << rest | middle) << bits
            for new in range(many):
                d = numbers[first + new] - x
                cost, to = so_far + d * d, (middle << bits) + new
                after[to] = cost if cost < after[to] else after[to]


@kernel
def _search(x, numbers, bits, least, end, states):
    """Fills in the states of the best way that ends with the remainder `end`, or with any where that is −1.

    least[0] is given: by remainder, what it costs to begin there.
    """
    n, kept = x.shape[0], STATE_BITS - bits
    for i in range(n):
        _step(x[i], numbers, bits, least[i], least[i + 1])
    remainder = np.argmin(least[n]) if end < 0 else end
    for i in range(n - 1, -1, -1):
        best, state = f4(np.inf), remainder
        for high in range(1 << bits):
            at = high << kept | remainder
            d = numbers[at] - x[i]
            cost = least[i, at >> bits] + d * d
            if cost < best:
                best, state = cost, at
        states[i] = u2(state)
        remainder = state >> bits
