"""Codes taken out of the words and bytes they are packed in."""

from __future__ import annotations

import math
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


def from_bytes(packed: np.ndarray, bits: int, high_first: bool = False) -> np.ndarray:
    """uint8 [..., n · 8 / bits] of bytes [..., n]: codes of 1, 2, 4 or 8 bits, lowest first or highest."""
    packed = np.ascontiguousarray(packed).view(np.uint8)
    if bits == 8:
        return packed
    codes = np.take(_in_a_byte(bits, high_first), packed).view(np.uint8)
    return codes.reshape(*packed.shape[:-1], packed.shape[-1] * 8 // bits)


@cache
def _in_a_byte(bits: int, high_first: bool = False) -> np.ndarray:
    """The codes that each byte holds, one to a byte of one number."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    shifts = shifts[::-1] if high_first else shifts
    codes = (np.arange(256, dtype=np.uint8)[:, None] >> shifts) & np.uint8(2**bits - 1)
    return np.ascontiguousarray(codes).view(f"<u{8 // bits}")[:, 0]


def from_parts_of_rows(packed: np.ndarray, bits: int, first: int, last: int, high_first: bool = False) -> np.ndarray:
    """uint8 [last - first, cols]: rows of a matrix whose rows lie in parts on top of each other.

    packed: [n, cols] of uint8 or int32. Part p of the matrix, rows [p · n, (p + 1) · n), lies in the bits p · bits and
    up of each element; with `high_first` the last part lies there where the first would.
    """
    n, cols = packed.shape
    parts = packed.dtype.itemsize * 8 // bits
    packed = packed.view(f"u{packed.dtype.itemsize}")
    codes = np.empty((last - first, cols), np.uint8)
    for p in range(first // n, -(-last // n)):
        begin, end = max(first, p * n), min(last, (p + 1) * n)
        shift = bits * (parts - 1 - p if high_first else p)
        codes[begin - first : end - first] = (packed[begin - p * n : end - p * n] >> packed.dtype.type(shift)) & (
            packed.dtype.type(2**bits - 1)
        )
    return codes


def pairs(packed: np.ndarray, levels: np.ndarray, high_first: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(codes uint8, what they stand for float32) [..., 2n] of bytes [..., n] with two codes of 4 bits each.

    levels: float32 [16].
    """
    codes = np.arange(256)
    first, second = (codes >> 4, codes & 15) if high_first else (codes & 15, codes >> 4)
    both = np.stack([levels[first], levels[second]], axis=1).astype(np.float32).view(np.complex64)[:, 0]
    packed = np.ascontiguousarray(packed)
    numbers = np.take(both, packed).view(np.float32)
    return from_bytes(packed, 4, high_first), numbers.reshape(*packed.shape[:-1], 2 * packed.shape[-1])


def shared_by_runs(first: int, last: int, cols: int, length: int) -> tuple[np.ndarray, int]:
    """Which run each group of weights lies in, where runs of `length` weights follow each other through all rows.

    Returns (int64 [last - first, cols / width], width): runs that end inside a row are taken in parts of equal width.
    """
    width = math.gcd(cols, length)
    return (np.arange(first * cols, last * cols, width) // length).reshape(last - first, cols // width), width
