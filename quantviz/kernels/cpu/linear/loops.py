"""The compiled loop of the linear layer on the CPU: packed weights times float32 activations, a row at a time.

The inner product is written as explicit vectors, because plain loops do not become good ones: a block of 32 unrolls
into scalar code (2 thousand million weights a second and thread, measured, where these vectors do 22), and a sum a
block costs as much as the block. Here a block's products stay in LANES partial sums, are multiplied by its scale as
they are, and are added up across lanes once a row. LLVM turns the vectors into whatever the processor has.

Everything compiled stands in this file, so that the cache on disk notices a change.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from ..bits import float_of
from ..compiler import REORDER, inlined, kernel
from ..once import once

# isort: split
# numba comes after the compiler, which sets its cache folder.
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

LANES = 16
LINE = 64  # bytes of a cache line
AHEAD = 1024  # bytes; weights asked for this early arrive in time, a fifth to a quarter sooner than without
FAST = ("reassoc", "nsz", "contract")  # float32 sums in any order: the check against float64 bounds what that costs

f4, i4 = np.float32, np.int32

_FLOAT, _INT, _BYTE, _WORD = ir.FloatType(), ir.IntType(32), ir.IntType(8), ir.IntType(64)


@intrinsic(prefer_literal=True)
def _dot(typing, bits, width, tokens, codes, scales, x, out):
    """out[t] = Σ over blocks b of scales[b] · Σ codes · x[t] in b, for constant bits, width and tokens.

    codes: uint8 [blocks · width · bits / 8]; byte j of a block's B bytes holds the codes of weights j, j + B, …, the
    first in the lowest bits; 8 bits are signed, fewer unsigned.  scales: float32 [blocks].  x: float32 [tokens, cols],
    rows end to end.
    """
    if not all(isinstance(constant, types.IntegerLiteral) for constant in (bits, width, tokens)):
        return None
    signature = types.void(bits, width, tokens, codes, scales, x, out)
    numbers = [constant.literal_value for constant in (bits, width, tokens)]
    return signature, partial(_emit, *numbers)


def _emit(bits, width, tokens, context, builder, signature, arguments):
    codes, scales, x, out = (
        make_array(kind)(context, builder, value) for kind, value in zip(signature.args[3:], arguments[3:], strict=True)
    )
    block_bytes = width * bits // 8
    lanes = min(LANES, block_bytes)
    floats, ints = ir.VectorType(_FLOAT, lanes), ir.VectorType(_INT, lanes)
    blocks = builder.extract_value(scales.shape, 0)
    stride = builder.mul(blocks, _WORD(width))

    def vector(pointer, offset, element, align):
        place = builder.bitcast(builder.gep(pointer, [offset]), ir.VectorType(element, lanes).as_pointer())
        return builder.load(place, align=align)

    def prefetch(offset):
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT, _INT, _INT])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(ask, [builder.gep(codes.data, [offset]), _INT(0), _INT(3), _INT(1)])  # to read, kept, data

    def fields(raw):
        """(place in the block, float vector) of the codes that `lanes` bytes hold."""
        if bits == 8:
            yield 0, builder.sitofp(builder.sext(raw, ints), floats)
            return
        word = builder.zext(raw, ints)
        for field in range(8 // bits):
            part = builder.lshr(word, ints([bits * field] * lanes)) if field else word
            if field < 8 // bits - 1:
                part = builder.and_(part, ints([2**bits - 1] * lanes))
            yield field * block_bytes, builder.sitofp(part, floats)

    sums = [cgutils.alloca_once_value(builder, floats([0.0] * lanes)) for _ in range(tokens)]
    with cgutils.for_range(builder, blocks) as loop:
        first_byte = builder.mul(loop.index, _WORD(block_bytes))
        first_x = builder.mul(loop.index, _WORD(width))
        products = [None] * tokens
        for j in range(0, block_bytes, lanes):
            raw = vector(codes.data, builder.add(first_byte, _WORD(j)), _BYTE, 1)
            if j % LINE == 0:
                prefetch(builder.add(first_byte, _WORD(j + AHEAD)))
            for place, values in fields(raw):
                for t in range(tokens):
                    at = builder.add(builder.add(first_x, _WORD(place + j)), builder.mul(stride, _WORD(t)))
                    product = builder.fmul(values, vector(x.data, at, _FLOAT, 4), flags=FAST)
                    products[t] = product if products[t] is None else builder.fadd(products[t], product, flags=FAST)
        scale = builder.load(builder.gep(scales.data, [loop.index]))
        one = builder.insert_element(floats(ir.Undefined), scale, _INT(0))
        everywhere = builder.shuffle_vector(one, floats(ir.Undefined), ints([0] * lanes))
        for t in range(tokens):
            scaled = builder.fmul(products[t], everywhere, flags=FAST)
            builder.store(builder.fadd(builder.load(sums[t]), scaled, flags=FAST), sums[t])
    kind = ir.FunctionType(_FLOAT, [_FLOAT, floats])
    across = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{lanes}f32")
    for t in range(tokens):
        total = builder.call(across, [_FLOAT(0.0), builder.load(sums[t])], fastmath=FAST)
        builder.store(total, builder.gep(out.data, [_WORD(t)]))
    return context.get_dummy_value()


# How scales are stored, as the kernels know them.
STORED_SCALES = {"fp32": 0, "fp16": 1, "bf16": 2}
_FP16_TO_FP32 = f4(2.0**112)  # the difference of the biases: exact for subnormals too


@inlined()
def _scale(stored, kind):
    """A scale, never negative, from its bits."""
    if kind == 0:
        return float_of(stored)
    if kind == 1:
        return float_of(i4(stored) << i4(13)) * _FP16_TO_FP32
    return float_of(i4(stored) << i4(16))


@inlined(fastmath=REORDER)
def _correction(scales, zeros, zero, sums, asymmetric):
    """Σ over blocks of scale · zero point · Σ x: what the zero points take off a row's product."""
    total = f4(0)
    for b in range(scales.shape[0]):
        total += scales[b] * sums[b] * (f4(i4(zeros[b])) if asymmetric else zero)
    return total


class Rows(NamedTuple):
    """Packed rows as the kernels take them.

    codes: uint8 [rows, bytes].  scales: [rows, blocks], stored as scale_type of STORED_SCALES says.
    zeros: uint8 or int8 [rows, blocks], where there is a zero point a block (asymmetric); else one `zero` serves all.
    """

    codes: np.ndarray
    scales: np.ndarray
    scale_type: int
    asymmetric: bool
    zeros: np.ndarray
    zero: np.float32


@once
def gemv_kernel(bits: int, width: int, tokens: int):
    """The kernel of one packed layout: `tokens` activations times rows [first, last); constants as of `_dot`.

    It takes Rows, x float32 [tokens, cols] and x_sums float32 [tokens, blocks], and writes y float32 [tokens, rows].
    """

    @kernel
    def run(first, last, packed, x, x_sums, y):
        codes, stored, scale_type, asymmetric, zeros, zero = packed
        blocks = stored.shape[1]
        scales, out = np.empty(blocks, np.float32), np.empty(tokens, np.float32)
        for row in range(first, last):
            bits_of_scales = stored[row]
            for b in range(blocks):
                scales[b] = _scale(bits_of_scales[b], scale_type)
            _dot(bits, width, tokens, codes[row], scales, x, out)
            for t in range(tokens):
                if asymmetric or zero != f4(0):
                    out[t] -= _correction(scales, zeros[row if asymmetric else 0], zero, x_sums[t], asymmetric)
                y[t, row] = out[t]

    return run
