"""The compiled loops: over the groups of a piece, stretch by stretch, each stretch small enough to stay in cache.

A piece is x float32 [rows, cols]; its groups are `height` rows high and `width` weights wide, the last of a row
maybe narrower; group parameters are float32 [ceil(rows / height), ceil(cols / width)]. Kernels are made per rule, and
that which measures also per block length: sums of short blocks of known length vectorise across blocks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..bits import place
from ..blocks.plain import peak
from ..compiler import inlined, kernel
from ..once import once
from ..rules.casts import MAX_BF16, MAX_E4M3, MAX_FINITE, MAX_FP16, store
from ..rules.constants import CENTRED, MEAN, STORE_BF16, STORE_E4M3, STORE_FP16, TWO_LEVELS
from ..rules.elements import decode, encode, roundtrip, squared_error_of_block
from ..rules.scalings import Parameters, element_of, is_ranged, parameters, scaling_of, two_levels
from . import sums
from .plan import STRETCH

f4, f8, i4, u4 = np.float32, np.float64, np.int32, np.uint32

KNOWN_WIDTHS = (16, 32, 64)  # block lengths with measuring kernels of their own; 0 stands for any other


class Extents(NamedTuple):
    """Of groups: float32 arrays of their smallest and largest weight and their mean magnitude, as far as a rule asks
    for them; see `group_extremes`."""

    low: Any
    high: Any
    mean: Any


@inlined()
def largest_storable(store):
    if store == STORE_FP16:
        return MAX_FP16
    if store == STORE_E4M3:
        return MAX_E4M3
    return MAX_BF16 if store == STORE_BF16 else MAX_FINITE


@inlined()
def stretch_of(width):
    """How many weights of a row to take at a time: whole groups, or part of one that is larger than a stretch."""
    return STRETCH if width > STRETCH else STRETCH // width * width


@inlined()
def group_extremes(rule, x, n):
    """low, high and mean magnitude of n weights, as far as the rule asks for them.

    Of a centred block type, high is the weight of largest magnitude with its sign.
    """
    if scaling_of(rule) == MEAN:
        return f4(0), f4(0), f4(sums.sum_abs(x, n) / n)
    if is_ranged(rule):
        low, high = sums.extremes(x, n)
        return low, high, f4(0)
    if element_of(rule) == CENTRED:
        return f4(0), peak(x, n), f4(0)
    high = sums.largest_magnitude(x, n)
    return -high, high, f4(0)


@inlined()
def lowest(rule, low, high):
    """The smallest weight a group may hold, of what `group_extremes` gives."""
    return low if is_ranged(rule) else -abs(high)


@once
def extremes_kernel(rule: int):
    """x, width, height -> low, high float32 and Σ|x| float64 of every group, merged into what the arrays hold."""

    @kernel
    def run(x, width, height, low, high, total):
        rows, cols = x.shape
        for i in range(rows):
            gi = i // height
            for g in range(low.shape[1]):
                for o in range(g * width, min((g + 1) * width, cols), sums.RUN * 16):
                    n = min(sums.RUN * 16, min((g + 1) * width, cols) - o)
                    part = x[i, o : o + n]
                    if scaling_of(rule) == MEAN:
                        total[gi, g] += sums.sum_abs(part, n)
                    else:
                        a, b = sums.extremes(part, n)
                        low[gi, g] = min(low[gi, g], a)
                        high[gi, g] = max(high[gi, g], b)

    return run


@kernel
def stored_kernel(minimum, k):
    """Minima rounded to the type they are stored in."""
    out = np.empty_like(minimum)
    for i in range(minimum.shape[0]):
        for g in range(minimum.shape[1]):
            out[i, g] = store(minimum[i, g], k.store)
    return out


@once
def parameters_kernel(rule: int):
    """Extents -> Parameters of every group; counts[VANISHED], counts[SATURATED] += 1 where due."""

    @kernel
    def run(extents, k, into, counts):
        low, high, mean = extents
        factor, stored, extra = into
        limit = largest_storable(k.store)
        for i in range(low.shape[0]):
            for g in range(low.shape[1]):
                factor[i, g], stored[i, g], extra[i, g], exact = parameters(rule, low[i, g], high[i, g], mean[i, g], k)
                counts[sums.VANISHED] += f8(1) if exact > f4(0) and stored[i, g] == f4(0) else f8(0)
                counts[sums.SATURATED] += f8(1) if exact > limit else f8(0)

    return run


@inlined()
def some_extents():
    """Room for those of the groups of a stretch."""
    return Extents(np.empty(STRETCH, f4), np.empty(STRETCH, f4), np.empty(STRETCH, f4))


@inlined()
def some_of(p, row, first, n):
    """The parameters of n groups in a row of groups, from the one numbered `first` on."""
    end = first + n
    return Parameters(p.factor[row, first:end], p.stored[row, first:end], p.extra[row, first:end])


@inlined()
def one_of(p, g):
    """The parameters of one group of a row."""
    return Parameters(p.factor[g], p.stored[g], p.extra[g])


# In what follows x is a stretch, a part of one row that begins with a group and whose groups are `length` long, the
# last one maybe shorter; p are the parameters of its groups.


@inlined()
def fill_parameters(rule, x, length, k, p, extents, out):
    """Fills p, and extents, from which p is made; adds scales that vanished or were cut to `out`."""
    low, high, mean = extents
    n = x.shape[0]
    groups = n // length
    for g in range(groups):
        low[g], high[g], mean[g] = group_extremes(rule, x[g * length :], length)
    if groups * length < n:
        low[groups], high[groups], mean[groups] = group_extremes(rule, x[groups * length :], n - groups * length)
        groups += 1
    limit = largest_storable(k.store)
    vanished, saturated = i4(0), i4(0)
    factors, scales, extras = p
    for g in range(groups):
        a, b, c, exact = parameters(rule, lowest(rule, low[g], high[g]), high[g], mean[g], k)
        factors[g], scales[g], extras[g] = a, b, c
        vanished = i4(vanished + (i4(1) if (exact > f4(0)) & (b == f4(0)) else i4(0)))
        saturated = i4(saturated + (i4(1) if exact > limit else i4(0)))
    out[sums.VANISHED] += f8(vanished)
    out[sums.SATURATED] += f8(saturated)
    if scaling_of(rule) == TWO_LEVELS:
        four_over_six(x, length, k, k.sixes, p, high)


@inlined()
def four_over_six(x, length, k, sixes, p, high):
    """Under sixes=4: gives blocks the scale by which their largest weight becomes 4, where that errs less than 6."""
    if sixes is None:
        return
    if sixes[0] == f4(0):
        return
    factors, scales, extras = p
    for g in range(-(-x.shape[0] // length)):
        xg = x[g * length : (g + 1) * length]
        a, b, c, _ = two_levels(high[g], f4(1.5), k.tensor_scale, sixes)
        if squared_error_of_block(xg, a, c, sixes, k) < squared_error_of_block(xg, factors[g], extras[g], sixes, k):
            factors[g], scales[g], extras[g] = a, b, c


@inlined()
def fill_values(rule, x, length, k, p, y):
    """y, the dequantized weights."""
    for g in range(-(-x.shape[0] // length)):
        own = one_of(p, g)
        xg, yg = x[g * length : (g + 1) * length], y[g * length : (g + 1) * length]
        for j in range(xg.shape[0]):  # a length known in advance would be unrolled, if it is small, and not vectorised
            yg[j] = roundtrip(rule, xg[j], own, k)


@inlined()
def fill_values_and_codes(rule, x, length, k, p, y, index, many):
    """y, and index, the codes counted from the first, below `many`: in one loop, what both need is computed once."""
    for g in range(-(-x.shape[0] // length)):
        own = one_of(p, g)
        s = slice(g * length, (g + 1) * length)
        xg, yg, ig = x[s], y[s], index[s]
        for j in range(xg.shape[0]):
            yg[j] = roundtrip(rule, xg[j], own, k)
            ig[j] = place(encode(rule, xg[j], own, k) - k.first_code, many)


@inlined()
def fill_codes(rule, x, length, k, p, q):
    """q, the codes."""
    for g in range(-(-x.shape[0] // length)):
        own = one_of(p, g)
        xg, qg = x[g * length : (g + 1) * length], q[g * length : (g + 1) * length]
        for j in range(xg.shape[0]):
            qg[j] = encode(rule, xg[j], own, k)


@once
def quantize_kernel(rule: int, codes: bool):
    """One piece: parameters (unless given), and into `y` [rows, cols] its codes, or its dequantized weights."""

    @kernel
    def run(x, width, height, given, k, p, y, out):
        rows, cols = x.shape
        extents = some_extents()
        step = stretch_of(width)
        for i in range(rows):
            for o in range(0, cols, step):
                n = min(step, cols - o)
                xs, ys = x[i, o : o + n], y[i, o : o + n]
                own = some_of(p, i // height, o // width, -(-n // width))
                if not given:
                    fill_parameters(rule, xs, width, k, own, extents, out)
                if codes:
                    fill_codes(rule, xs, width, k, own, ys)
                else:
                    fill_values(rule, xs, width, k, own, ys)

    return run


@once
def decode_kernel(rule: int):
    """One piece: codes -> float32 weights. `values` is the value of each code for formats that are a table."""

    @kernel
    def run(codes, width, height, stored, extra, values, out):
        rows, cols = codes.shape
        for i in range(rows):
            gi = i // height
            for o in range(0, cols, width):
                p = Parameters(f4(0), stored[gi, o // width], extra[gi, o // width])  # no weight is divided any more
                cs, ys = codes[i, o : min(o + width, cols)], out[i, o : min(o + width, cols)]
                for j in range(cs.shape[0]):
                    ys[j] = decode(rule, cs[j], p, values)

    return run
