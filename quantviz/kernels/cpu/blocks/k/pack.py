"""Where the codes of a super-block lie in its bytes: q2_k to q6_k."""

from __future__ import annotations

import numpy as np

from ...compiler import inlined

i4, u1 = np.int32, np.uint8


@inlined()
def pack_2bit(codes, out):
    """256 codes below 4 -> 64 bytes: byte i of a half holds weights i, i + 32, i + 64 and i + 96 of that half."""
    for h in range(2):
        c, to = codes[h * 128 : (h + 1) * 128], out[h * 32 : (h + 1) * 32]
        for i in range(32):
            low = i4(c[i] | i4(c[i + 32] << i4(2)))
            high = i4(i4(c[i + 64] << i4(4)) | i4(c[i + 96] << i4(6)))
            to[i] = u1(low | high)


@inlined()
def pack_3bit(codes, out):
    """256 codes below 8 -> q3_k's hmask (highest bits) and qs (the rest); uses up the codes."""
    for i in range(32):
        mask = i4(0)
        for j in range(8):
            mask = i4(mask | i4(i4(codes[j * 32 + i] >> i4(2)) << i4(j)))
        out[i] = u1(mask)
    for i in range(256):
        codes[i] = i4(codes[i] & i4(3))
    pack_2bit(codes, out[32:96])


@inlined()
def pack_4bit(codes, out, bits):
    """256 codes below 16 or 32 -> q4_k's qs, or q5_k's qh and qs: byte i of 32 holds weights i and i + 32 of 64."""
    qs = out[16:144] if bits == 4 else out[48:176]
    for h in range(4):
        c, to = codes[h * 64 : (h + 1) * 64], qs[h * 32 : (h + 1) * 32]
        for i in range(32):
            to[i] = u1(i4(c[i] & i4(15)) | i4(i4(c[i + 32] & i4(15)) << i4(4)))
    if bits == 5:
        qh = out[16:48]
        for i in range(32):
            mask = i4(0)
            for j in range(8):
                mask = i4(mask | i4(i4(codes[j * 32 + i] >> i4(4)) << i4(j)))
            qh[i] = u1(mask)


@inlined()
def pack_6bit(codes, out):
    """256 codes below 64 -> q6_k's ql (low four bits) and qh (high two)."""
    for h in range(2):
        c, ql, qh = codes[h * 128 : (h + 1) * 128], out[h * 64 : (h + 1) * 64], out[128 + h * 32 : 160 + h * 32]
        for i in range(32):
            a, b, c2, d = c[i], c[i + 32], c[i + 64], c[i + 96]
            ql[i] = u1(i4(a & i4(15)) | i4(i4(c2 & i4(15)) << i4(4)))
            ql[i + 32] = u1(i4(b & i4(15)) | i4(i4(d & i4(15)) << i4(4)))
            low = i4(i4(a >> i4(4)) | i4(i4(b >> i4(4)) << i4(2)))
            qh[i] = u1(low | i4(i4(i4(c2 >> i4(4)) << i4(4)) | i4(i4(d >> i4(4)) << i4(6))))


@inlined()
def put_scales_6bit(scales, minima, out):
    """8 scales and 8 minima below 64 -> 12 bytes, as q4_k and q5_k hold them."""
    for j in range(4):
        out[j] = u1(i4(scales[j] | i4(i4(scales[j + 4] >> i4(4)) << i4(6))))
        out[j + 4] = u1(i4(minima[j] | i4(i4(minima[j + 4] >> i4(4)) << i4(6))))
        out[j + 8] = u1(i4(i4(scales[j + 4] & i4(15)) | i4(i4(minima[j + 4] & i4(15)) << i4(4))))


@inlined()
def put_scales_3bit(scales, out):
    """16 scales from -32 to 31 -> q3_k's 12 bytes: low four bits in the first eight, high two in the last four."""
    for j in range(8):
        a, b = i4(scales[j] + i4(32)), i4(scales[j + 8] + i4(32))
        out[j] = u1(i4(i4(a & i4(15)) | i4(i4(b & i4(15)) << i4(4))))
    for j in range(4):
        high = i4(0)
        for g in range(4):
            high = i4(high | i4(i4(i4(scales[j + 4 * g] + i4(32)) >> i4(4)) << i4(2 * g)))
        out[j + 8] = u1(high)
