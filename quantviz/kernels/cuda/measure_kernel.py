"""The kernel that quantizes, dequantizes and measures in one pass, leaving nothing but sums and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import triton
import triton.language as tl

from ..bins import ERROR_BINS as _ERROR_BINS
from ..bins import LOG_BIN_SHIFT as _LOG_BIN_SHIFT
from ..bins import LOG_BINS as _LOG_BINS
from ..bins import VALUE_BINS as _VALUE_BINS
from .casts import INF, MAGNITUDE, bits_of
from .group_loops import group_parameters
from .rules import decode, encode, outside
from .tiles import place, read

VALUE_BINS, ERROR_BINS = tl.constexpr(_VALUE_BINS), tl.constexpr(_ERROR_BINS)
LOG_BIN_SHIFT, LOG_BINS = tl.constexpr(_LOG_BIN_SHIFT), tl.constexpr(_LOG_BINS)

# Columns of the sums of a program.
SUM_NAMES = (
    "squared_error", "abs_error", "relative_error", "product", "squared_dequantized", "squared_steps",
    "weighted_squared_error", "max_abs_error", "nonzero", "squared", "abs", "zeroed", "clipped",
    "least_error", "narrow",
)  # fmt: skip
SUMS = tl.constexpr(len(SUM_NAMES))
LOWEST, HIGHEST = tl.constexpr(1e-28), tl.constexpr(1e38)  # as the engine cpu has them


@dataclass(frozen=True)
class Asked:
    """What to measure; a constant of the kernel.

    bf16: x is bfloat16, as int16.  given: parameters of groups are.  apart: z was quantized in place of x, and y is
    what became of x.  weighted: with importance.  full: count as well.  own: sums of x alone, too.
    wide: everything in float64, for weights whose squares leave float32's range.
    """

    bf16: bool
    given: bool
    apart: bool
    weighted: bool
    full: bool
    own: bool
    wide: bool


class Weights(NamedTuple):
    """x, z, y: [rows, cols], and importance: float64 a column, where they are asked for."""

    x: Any
    z: Any
    y: Any
    importance: Any


class Into(NamedTuple):
    """sums: float64 [programs, SUMS].  tile_errors: float64, Σ e² a tile.  counts: int32 [copies, tables].

    codes: how many are counted; 0 leaves them out.  bins: low and 1 / width of the value bins, then of the error bins.
    """

    sums: Any
    tile_errors: Any
    counts: Any
    copies: int
    codes: int
    bins: Any


@triton.jit
def total(v):
    """Σ of [count, weights] in its own type, in whatever order needs no exchange between threads until the end."""
    return tl.sum(v).to(tl.float64)


@triton.jit
def many(b):
    return total(b.to(tl.int32))


@triton.jit
def bin_of(v, low, inverse_width, COUNT: tl.constexpr):
    """0 below, 1 ... COUNT inside, COUNT + 1 above; float32, as `reference` counts."""
    position = (v - low) * inverse_width
    # Not tl.floor, which on a GPU takes a subnormal below 0 for 0.
    return tl.where(position < 0, 0, tl.minimum(position, COUNT * 1.0).to(tl.int32) + 1)


@triton.jit
def store_sums(at, x, y, e, of_tile, step):
    """Sums of weights, what became of them, their errors and Σ e² a tile [count]; step: the groups' scales [count]."""
    a, d = tl.abs(x), tl.abs(e)
    tl.store(at, tl.sum(of_tile, 0))
    tl.store(at + 1, total(d))
    tl.store(at + 2, total(tl.where(a > 0, d / tl.where(a > 0, a, 1.0), 0.0)))
    tl.store(at + 3, total(x * y))
    tl.store(at + 4, total(y * y))
    tl.store(at + 5, tl.sum(tl.where(tl.abs(step) > 0, of_tile / tl.where(tl.abs(step) > 0, step * step, 1.0), 0.0), 0))


@triton.jit
def count(y, error, code, valid, into, K: tl.constexpr):
    """Counts what became of the weights, their errors, and codes, in one of the copies of the tables."""
    table_at = into.counts + (tl.program_id(0) % into.copies).to(tl.int64) * (
        VALUE_BINS + 2 + ERROR_BINS + 2 + LOG_BINS + into.codes
    )
    bins = into.bins
    value_bin = bin_of(y, tl.load(bins), tl.load(bins + 1), VALUE_BINS)
    error_bin = bin_of(error, tl.load(bins + 2), tl.load(bins + 3), ERROR_BINS) + (VALUE_BINS + 2)
    log_bin = ((bits_of(error) & MAGNITUDE) >> LOG_BIN_SHIFT) + (VALUE_BINS + 2 + ERROR_BINS + 2)
    tl.atomic_add(table_at + value_bin, 1, mask=valid, sem="relaxed")
    tl.atomic_add(table_at + error_bin, 1, mask=valid, sem="relaxed")
    tl.atomic_add(table_at + log_bin, 1, mask=valid, sem="relaxed")
    if K.bits <= 16:
        number = code.to(tl.int32) - K.first
        known = valid & (number >= 0) & (number < into.codes)  # NaN may give anything
        code_at = table_at + (VALUE_BINS + 2 + ERROR_BINS + 2 + LOG_BINS)
        tl.atomic_add(code_at + number, 1, mask=known, sem="relaxed")


@triton.jit
def measure_kernel(w, p, into, g, A: tl.constexpr, K: tl.constexpr, T: tl.constexpr):
    """The sums of a program, and what else is asked. w: Weights.  p: plan.Parameters.  into: Into.  A: Asked."""
    t, group, size, offset, valid, column = place(g, T)
    v = read(w.x, offset, valid, A.bf16)
    quantized = v
    if A.apart:
        quantized = tl.load(w.z + offset, mask=valid, other=0)
    f, s, e = group_parameters(quantized, t, group, size, valid, g, p, K, A.given)
    code = encode(quantized, f, e, p.table, K)
    if A.apart:
        y = tl.load(w.y + offset, mask=valid, other=0)
    else:
        y = tl.where(valid, decode(code, s, e, p.table, K), 0.0)
    error = y - v
    X, Y, E = v, y, error
    if A.wide:
        X, Y, E = v.to(tl.float64), y.to(tl.float64), error.to(tl.float64)
    of_tile = tl.sum(E * E, 1).to(tl.float64)
    at = into.sums + tl.program_id(0) * SUMS
    store_sums(at, X, Y, E, of_tile, tl.sum(s, 1).to(tl.float64))
    if A.weighted:
        h = tl.load(w.importance + column, mask=valid, other=0)
        tl.store(at + 6, total(error.to(tl.float64) * error.to(tl.float64) * h))
    tl.store(at + 7, tl.max(tl.abs(error)).to(tl.float64))
    # Tiles whose Σ e² float32 cannot hold: they ask for a pass in float64.
    moved = tl.max(tl.abs(error), 1) > 0
    tl.store(at + 14, many(moved & ((of_tile < LOWEST) | (of_tile > HIGHEST))))
    if A.own:
        tl.store(at + 8, many(v != 0))
        tl.store(at + 9, total(X * X))
        tl.store(at + 10, total(tl.abs(X)))
    if A.full:
        tl.store(at + 11, many((v != 0) & (y == 0)))
        tl.store(at + 13, tl.min(tl.where(valid, tl.abs(error), INF)).to(tl.float64))
        tl.store(at + 12, many(valid & outside(quantized, s, e, K)))
        tl.store(into.tile_errors + t, of_tile, mask=t < g.tiles)
        count(y, error, code, valid, into, K)
