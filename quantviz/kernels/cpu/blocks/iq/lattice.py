"""The nearest point of a grid: a table of what is on it, and of each other word's neighbours.

Follows iq2xs_init_impl, iq3xs_init_impl, iq2_find_best_neighbour and iq3_find_best_neighbour of ggml (ggml-quants.c at
d99724f2b141). ggml sorts neighbours by distance, equal ones by their index in the grid, so that no tie is left open.
"""

from __future__ import annotations

import numpy as np

from .....block_types.iq_grids import grid
from ...bits import MAGNITUDE, bits_of, place
from ...compiler import inlined
from ...once import once

f4, i4, i8 = np.float32, np.int32, np.int64

LANES = 16  # neighbours compared side by side; lists are padded to a multiple of it
SHELLS = {"iq2_xxs": 2, "iq2_xs": 2, "iq2_s": 1, "iq3_xxs": 2, "iq3_s": 3, "iq1_s": 3}  # distances a list covers


@once
def lattice(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(where, near) of a grid.

    where int32 [words]: the index of the point with this word; for a word off the grid, -1 - where its list begins.
    near uint16: the lists, each its padded length and then the words of the neighbours, the first repeated at the end.
    """
    g = grid(name)
    every = np.indices((g.levels.max() + 1,) * g.group, np.int32).reshape(g.group, -1)[::-1].T
    words = (every << (g.width * np.arange(g.group))).sum(axis=1)
    where = np.zeros(words.max() + 1, np.int32)
    on = g.words
    where[on] = np.arange(len(on))
    off = ~np.isin(words, on)
    words, every = words[off], every[off].astype(np.float32)
    points = g.levels.astype(np.float32)  # small integers: the products below are exact
    distance = (every**2).sum(1)[:, None] + (points**2).sum(1) - 2 * every @ points.T
    reach = distance.min(axis=1)
    for _ in range(SHELLS[name] - 1):
        reach = np.where(distance > reach[:, None], distance, np.inf).min(axis=1)
    row, point = np.nonzero(distance <= reach[:, None])
    order = np.lexsort((point, distance[row, point], row))
    neighbours = np.split(on[point[order]], np.cumsum(np.bincount(row))[:-1])
    lists, begins = [], 0
    for word, found in zip(words, neighbours, strict=True):
        length = -(-len(found) // LANES) * LANES
        where[word] = -1 - begins
        lists += [[length], found, [found[0]] * (length - len(found))]
        begins += 1 + length
    return where, np.concatenate(lists).astype(np.uint16)


@inlined()
def on_grid(where, word):
    """The index of the point with this word, or -1 - where the list of its neighbours begins."""
    return where[place(word, where.shape[0])]


@inlined()
def best_neighbour(near, begins, group, width, slope, offset, scale, x, weight):
    """The word, of a list's, for which Σ weight·(scale·q - x)² is least; q = slope·level + offset. The first of equals.

    x, weight float32 [group].
    """
    mask = i4((1 << width) - 1)
    # A cost is not negative: its bit pattern orders as it does. Below it, the place decides between equals.
    least = i8(0x7FFFFFFFFFFFFFFF)
    first = begins + 1
    for start in range(first, first + near[begins], LANES):
        some = near[start : start + LANES]
        for j in range(LANES):
            word = i4(some[j])
            cost = f4(0)
            for i in range(group):
                q = f4(i4(i4(i4(i4(word >> i4(width * i)) & mask) * i4(slope)) + i4(offset)))
                difference = f4(f4(scale * q) - x[i])
                cost = f4(cost + f4(f4(weight[i] * difference) * difference))
            least = min(least, i8(i8(i4(bits_of(cost) & MAGNITUDE)) << i8(32) | i8(start + j)))
    return i4(near[place(least & i8(0xFFFFFFFF), near.shape[0])])
