"""Codes taken out of the words and bytes they are packed in."""

from __future__ import annotations

from functools import cache

import numpy as np


def from_words(words: np.ndarray, bits: int, count: int) -> np.ndarray:
    """uint8 [..., count]: codes of `bits` bits, 1 to 8, one after the other from the lowest bit of the first word on.

    words: 32-bit integers [..., n], of at least count · bits / 32.
    """
    words = np.ascontiguousarray(words).view(np.uint32)
    if 8 % bits == 0:
        return from_bytes(words.view(np.uint8), bits)[..., :count]
    groups = -(-words.shape[-1] // bits)  # 32 codes fill `bits` words
    if words.shape[-1] % bits:
        words = np.concatenate(
            [words, np.zeros((*words.shape[:-1], groups * bits - words.shape[-1]), np.uint32)], axis=-1
        )
    each = words.reshape(*words.shape[:-1], groups, bits)
    codes = np.empty((*words.shape[:-1], groups, 32), np.uint8)
    for i in range(32):
        word, shift = divmod(i * bits, 32)
        code = each[..., word] >> np.uint32(shift)
        if shift + bits > 32:
            code |= each[..., word + 1] << np.uint32(32 - shift)
        codes[..., i] = code & np.uint32(2**bits - 1)
    return codes.reshape(*words.shape[:-1], groups * 32)[..., :count]


# How the bits of a code lie in words apart, from its lowest bits on: GPTQModel, utils/planar_packing.py.
_PLANES = {2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (8,)}


def from_planes(words: np.ndarray, bits: int, count: int) -> np.ndarray:
    """uint8 [..., count]: codes of which each 32 lie in `bits` words, the words with their lowest bits first.

    words: 32-bit integers [..., n], n a multiple of `bits`.
    """
    each = np.ascontiguousarray(words).view(np.uint32).reshape(*words.shape[:-1], words.shape[-1] // bits, bits)
    codes, done = None, 0
    for width in _PLANES[bits]:  # a plane of a width that divides 32 fills as many words as it has bits
        plane = from_bytes(np.ascontiguousarray(each[..., done : done + width]).view(np.uint8), width)
        codes = plane if codes is None else codes | plane << np.uint8(done)
        done += width
    return codes.reshape(*words.shape[:-1], each.shape[-2] * 32)[..., :count]


def from_bytes(packed: np.ndarray, bits: int) -> np.ndarray:
    """uint8 [..., n · 8 / bits] of bytes [..., n]: codes of 1, 2, 4 or 8 bits, the lowest of a byte first."""
    packed = np.ascontiguousarray(packed).view(np.uint8)
    if bits == 8:
        return packed
    codes = np.take(_in_a_byte(bits), packed).view(np.uint8)
    return codes.reshape(*packed.shape[:-1], packed.shape[-1] * 8 // bits)


@cache
def _in_a_byte(bits: int) -> np.ndarray:
    """The codes that each byte holds, one to a byte of one number."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = (np.arange(256, dtype=np.uint8)[:, None] >> shifts) & np.uint8(2**bits - 1)
    return np.ascontiguousarray(codes).view(f"<u{8 // bits}")[:, 0]
