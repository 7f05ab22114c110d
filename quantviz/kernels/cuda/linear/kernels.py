"""The linear layer in Triton: packed weights times activations of one token or a few, and the way to cuBLAS for more.

x is read as int16, the bits of float16 or bfloat16, and made float32 by bit operations: interpreters get bfloat16
casts wrong. Shapes of tensors in a comment: R rows, C words of a plane, S = C / 4 runs, B tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import triton
import triton.language as tl

from .decode import half_value, load_tables, pair, spread


class Weights(NamedTuple):
    """Packed weights as the kernels take them; see packing.PackedWeights.

    words, scales, zeros: as packed.  levels: of a code book.  rows, cols: of the weights.  row_words: of a plane.
    group_rows: rows that share a scale.  grid_cols: scales in a row of them.  zero: where one serves all.
    factor: of all weights.  unit: what a pair's numbers are multiplied by.
    """

    words: Any
    scales: Any
    zeros: Any
    levels: Any
    rows: int
    cols: int
    row_words: int
    group_rows: int
    grid_cols: int
    zero: int
    factor: float
    unit: float


@dataclass(frozen=True)
class Constants:
    """How weights are packed and what a program takes of them; a constant of each kernel.

    kind, bits, planes, steps: as layouts.Layout has them.  flush: steps whose products are added up before they are
    scaled.  group: columns that share a scale, 0 for all.  scale: the scales' type.  bf16: activations are bfloat16.
    ptx: with an NVIDIA GPU's instructions.  rows, words: R and C of a program.  tokens: at most.
    """

    kind: str
    bits: int
    planes: int
    steps: int
    flush: int
    group: int
    scale: str
    asymmetric: bool
    bf16: bool
    ptx: bool
    rows: int
    words: int
    tokens: int


@triton.jit
def activation(bits, BF16: tl.constexpr):
    """float32 of activations read as int16."""
    if BF16:
        return (bits.to(tl.int32) << 16).to(tl.float32, bitcast=True)
    return bits.to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def rounded(v, BF16: tl.constexpr):
    """int16 bits of float32 numbers rounded to the activations' type, ties to even; NaN stays one."""
    if BF16:
        bits = v.to(tl.int32, bitcast=True)
        up = bits + 0x7FFF + ((bits >> 16) & 1)
        return (tl.where(v == v, up, 0x7FC00000) >> 16).to(tl.int16)
    return v.to(tl.float16).to(tl.int16, bitcast=True)


@triton.jit
def load_scale(scales, at, mask, TYPE: tl.constexpr):
    """float32 scales from what is stored."""
    raw = tl.load(scales + at, mask, 0)
    if TYPE == "fp32":
        return raw.to(tl.float32, bitcast=True)
    if TYPE == "fp16":
        return raw.to(tl.float16, bitcast=True).to(tl.float32)
    if TYPE == "bf16":
        return (raw.to(tl.int32) << 16).to(tl.float32, bitcast=True)
    if TYPE == "e8m0":
        field = raw.to(tl.int32)
        return tl.where(field == 0, 0x400000, field << 23).to(tl.float32, bitcast=True)
    return half_value(raw.to(tl.int32) << 7) * 256.0  # e4m3, never negative


