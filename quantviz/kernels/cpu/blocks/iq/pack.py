"""The two and three bit iq types from weights to bytes: the search, and each type's layout.

Layouts: ggml's src/ggml-common.h at commit d99724f2b141; `quantviz.block_types` reads what is written here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .lattice import lattice
from .search import SKIPPED, Search, searcher

f4 = np.float32

TWO_BITS = dict(group=8, width=2, levels=3, step=f4(0.1))
THREE_BITS = dict(group=4, width=3, levels=8, step=f4(0.2))
SEARCHES = {
    "iq2_xxs": Search(**TWO_BITS, part=32, tries=6, too_small=f4(1e-15), variance=1, even=True, fitted_start=True),
    "iq2_xs": Search(**TWO_BITS, part=16, tries=9, too_small=f4(1e-15), variance=1, even=True),
    "iq2_s": Search(**TWO_BITS, part=16, tries=9, too_small=f4(1e-8), variance=2, floor=f4(0.25)),
    "iq3_xxs": Search(**THREE_BITS, part=32, tries=15, too_small=f4(1e-8), variance=2, even=True),
    "iq3_s": Search(**THREE_BITS, part=32, tries=9, too_small=f4(1e-45), variance=2, wholly=True),
}
SEARCHERS = {name: searcher(search) for name, search in SEARCHES.items()}
# ggml stretches or shrinks the scale of scales by a factor found to serve better.
STRETCH = {"iq2_xxs": 1, "iq2_xs": 1, "iq2_s": 0.9875, "iq3_xxs": 1.0125, "iq3_s": 1.033}


def quantize(name: str, x: np.ndarray, importance: np.ndarray, out: np.ndarray) -> None:
    """x float32 [blocks, 256], importance [blocks a row, 256] or [0, 256] -> out uint8 [blocks, bytes]."""
    s, (where, near) = SEARCHES[name], lattice(name)
    words, minus = np.empty((len(x), 256 // s.group), np.int32), np.empty((len(x), 32), np.uint8)
    scales = np.empty((len(x), 256 // s.part), f4)
    SEARCHERS[name](x, importance, where, near, words, minus, scales)
    skipped = scales == SKIPPED
    scales[skipped] = 0
    widest = scales.max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):  # a block of zeros has no scale; one beyond fp16's range has infinity
        d = widest / f4(31)
        factors = np.rint(f4(0.5) * (f4(1) / d * scales - f4(1)))
        out[:, :2] = (d * f4(STRETCH[name])).astype("<f2").view(np.uint8)
    # ggml's way to round makes 0 of infinity and NaN, which come of a d too small for float32, and of no d at all.
    factors = np.clip(np.where(np.isfinite(factors), factors, 0), 0, 15).astype(np.uint32)
    _LAYOUTS[name](out[:, 2:], where[words], minus, factors, skipped)
    if name in ("iq2_xxs", "iq2_xs", "iq3_xxs"):
        out[widest[:, 0] == 0] = 0


def _pairs(factors: np.ndarray) -> np.ndarray:
    """Four bits each, two a byte, the first low."""
    return (factors[:, ::2] | factors[:, 1::2] << 4).astype(np.uint8)


def _sevens(minus: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Four times seven signs and a scale of four bits: uint32 [blocks, 8]."""
    signs = minus.reshape(-1, 8, 4).astype(np.uint32) << np.array([0, 7, 14, 21], np.uint32)
    return np.bitwise_or.reduce(signs, axis=2) | factors << 28


def _put(out: np.ndarray, words: np.ndarray, dtype: str) -> None:
    out[:] = np.ascontiguousarray(words, dtype).view(np.uint8).reshape(len(out), -1)


def _iq2_xxs(out, index, minus, factors, skipped) -> None:
    points = np.ascontiguousarray(index.astype(np.uint8)).view("<u4")
    _put(out, np.stack([points, _sevens(minus, factors)], axis=2).reshape(len(out), -1), "<u4")


def _iq2_xs(out, index, minus, factors, skipped) -> None:
    _put(out[:, :64], index | minus.astype(np.int32) << 9, "<u2")
    out[:, 64:] = _pairs(factors)


def _iq2_s(out, index, minus, factors, skipped) -> None:
    out[:, :32], out[:, 32:64] = index & 255, minus
    high = (index >> 8).reshape(-1, 8, 4) << np.array([0, 2, 4, 6])
    out[:, 64:72], out[:, 72:] = high.sum(axis=2), _pairs(factors)


def _iq3_xxs(out, index, minus, factors, skipped) -> None:
    out[:, :64] = index
    _put(out[:, 64:], _sevens(minus, factors), "<u4")


def _iq3_s(out, index, minus, factors, skipped) -> None:
    """ggml does not move on past a part it skips: what follows is written in its place, the ninth bits apart."""
    order = np.argsort(skipped, axis=1, kind="stable")[:, :, None]
    out[:, :64] = np.take_along_axis((index & 255).reshape(-1, 8, 8), order, axis=1).reshape(-1, 64)
    out[:, 64:72] = np.packbits((index >> 8).astype(np.uint8), axis=1, bitorder="little")
    out[:, 72:104] = np.take_along_axis(minus.reshape(-1, 8, 4), order, axis=1).reshape(-1, 32)
    out[:, 104:] = _pairs(factors)


_LAYOUTS: dict[str, Callable[..., None]] = {
    "iq2_xxs": _iq2_xxs,
    "iq2_xs": _iq2_xs,
    "iq2_s": _iq2_s,
    "iq3_xxs": _iq3_xxs,
    "iq3_s": _iq3_s,
}
