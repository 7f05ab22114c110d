"""Where the weights of a program lie, and the extremes of a group. `T`, a plan.Tile, is a constant; `g` a plan.Grid."""

from __future__ import annotations

import triton
import triton.language as tl

from .casts import INF, float_of


@triton.jit
def place(g, T: tl.constexpr):
    """Of this program's tiles: their numbers, groups and group sizes [count]; their weights' places and whether there
    is such a weight [count, weights]; and the columns, [count or 1, weights]."""
    t = tl.program_id(0) * T.count + tl.arange(0, T.count)
    i = tl.arange(0, T.rows * T.cols)[None, :]
    exists = tl.full([T.count], 1, tl.int1)[:, None] if T.full else (t < g.tiles)[:, None]
    if T.one_group:
        group, down, across = t, t * 0, t * 0
    else:
        group, part = t // (g.down * g.across), t % (g.down * g.across)
        down, across = part // g.across, part % g.across
    if T.flat:
        start = t.to(tl.int64) * (T.rows * T.cols)
        column = (start % g.cols).to(tl.int32)[:, None] + i
        offset, valid, size = start[:, None] + i, exists & (i >= 0), t * 0 + g.width * g.height
    else:
        top, left = (group // g.group_cols) * g.height, (group % g.group_cols) * g.width
        bottom, right = tl.minimum(top + g.height, g.rows), tl.minimum(left + g.width, g.cols)
        first_row, first_col = top + down * T.rows, left + across * T.cols
        start = first_row.to(tl.int64) * g.cols + first_col
        column = first_col[:, None] + i % T.cols
        valid = exists & (column < right[:, None])
        offset = start[:, None] + i % T.cols
        if T.rows > 1:
            valid = valid & (first_row[:, None] + i // T.cols < bottom[:, None])
            offset += (i // T.cols).to(tl.int64) * g.cols
        size = (bottom - top) * (right - left)
    return t, group, size, offset, valid, column


@triton.jit
def read(x, offset, valid, BF16: tl.constexpr):
    """float32 weights, 0 where there is none; bfloat16 comes as int16 and is widened by its bits."""
    v = tl.load(x + offset, mask=valid, other=0)
    if BF16:
        return float_of(v.to(tl.int32) << 16)
    else:
        return v.to(tl.float32)


@triton.jit
def extremes(v, valid, size, K: tl.constexpr):
    """Smallest, largest and mean magnitude of each tile, as far as the rule asks; a missing weight counts as none."""
    none = tl.zeros([v.shape[0]], tl.float32)
    if K.scaling == "mean":
        return none, none, tl.sum(tl.abs(v).to(tl.float64), 1)
    elif K.scaling == "minimum" or K.scaling == "edge":
        return tl.min(tl.where(valid, v, INF), 1), tl.max(tl.where(valid, v, -INF), 1), none.to(tl.float64)
    elif K.scaling == "zero point":  # whose range holds 0 anyway
        return tl.min(v, 1), tl.max(v, 1), none.to(tl.float64)
    else:
        high = tl.max(tl.abs(v), 1)
        return -high, high, none.to(tl.float64)
