"""The linear layer in Triton: packed weights times activations of one token or a few, and the way to cuBLAS for more.

x is read as int16, the bits of float16 or bfloat16, and made float32 by bit operations: interpreters get bfloat16
casts wrong. Shapes of tensors in a comment: R rows, C words of a plane, S = C / 4 runs, B tokens.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .decode import half_value, load_tables, pair, spread


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
def grid_place(row, run, P, group_rows, grid_cols, GROUP: tl.constexpr, RUN: tl.constexpr):
    """Where in the grid the scale of step P of runs lies: [R, S]."""
    col = run * 0 if GROUP == 0 else (run * RUN + P * 8) // GROUP
    return (row // group_rows)[:, None] * grid_cols + col[None, :]


@triton.jit
def load_words(words, row, at, valid, row_words, PLANES: tl.constexpr):
    """Up to three planes of words, [R, C] each; 0 beyond the rows that are valid and beyond their ends."""
    mask = valid[:, None] & (at < row_words)[None, :]
    place = words + row[:, None] * (row_words * PLANES) + at[None, :]
    w0 = tl.load(place, mask, 0, eviction_policy="evict_first")
    w1, w2 = w0, w0
    if PLANES > 1:
        w1 = tl.load(place + row_words, mask, 0, eviction_policy="evict_first")
    if PLANES > 2:
        w2 = tl.load(place + 2 * row_words, mask, 0, eviction_policy="evict_first")
    return w0, w1, w2


@triton.jit
def gemv_kernel(
    x, words, scales, zeros, levels, y, rows, cols, row_words, group_rows, grid_cols, zero, factor, unit,
    BATCH: tl.constexpr, KIND: tl.constexpr, BITS: tl.constexpr, PLANES: tl.constexpr,
    STEPS: tl.constexpr, FLUSH: tl.constexpr, GROUP: tl.constexpr, SCALE: tl.constexpr, ASYMMETRIC: tl.constexpr,
    BF16: tl.constexpr, PTX: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """y[b, row] = Σ over k of w[row, k] · x[b, k] for up to 4 tokens; a program takes R whole rows, C words at a time.

    A thread's words lie side by side, and so do the activations of a step. A block's products are added up first, then
    scaled; nothing is rounded below float32 before y.
    """
    RUN: tl.constexpr = 8 * STEPS
    row = tl.program_id(0) * R + tl.arange(0, R)
    valid = row < rows
    c, s, pairs = tl.arange(0, C), tl.arange(0, C // 4), tl.arange(0, 2 * C)
    pairs = pairs // 8 * RUN + pairs % 8
    t0 = tl.zeros((R, C // 4), tl.float32)
    t1, t2, t3 = t0, t0, t0
    book = load_tables(levels, C) if KIND == "codebook" and PTX else levels
    if GROUP == 0:
        z = tl.load(zeros + row // group_rows * grid_cols, valid, 0).to(tl.int32)[:, None] if ASYMMETRIC else zero
    next0, next1, next2 = load_words(words, row, c, valid, row_words, PLANES)
    for first in range(0, row_words, C):
        # The next words are under way while these are multiplied.
        w0, w1, w2 = next0, next1, next2
        next0, next1, next2 = load_words(words, row, first + C + c, valid, row_words, PLANES)
        run = first // 4 + s
        run_here = valid[:, None] & (run < row_words // 4)[None, :]
        for block in tl.static_range(STEPS // FLUSH):
            if GROUP != 0:
                place = grid_place(row, run, block * FLUSH, group_rows, grid_cols, GROUP, RUN)
                scale = load_scale(scales, place, run_here, SCALE)
                z = zero
                if ASYMMETRIC:
                    z = spread(tl.load(zeros + place, run_here, 0).to(tl.int32), R, C)
            a0 = tl.zeros((R, C), tl.float32)
            a1, a2, a3 = a0, a0, a0
            for step in tl.static_range(FLUSH):
                lower, upper = pair(w0, w1, w2, z, book, block * FLUSH + step, KIND, BITS, PTX)
                k = first * (2 * STEPS) + (block * FLUSH + step) * 8 + pairs
                a0 = add_token(a0, lower, upper, x, k, 0, cols, BF16, C)
                if BATCH > 1:
                    a1 = add_token(a1, lower, upper, x, k, 1, cols, BF16, C)
                if BATCH > 2:
                    a2 = add_token(a2, lower, upper, x, k, 2, cols, BF16, C)
                if BATCH > 3:
                    a3 = add_token(a3, lower, upper, x, k, 3, cols, BF16, C)
            scale = scale if GROUP != 0 else 1.0
            t0 += scale * tl.sum(tl.reshape(a0, (R, C // 4, 4)), 2)
            if BATCH > 1:
                t1 += scale * tl.sum(tl.reshape(a1, (R, C // 4, 4)), 2)
            if BATCH > 2:
                t2 += scale * tl.sum(tl.reshape(a2, (R, C // 4, 4)), 2)
            if BATCH > 3:
                t3 += scale * tl.sum(tl.reshape(a3, (R, C // 4, 4)), 2)
    last = factor
    if GROUP == 0:
        last = factor * load_scale(scales, row // group_rows * grid_cols, valid, SCALE)
    tl.store(y + row, rounded(tl.sum(t0, 1) * unit * last, BF16), valid)
    if BATCH > 1:
        tl.store(y + rows + row, rounded(tl.sum(t1, 1) * unit * last, BF16), valid)
    if BATCH > 2:
        tl.store(y + 2 * rows + row, rounded(tl.sum(t2, 1) * unit * last, BF16), valid)
    if BATCH > 3:
        tl.store(y + 3 * rows + row, rounded(tl.sum(t3, 1) * unit * last, BF16), valid)


@triton.jit
def add_token(a, lower, upper, x, k, b, cols, BF16: tl.constexpr, C: tl.constexpr):
    """a [R, C] + the products of a pair with token b's activations at k [2 C]."""
    v = activation(tl.load(x + b * cols + k, k < cols, 0, eviction_policy="evict_last"), BF16)
    first, second = tl.split(tl.reshape(v, (C, 2)))
    return a + lower * first[None, :] + upper * second[None, :]


