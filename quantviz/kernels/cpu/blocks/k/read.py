"""Dequantizers of q2_k to q6_k: dequantize_row_q*_K in ggml's src/ggml-quants.c, commit d99724f2b141."""

from __future__ import annotations

import numpy as np

from ...compiler import inlined, kernel
from ...once import once
from ..bits import get_half

f4, i4 = np.float32, np.int32


@kernel
def dequantize_q2_k(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d, dmin = get_half(block, 80), get_half(block, 82)
        for g in range(16):
            both = i4(block[g])
            size, shift = f4(d * f4(i4(both & i4(15)))), f4(dmin * f4(i4(both >> i4(4))))
            first = 16 + 32 * (g >> 3) + 16 * (g & 1)
            qs, values, move = block[first : first + 16], to[g * 16 : (g + 1) * 16], i4(2 * ((g >> 1) & 3))
            for i in range(16):
                values[i] = f4(f4(size * f4(i4(i4(i4(qs[i]) >> move) & i4(3)))) - shift)


@inlined()
def scale_3bit(packed, g):
    """Scale g of q3_k's 12 bytes, from -32 to 31."""
    low = i4(i4(i4(packed[g & 7]) >> i4(4 * (g >> 3))) & i4(15))
    high = i4(i4(i4(packed[8 + (g & 3)]) >> i4(2 * (g >> 2))) & i4(3))
    return i4(i4(low | i4(high << i4(4))) - i4(32))


@kernel
def dequantize_q3_k(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d, packed = get_half(block, 108), block[96:108]
        for g in range(16):
            size = f4(d * f4(scale_3bit(packed, g)))
            half, odd = g >> 3, 16 * (g & 1)
            qs, high = block[32 + 32 * half + odd : 48 + 32 * half + odd], block[odd : odd + 16]
            values, move, bit = to[g * 16 : (g + 1) * 16], i4(2 * ((g >> 1) & 3)), i4(g >> 1)
            for i in range(16):
                low = i4(i4(i4(qs[i]) >> move) & i4(3))
                top = i4(i4(i4(i4(high[i]) >> bit) & i4(1)) << i4(2))
                values[i] = f4(size * f4(i4(i4(low | top) - i4(4))))


@inlined()
def pair_6bit(packed, g):
    """Scale and minimum g of the 12 bytes of q4_k and q5_k."""
    if g < 4:
        return i4(i4(packed[g]) & i4(63)), i4(i4(packed[g + 4]) & i4(63))
    low = i4(packed[g + 4])
    return (
        i4(i4(low & i4(15)) | i4(i4(i4(packed[g - 4]) >> i4(6)) << i4(4))),
        i4(i4(low >> i4(4)) | i4(i4(i4(packed[g]) >> i4(6)) << i4(4))),
    )


@once
def dequantize_with_minimum(bits: int):
    """Kernel for q4_k and q5_k."""
    at = 16 if bits == 4 else 48

    @kernel
    def run(data, out):
        for b in range(data.shape[0]):
            block, to = data[b], out[b]
            d, dmin, packed, high = get_half(block, 0), get_half(block, 2), block[4:16], block[16:48]
            for g in range(8):
                scale, minimum = pair_6bit(packed, g)
                size, shift = f4(d * f4(scale)), f4(dmin * f4(minimum))
                first = at + 32 * (g >> 1)
                qs, values, move = block[first : first + 32], to[g * 32 : (g + 1) * 32], i4(4 * (g & 1))
                for i in range(32):
                    q = i4(i4(i4(qs[i]) >> move) & i4(15))
                    if bits == 5:
                        q = i4(q | i4(i4(i4(i4(high[i]) >> i4(g)) & i4(1)) << i4(4)))
                    values[i] = f4(f4(size * f4(q)) - shift)

    return run


@kernel
def dequantize_q6_k(data, out):
    for b in range(data.shape[0]):
        block, to = data[b], out[b]
        d = get_half(block, 208)
        for g in range(16):
            size = f4(d * f4(np.int8(block[192 + g])))
            half, quarter, odd = g >> 3, (g >> 1) & 3, 16 * (g & 1)
            first = 64 * half + 32 * (quarter & 1) + odd
            low, high = block[first : first + 16], block[128 + 32 * half + odd : 144 + 32 * half + odd]
            values, move, bits = to[g * 16 : (g + 1) * 16], i4(4 * (quarter >> 1)), i4(2 * quarter)
            for i in range(16):
                q = i4(i4(i4(i4(low[i]) >> move) & i4(15)) | i4(i4(i4(i4(high[i]) >> bits) & i4(3)) << i4(4)))
                values[i] = f4(size * f4(i4(q - i4(32))))
