"""The kernels: extremes, parameters, quantize, dequantize; each the whole catalogue, with the rule as a constant.

x: float32, float16, or bfloat16 as int16, [rows, cols].  p: plan.Parameters; a group's are read where GIVEN, else made
from the tile, which then is a whole group, and written (all but the factor).
"""

from __future__ import annotations

import triton
import triton.language as tl

from .rules import beyond, decode, encode, four_over_six, parameters
from .tiles import extremes, place, read


@triton.jit
def extremes_kernel(x, low, high, total, g, BF16: tl.constexpr, K: tl.constexpr, T: tl.constexpr):
    """float32 low and high, float64 total of magnitudes: one a tile."""
    t, _, size, offset, valid, _ = place(g, T)
    a, b, c = extremes(read(x, offset, valid, BF16), valid, size, K)
    tl.store(low + t, a, mask=t < g.tiles)
    tl.store(high + t, b, mask=t < g.tiles)
    tl.store(total + t, c, mask=t < g.tiles)


@triton.jit
def parameters_kernel(low, high, mean, p, groups, K: tl.constexpr, N: tl.constexpr):
    """Parameters of groups from their extremes."""
    n = tl.program_id(0) * N + tl.arange(0, N)
    here = n < groups
    a, b, c = tl.load(low + n, mask=here, other=0), tl.load(high + n, mask=here, other=0), tl.load(mean + n, mask=here)
    f, s, e, exact = parameters(a, b, c, tl.load(p.tensor_scale), K)
    tl.store(p.factor + n, f, mask=here)
    tl.store(p.stored + n, s, mask=here)
    tl.store(p.extra + n, e, mask=here)
    note(p.notes, here, s, exact, K)


@triton.jit
def note(notes, here, s, exact, K: tl.constexpr):
    at = notes + 2 * tl.program_id(0)
    tl.store(at, tl.sum((here & (exact > 0) & (s == 0)).to(tl.int32), 0))
    tl.store(at + 1, tl.sum((here & beyond(exact, K.store)).to(tl.int32), 0))


@triton.jit
def group_parameters(v, t, group, size, valid, g, p, K: tl.constexpr, GIVEN: tl.constexpr):
    """factor, stored and extra of each tile, [count, 1]; written, with the notes, where they are made here."""
    here = t < g.tiles
    if GIVEN:
        f = tl.load(p.factor + group, mask=here, other=1)
        s, e = tl.load(p.stored + group, mask=here, other=0), tl.load(p.extra + group, mask=here, other=0)
    else:
        low, high, total = extremes(v, valid, size, K)
        mean = (total / size).to(tl.float32)
        f, s, e, exact = parameters(low, high, mean, tl.load(p.tensor_scale), K)
        if K.sixes == 4:
            f, s, e = four_over_six(v, high, p.tensor_scale, K)
        tl.store(p.stored + group, s, mask=here)
        tl.store(p.extra + group, e, mask=here)
        note(p.notes, here, s, exact, K)
    return f[:, None], s[:, None], e[:, None]


@triton.jit
def quantize_kernel(
    x, codes, p, g, BF16: tl.constexpr, GIVEN: tl.constexpr, K: tl.constexpr, T: tl.constexpr
):  # fmt: skip
    t, group, size, offset, valid, _ = place(g, T)
    v = read(x, offset, valid, BF16)
    f, s, e = group_parameters(v, t, group, size, valid, g, p, K, GIVEN)
    tl.store(codes + offset, encode(v, f, e, p.table, K).to(tl.int32), mask=valid)


@triton.jit
def dequantize_kernel(codes, y, stored, extra, table, g, K: tl.constexpr, T: tl.constexpr):
    t, group, _, offset, valid, _ = place(g, T)
    here = t < g.tiles
    s, e = tl.load(stored + group, mask=here, other=0), tl.load(extra + group, mask=here, other=0)
    code = tl.load(codes + offset, mask=valid, other=0).to(tl.int32)
    tl.store(y + offset, decode(code, s[:, None], e[:, None], table, K), mask=valid)