@triton.jit
def block_scale(
    row, run, here, scales, zeros, group_rows, grid_cols, zero, factor, P,
    STEPS: tl.constexpr, GROUP: tl.constexpr, SCALE: tl.constexpr, ASYMMETRIC: tl.constexpr,
    R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Scale · factor and zero point of step P, for every column: [R, C], the zero point maybe a number."""
    place = grid_place(row, run, P, group_rows, grid_cols, GROUP, 8 * STEPS)
    z = zero
    if ASYMMETRIC:
        z = spread(tl.load(zeros + place, here, 0).to(tl.int32), R, C)
    return spread(load_scale(scales, place, here, SCALE) * factor, R, C), z


@triton.jit
def dequantize_kernel(
    words, scales, zeros, book, out, rows, cols, row_words, group_rows, grid_cols, zero, factor, unit,
    KIND: tl.constexpr, BITS: tl.constexpr, PLANES: tl.constexpr, STEPS: tl.constexpr, FLUSH: tl.constexpr,
    GROUP: tl.constexpr, SCALE: tl.constexpr, ASYMMETRIC: tl.constexpr, BF16: tl.constexpr,
    R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """out[row, k], 16 bit: every weight as the scheme has it, rounded once. For batches that cuBLAS multiplies.

    book: float32 [16], the exact levels of a code book.
    """
    row = tl.program_id(0) * R + tl.arange(0, R)
    first = tl.program_id(1) * C
    at, run, valid = first + tl.arange(0, C), first // 4 + tl.arange(0, C // 4), row < rows
    run_here = valid[:, None] & (run < row_words // 4)[None, :]
    w0, w1, w2 = load_words(words, row, at, valid, row_words, PLANES)
    pairs = tl.arange(0, 2 * C)
    pairs = first * (2 * STEPS) + pairs // 8 * (8 * STEPS) + pairs % 8
    place = out + row.to(tl.int64)[:, None] * cols
    for block in tl.static_range(STEPS // FLUSH):
        scale, z = block_scale(
            row, run, run_here, scales, zeros, group_rows, grid_cols, zero, factor, block * FLUSH, STEPS, GROUP, SCALE,
            ASYMMETRIC, R, C,
        )  # fmt: skip
        for step in tl.static_range(FLUSH):
            lower, upper = pair(w0, w1, w2, z, book, block * FLUSH + step, KIND, BITS, False)
            w = tl.reshape(tl.join(lower * unit * scale, upper * unit * scale), (R, 2 * C))
            k = pairs + (block * FLUSH + step) * 8
            tl.store(place + k[None, :], rounded(w, BF16), valid[:, None] & (k < cols)[None, :])


@triton.jit
def dot_kernel(
    x, words, scales, zeros, levels, y, batch, rows, cols, row_words, group_rows, grid_cols, zero, factor, unit,
    KIND: tl.constexpr, BITS: tl.constexpr, PLANES: tl.constexpr, STEPS: tl.constexpr, FLUSH: tl.constexpr,
    GROUP: tl.constexpr, SCALE: tl.constexpr, ASYMMETRIC: tl.constexpr, BF16: tl.constexpr, PTX: tl.constexpr,
    B: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """y[b, row] for up to B tokens: weights are rounded to the activations' type and multiplied by tensor cores.

    The lower weights of a step and the upper ones are a product each, over the C columns, so that nothing has to be
    brought into the order of k; the activations are read in the order of the words.
    """
    row, b = tl.program_id(0) * R + tl.arange(0, R), tl.arange(0, B)
    c, s, pairs = tl.arange(0, C), tl.arange(0, C // 4), tl.arange(0, 2 * C)
    pairs = pairs // 8 * (8 * STEPS) + pairs % 8
    valid = row < rows
    book = load_tables(levels, C) if KIND == "codebook" and PTX else levels
    total = tl.zeros((R, B), tl.float32)
    for first in range(0, row_words, C):
        at, run = first + c, first // 4 + s
        run_here = valid[:, None] & (run < row_words // 4)[None, :]
        w0, w1, w2 = load_words(words, row, at, valid, row_words, PLANES)
        for block in tl.static_range(STEPS // FLUSH):
            scale, z = block_scale(
                row, run, run_here, scales, zeros, group_rows, grid_cols, zero, factor, block * FLUSH, STEPS, GROUP,
                SCALE, ASYMMETRIC, R, C,
            )  # fmt: skip
            for step in tl.static_range(FLUSH):
                lower, upper = pair(w0, w1, w2, z, book, block * FLUSH + step, KIND, BITS, PTX)
                k = first * (2 * STEPS) + (block * FLUSH + step) * 8 + pairs
                here = (b < batch)[:, None] & (k < cols)[None, :]
                v = tl.load(x + b[:, None] * cols + k[None, :], here, 0, eviction_policy="evict_last")
                even, odd = tl.split(tl.reshape(v, (B, C, 2)))
                total = multiplied(total, lower * unit * scale, even, BF16, PTX)
                total = multiplied(total, upper * unit * scale, odd, BF16, PTX)
    place = y + b[None, :] * rows + row[:, None]
    tl.store(place, rounded(total, BF16), valid[:, None] & (b < batch)[None, :])


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
