"""Codes in compressed-tensors' 32-bit words, along a row or down the outputs, dense or in whole codes a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...sources import TensorInfo
from ..layer import Part
from .bits import from_words

_CHUNK = 32  # codes that fill whole words, however many bits they have


def count(codes: int, bits: int, dense: bool) -> int:
    """Words that so many codes take."""
    return -(-codes * bits // 32) if dense else -(-codes // (32 // bits))


def codes_of(words: np.ndarray, bits: int, codes: int, dense: bool) -> np.ndarray:
    """uint8 [n, codes] of int32 words [n, ...]; not dense: only whole codes lie in a word, the lowest bits first."""
    if dense or 32 % bits == 0:
        return from_words(words, bits, codes)
    words = np.ascontiguousarray(words).view(np.uint32)
    each = 32 // bits
    found = np.empty((*words.shape, each), np.uint8)
    for i in range(each):
        found[..., i] = (words >> np.uint32(bits * i)) & np.uint32(2**bits - 1)
    return found.reshape(len(words), -1)[:, :codes]


@dataclass(frozen=True)
class Down:
    """Zero points packed down the outputs of each expert: int32 [experts, words, groups]."""

    info: TensorInfo
    experts: int
    outputs: int
    bits: int
    dense: bool

    @property
    def _even(self) -> bool:
        """Whether rows 32 by 32 have words of their own."""
        return self.outputs % _CHUNK == 0 and (self.dense or 32 % self.bits == 0)

    @property
    def part(self) -> Part:
        if self._even:
            return Part(self.info, every=_CHUNK, rows=self.experts * self.outputs // _CHUNK)
        return Part(self.info)

    def read(self, stored: np.ndarray, first: int, last: int) -> np.ndarray:
        """uint8 [last - first, groups] of rows [first, last). stored: the part's array for these rows."""
        groups = self.info.shape[-1]
        if self._even:
            words = stored.reshape(-1, self.bits, groups)  # 32 rows at a time
            down = np.ascontiguousarray(words.transpose(0, 2, 1)).reshape(-1, self.bits)
            codes = from_words(down, self.bits, _CHUNK).reshape(-1, groups, _CHUNK).transpose(0, 2, 1)
            return codes.reshape(-1, groups)[first % _CHUNK :][: last - first]
        found = []
        for expert in range(first // self.outputs, -(-last // self.outputs)):
            begin = expert * self.outputs
            some = max(first - begin, 0), min(last - begin, self.outputs)
            found.append(self._rows(stored.reshape(self.experts, -1, groups)[expert], *some))
        return np.concatenate(found)

    def _rows(self, words: np.ndarray, first: int, last: int) -> np.ndarray:
        step = _CHUNK if self.dense else 32 // self.bits  # rows that begin with a word
        begin = first // step * step
        some = words[count(begin, self.bits, self.dense) : count(last, self.bits, self.dense)]
        return codes_of(some.T, self.bits, last - begin, self.dense).T[first - begin :]
