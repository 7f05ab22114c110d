"""The search of the two and three bit iq types: the scale of 16 or 32 weights for which the grid fits best.

Follows quantize_row_iq2_xxs_impl, _iq2_xs_, _iq2_s_, _iq3_xxs_ and _iq3_s_impl of ggml (ggml-quants.c at d99724f2b141):
one procedure, with the differences that `Search` names. Every sum runs over the weights in their order, in float32,
unfused. The candidate scales have a lane each, so that the order of every one's sum is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...compiler import inlined, kernel
from ..bits import clamp, nearest
from .lattice import best_neighbour, on_grid
from .positive import positive_scale

f4, i4, u1 = np.float32, np.int32, np.uint8

SKIPPED = f4(-1)  # the scale of a part of next to nothing, of which ggml stores nothing
EVERY = -1  # groups, as a bit set
LANES = 32  # room for all candidates; loops of fewer turns would be unrolled instead of made vector instructions


class Search(NamedTuple):
    """How one type looks for its scales. Constants of its compiled search."""

    group: int  # weights a point of the grid covers
    width: int  # bits of a level in a word
    levels: int
    part: int  # weights that share a scale
    tries: int  # candidates either side of the scale that puts the largest weight on the highest level
    step: np.float32  # from a candidate to the next, in the units where levels are 1, 3, 5 …
    too_small: np.float32  # a part whose weights are all smaller is skipped
    variance: int  # sigma², which steadies the importance, in mean squares of the block
    floor: np.float32 = f4(0)  # without importance a weight weighs x² + floor · sigma²
    even: bool = False  # whether seven signs are stored for eight weights, with an even number of minuses
    fitted_start: bool = False  # whether the first scale comes from a fit on plain levels; then all is fitted twice
    wholly: bool = False  # whether a second fit takes in groups that were on the grid, and is made if no candidate won


class Workspace(NamedTuple):
    """Where a part is worked on."""

    size: np.ndarray  # float32 [part]: magnitudes, one of eight negated where signs must be even and are not
    weight: np.ndarray  # float32 [part]: what an error counts
    root: np.ndarray  # float32 [part]: the square root of that, which weighs the distance to a point
    level: np.ndarray  # int32 [part]
    inverse: np.ndarray  # float32 [LANES], as are the next three: of each candidate, 1 / scale,
    scale: np.ndarray  # the scale,
    along: np.ndarray  # Σ w·x·q
    square: np.ndarray  # and Σ w·q·q
    off: np.ndarray  # int32 [LANES]: which groups were not on the grid, as a bit set
    point: np.ndarray  # int32 [groups, LANES]: points, as words


@inlined()
def _weigh(s, room, x, importance, weighted, sigma2):
    for j in range(s.part):
        square = f4(x[j] * x[j])
        plain = f4(f4(s.floor * sigma2) + square) if s.floor > f4(0) else square
        room.weight[j] = f4(importance[j] * f4(np.sqrt(f4(sigma2 + square)))) if weighted else plain
        room.root[j] = f4(np.sqrt(room.weight[j]))


@inlined()
def _take_signs(s, room, x, minus):
    """Signs a bit each; where they must be even and are not, the least important weight gets the wrong one."""
    for o in range(s.part // 8):
        bits, flips = 0, 0
        for i in range(8):
            v = x[8 * o + i]
            negative = not v >= f4(0)
            room.size[8 * o + i] = -v if negative else v
            bits |= negative << i
            flips += negative
        if s.even and flips % 2 == 1:
            at = 0
            least = f4(f4(room.weight[8 * o] * x[8 * o]) * x[8 * o])
            for i in range(1, 8):
                price = f4(f4(room.weight[8 * o + i] * x[8 * o + i]) * x[8 * o + i])
                if price < least:
                    least, at = price, i
            room.size[8 * o + at] = -room.size[8 * o + at]
            bits ^= 1 << at
        minus[o] = u1(bits & (127 if s.even else 255))


@inlined()
def _level(s, inverse, v):
    """The level q whose 2q + 1 is nearest to inverse · v."""
    return clamp(nearest(f4(f4(0.5) * f4(f4(inverse * v) - f4(1)))), i4(0), i4(s.levels - 1))


@inlined()
def _odd(s, word, j):
    """2q + 1 of weight j's level in its group's word."""
    level = i4(i4(word >> i4(s.width * (j % s.group))) & i4((1 << s.width) - 1))
    return f4(i4(i4(level * i4(2)) + i4(1)))


@inlined()
def _fit(s, room, where, near):
    """Points of all groups for all candidates."""
    for t in range(LANES):
        room.off[t] = i4(0)
    for g in range(s.part // s.group):
        point, first, last = room.point[g], g * s.group, (g + 1) * s.group
        for t in range(LANES):
            point[t] = i4(0)
        for i in range(s.group):
            v, shift = room.size[first + i], i4(s.width * i)
            for t in range(LANES):
                point[t] = i4(point[t] | i4(_level(s, room.inverse[t], v) << shift))
        xs, ws = room.size[first:last], room.root[first:last]
        for t in range(2 * s.tries + 1):
            begins = -1 - on_grid(where, point[t])
            if begins >= 0:
                room.off[t] |= 1 << g
                point[t] = best_neighbour(near, begins, s.group, s.width, 2, 1, room.scale[t], xs, ws)


@inlined()
def _measure(s, room):
    along, square = room.along, room.square
    for t in range(LANES):
        along[t] = f4(0)
        square[t] = f4(0)
    for j in range(s.part):
        w, wx, point = room.weight[j], f4(room.weight[j] * room.size[j]), room.point[j // s.group]
        for t in range(LANES):
            q = _odd(s, point[t], j)
            along[t] = f4(along[t] + f4(wx * q))
            square[t] = f4(square[t] + f4(f4(w * q) * q))


@inlined()
def _best_candidate(s, room, scale, found):
    """(scale, groups off the grid) of the candidate of least weighted squared error, its points in `found`."""
    best, chosen = f4(0), -1
    for t in range(2 * s.tries + 1):
        along, square = room.along[t], room.square[t]
        if square > f4(0) and f4(along * along) > f4(best * square):
            scale = f4(along / square)
            best = f4(scale * along)
            chosen = t
    if chosen < 0:
        return scale, i4(EVERY if s.wholly else 0)
    for g in range(s.part // s.group):
        found[g] = room.point[g, chosen]
    return scale, room.off[chosen]


@inlined()
def _fit_again(s, room, scale, doubt, where, near, found):
    """The groups in doubt fitted with the scale that was found, and the scale that this makes best."""
    inverse = f4(f4(1) / scale)
    for g in range(s.part // s.group):
        if doubt >> g & 1:
            first, last, word = g * s.group, (g + 1) * s.group, i4(0)
            for i in range(s.group):
                word = i4(word | i4(_level(s, inverse, room.size[first + i]) << i4(s.width * i)))
            begins = -1 - on_grid(where, word)
            if begins >= 0:
                xs, ws = room.size[first:last], room.root[first:last]
                word = best_neighbour(near, begins, s.group, s.width, 2, 1, scale, xs, ws)
            found[g] = word
    along, square = f4(0), f4(0)
    for j in range(s.part):
        q = _odd(s, found[j // s.group], j)
        along = f4(along + f4(f4(room.weight[j] * room.size[j]) * q))
        square = f4(square + f4(f4(room.weight[j] * q) * q))
    return f4(along / square) if square > f4(0) else scale


@inlined()
def _search_part(s, room, where, near, found, minus):
    """The scale of one part, weighed and with its signs taken; SKIPPED, and nothing found, for next to nothing."""
    largest = room.size[0]
    for j in range(1, s.part):
        largest = room.size[j] if room.size[j] > largest else largest
    top = f4(2 * s.levels - 1)
    scale, enough = f4(largest / top), not largest < s.too_small
    if s.fitted_start and enough:
        scale = positive_scale(room.size, room.weight, room.level, room.inverse, room.scale, room.along)
        largest = f4(scale * f4(s.levels))
        enough = not largest <= f4(0)
    found[:] = i4(0)
    if not enough:
        minus[:] = u1(0)
        return SKIPPED
    for t in range(LANES):
        room.inverse[t] = f4(f4(top + f4(f4(t - s.tries) * s.step)) / largest)
        room.scale[t] = f4(f4(1) / room.inverse[t])
    _fit(s, room, where, near)
    _measure(s, room)
    scale, doubt = _best_candidate(s, room, scale, found)
    if s.fitted_start or (s.wholly and doubt != 0):
        doubt = i4(EVERY)
    if doubt != 0 and scale > f4(0):
        scale = _fit_again(s, room, scale, doubt, where, near, found)
    if scale < f4(0):  # a weight that had to take the wrong sign may outweigh the others
        for o in range(s.part // 8):
            minus[o] = u1(~minus[o] & (127 if s.even else 255))
    return abs(scale)


def searcher(s: Search):
    """The compiled search of a type.

    x float32 [blocks, 256]; importance float32 [blocks a row, 256], or [0, 256] for none; where, near: see `lattice`.
    Fills words int32 [blocks, 256 / group] with points of the grid, minus uint8 [blocks, 32] with a bit a weight, and
    scales float32 [blocks, 256 / part].
    """
    part, groups, octets = s.part, s.part // s.group, s.part // 8

    @kernel
    def search(x, importance, where, near, words, minus, scales):
        weighted, repeat = importance.shape[0] > 0, max(importance.shape[0], 1)
        room = Workspace(
            np.empty(part, f4), np.empty(part, f4), np.empty(part, f4), np.empty(part, i4),
            np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4), np.empty(LANES, f4),
            np.empty(LANES, i4), np.empty((groups, LANES), i4),
        )  # fmt: skip
        for b in range(x.shape[0]):
            total = f4(0)
            for j in range(256):
                total = f4(total + f4(x[b, j] * x[b, j]))
            sigma2 = f4(f4(f4(s.variance) * total) / f4(256))
            for p in range(256 // part):
                xs = x[b, p * part : (p + 1) * part]
                given = importance[b % repeat, p * part : (p + 1) * part] if weighted else xs
                found, signs = words[b, p * groups : (p + 1) * groups], minus[b, p * octets : (p + 1) * octets]
                _weigh(s, room, xs, given, weighted, sigma2)
                _take_signs(s, room, xs, signs)
                scales[b, p] = _search_part(s, room, where, near, found, signs)

    return search