@triton.jit
def grid_place(row, run, P, w, L: tl.constexpr):
    """Where in the grid the scale of step P of runs lies: [R, S]."""
    col = run * 0 if L.group == 0 else (run * (8 * L.steps) + P * 8) // L.group
    return (row // w.group_rows)[:, None] * w.grid_cols + col[None, :]


@triton.jit
def load_words(w, row, at, valid, L: tl.constexpr):
    """Up to three planes of words, [R, C] each; 0 beyond the rows that are valid and beyond their ends."""
    mask = valid[:, None] & (at < w.row_words)[None, :]
    place = w.words + row[:, None] * (w.row_words * L.planes) + at[None, :]
    w0 = tl.load(place, mask, 0, eviction_policy="evict_first")
    w1, w2 = w0, w0
    if L.planes > 1:
        w1 = tl.load(place + w.row_words, mask, 0, eviction_policy="evict_first")
    if L.planes > 2:
        w2 = tl.load(place + 2 * w.row_words, mask, 0, eviction_policy="evict_first")
    return w0, w1, w2


@triton.jit
def gemv_kernel(x, w, y, L: tl.constexpr):
    """y[b, row] = Σ over k of w[row, k] · x[b, k] for up to 4 tokens; a program takes R whole rows, C words at a time.

    w: Weights.  L: Constants.
    A thread's words lie side by side, and so do the activations of a step. A block's products are added up first, then
    scaled; nothing is rounded below float32 before y.
    """
    R: tl.constexpr = L.rows
    C: tl.constexpr = L.words
    FLUSH: tl.constexpr = L.flush
    row = tl.program_id(0) * R + tl.arange(0, R)
    valid = row < w.rows
    c, s, pairs = tl.arange(0, C), tl.arange(0, C // 4), tl.arange(0, 2 * C)
    pairs = pairs // 8 * (8 * L.steps) + pairs % 8
    t0 = tl.zeros((R, C // 4), tl.float32)
    t1, t2, t3 = t0, t0, t0
    book = load_tables(w.levels, C) if L.kind == "codebook" and L.ptx else w.levels
    if L.group == 0:
        z = w.zero
        if L.asymmetric:
            z = tl.load(w.zeros + row // w.group_rows * w.grid_cols, valid, 0).to(tl.int32)[:, None]
    next0, next1, next2 = load_words(w, row, c, valid, L)
    for first in range(0, w.row_words, C):
        # The next words are under way while these are multiplied.
        w0, w1, w2 = next0, next1, next2
        next0, next1, next2 = load_words(w, row, first + C + c, valid, L)
        run = first // 4 + s
        run_here = valid[:, None] & (run < w.row_words // 4)[None, :]
        for block in tl.static_range(L.steps // FLUSH):
            if L.group != 0:
                place = grid_place(row, run, block * FLUSH, w, L)
                scale = load_scale(w.scales, place, run_here, L.scale)
                z = w.zero
                if L.asymmetric:
                    z = spread(tl.load(w.zeros + place, run_here, 0).to(tl.int32), R, C)
            a0 = tl.zeros((R, C), tl.float32)
            a = a0, a0, a0, a0
            for step in tl.static_range(FLUSH):
                lower, upper = pair(w0, w1, w2, z, book, block * FLUSH + step, L.kind, L.bits, L.ptx)
                k = first * (2 * L.steps) + (block * FLUSH + step) * 8 + pairs
                a = add_tokens(a, lower, upper, x, k, w.cols, L)
            t0, t1, t2, t3 = add_runs((t0, t1, t2, t3), a, scale if L.group != 0 else 1.0, L)
    last = w.factor
    if L.group == 0:
        last = w.factor * load_scale(w.scales, row // w.group_rows * w.grid_cols, valid, L.scale)
    store_tokens((t0, t1, t2, t3), y, row, valid, last, w, L)


@triton.jit
def add_token(a, lower, upper, x, k, cols, L: tl.constexpr):
    """a [R, C] + the products of a pair with a token's activations at k [2 C]."""
    v = activation(tl.load(x + k, k < cols, 0, eviction_policy="evict_last"), L.bf16)
    first, second = tl.split(tl.reshape(v, (L.words, 2)))
    return a + lower * first[None, :] + upper * second[None, :]


@triton.jit
def add_tokens(a, lower, upper, x, k, cols, L: tl.constexpr):
    """The same for each token that there is, of four."""
    a0, a1, a2, a3 = a
    a0 = add_token(a0, lower, upper, x, k, cols, L)
    if L.tokens > 1:
        a1 = add_token(a1, lower, upper, x + cols, k, cols, L)
    if L.tokens > 2:
        a2 = add_token(a2, lower, upper, x + 2 * cols, k, cols, L)
    if L.tokens > 3:
        a3 = add_token(a3, lower, upper, x + 3 * cols, k, cols, L)
    return a0, a1, a2, a3


@triton.jit
def add_runs(t, a, scale, L: tl.constexpr):
    """t [R, S] + scale times the sums of a [R, C] over runs, for each token."""
    t0, t1, t2, t3 = t
    a0, a1, a2, a3 = a
    t0 += scale * tl.sum(tl.reshape(a0, (L.rows, L.words // 4, 4)), 2)
    if L.tokens > 1:
        t1 += scale * tl.sum(tl.reshape(a1, (L.rows, L.words // 4, 4)), 2)
    if L.tokens > 2:
        t2 += scale * tl.sum(tl.reshape(a2, (L.rows, L.words // 4, 4)), 2)
    if L.tokens > 3:
        t3 += scale * tl.sum(tl.reshape(a3, (L.rows, L.words // 4, 4)), 2)
    return t0, t1, t2, t3


@triton.jit
def store_tokens(t, y, row, valid, last, w, L: tl.constexpr):
    """The sums of t [R, S], scaled and rounded, for each token."""
    t0, t1, t2, t3 = t
    tl.store(y + row, rounded(tl.sum(t0, 1) * w.unit * last, L.bf16), valid)
    if L.tokens > 1:
        tl.store(y + w.rows + row, rounded(tl.sum(t1, 1) * w.unit * last, L.bf16), valid)
    if L.tokens > 2:
        tl.store(y + 2 * w.rows + row, rounded(tl.sum(t2, 1) * w.unit * last, L.bf16), valid)
    if L.tokens > 3:
        tl.store(y + 3 * w.rows + row, rounded(tl.sum(t3, 1) * w.unit * last, L.bf16), valid)


@triton.jit
def block_scale(row, run, here, w, P, L: tl.constexpr):
    """Scale · factor and zero point of step P, for every column: [R, C], the zero point maybe a number."""
    place = grid_place(row, run, P, w, L)
    z = w.zero
    if L.asymmetric:
        z = spread(tl.load(w.zeros + place, here, 0).to(tl.int32), L.rows, L.words)
    return spread(load_scale(w.scales, place, here, L.scale) * w.factor, L.rows, L.words), z


@triton.jit
def dequantize_kernel(w, out, L: tl.constexpr):
    """out[row, k], 16 bit: every weight as the scheme has it, rounded once. For batches that cuBLAS multiplies.

    w: Weights, whose levels are float32 [16], the exact ones of a code book.  L: Constants.
    """
    R: tl.constexpr = L.rows
    C: tl.constexpr = L.words
    FLUSH: tl.constexpr = L.flush
    row = tl.program_id(0) * R + tl.arange(0, R)
    first = tl.program_id(1) * C
    at, run, valid = first + tl.arange(0, C), first // 4 + tl.arange(0, C // 4), row < w.rows
    run_here = valid[:, None] & (run < w.row_words // 4)[None, :]
    w0, w1, w2 = load_words(w, row, at, valid, L)
    pairs = tl.arange(0, 2 * C)
    pairs = first * (2 * L.steps) + pairs // 8 * (8 * L.steps) + pairs % 8
    place = out + row.to(tl.int64)[:, None] * w.cols
    for block in tl.static_range(L.steps // FLUSH):
        scale, z = block_scale(row, run, run_here, w, block * FLUSH, L)
        for step in tl.static_range(FLUSH):
            lower, upper = pair(w0, w1, w2, z, w.levels, block * FLUSH + step, L.kind, L.bits, False)
            v = tl.reshape(tl.join(lower * w.unit * scale, upper * w.unit * scale), (R, 2 * C))
            k = pairs + (block * FLUSH + step) * 8
            tl.store(place + k[None, :], rounded(v, L.bf16), valid[:, None] & (k < w.cols)[None, :])


@triton.jit
def dot_kernel(x, w, y, batch, L: tl.constexpr):
    """y[b, row] for up to L.tokens: weights are rounded to the activations' type and multiplied by tensor cores.

    The lower weights of a step and the upper ones are a product each, over the C columns, so that nothing has to be
    brought into the order of k; the activations are read in the order of the words.
    """
    R: tl.constexpr = L.rows
    C: tl.constexpr = L.words
    FLUSH: tl.constexpr = L.flush
    B: tl.constexpr = L.tokens
    row, b = tl.program_id(0) * R + tl.arange(0, R), tl.arange(0, B)
    c, s, pairs = tl.arange(0, C), tl.arange(0, C // 4), tl.arange(0, 2 * C)
    pairs = pairs // 8 * (8 * L.steps) + pairs % 8
    valid = row < w.rows
    book = load_tables(w.levels, C) if L.kind == "codebook" and L.ptx else w.levels
    total = tl.zeros((R, B), tl.float32)
    for first in range(0, w.row_words, C):
        at, run = first + c, first // 4 + s
        run_here = valid[:, None] & (run < w.row_words // 4)[None, :]
        w0, w1, w2 = load_words(w, row, at, valid, L)
        for block in tl.static_range(L.steps // FLUSH):
            scale, z = block_scale(row, run, run_here, w, block * FLUSH, L)
            for step in tl.static_range(FLUSH):
                lower, upper = pair(w0, w1, w2, z, book, block * FLUSH + step, L.kind, L.bits, L.ptx)
                k = first * (2 * L.steps) + (block * FLUSH + step) * 8 + pairs
                here = (b < batch)[:, None] & (k < w.cols)[None, :]
                v = tl.load(x + b[:, None] * w.cols + k[None, :], here, 0, eviction_policy="evict_last")
                even, odd = tl.split(tl.reshape(v, (B, C, 2)))
                total = multiplied(total, lower * w.unit * scale, even, L.bf16, L.ptx)
                total = multiplied(total, upper * w.unit * scale, odd, L.bf16, L.ptx)
    place = y + b[None, :] * w.rows + row[:, None]
    tl.store(place, rounded(total, L.bf16), valid[:, None] & (b < batch)[None, :])


@triton.jit
def multiplied(total, w, x, BF16: tl.constexpr, PTX: tl.constexpr):
    """total [R, B] + w [R, C] · x [B, C]ᵀ, w rounded to 16 bit and x its bits. Without PTX both stay float32 numbers of
    16 bits' worth: interpreters get products of bfloat16 wrong."""
    bits = rounded(w, BF16)
    if not PTX:
        return tl.dot(activation(bits, BF16), tl.trans(activation(x, BF16)), total, input_precision="ieee")
    if BF16:
        return tl.dot(bits.to(tl.bfloat16, bitcast=True), tl.trans(x.to(tl.bfloat16, bitcast=True)), total)
    return tl.dot(bits.to(tl.float16, bitcast=True), tl.trans(x.to(tl.float16, bitcast=True)), total)
