"""Every block type of GGUF read in plain torch, on any device: uint8 [blocks, bytes] -> its parts.

The layouts and their sources are those of `quantviz.block_types`, whose readers these follow one by one; operations are
float32 in the same order, each rounded by itself, so the values are the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch

from ....block_types.fp4 import HALF_E8M0, HALF_UE4M3, TWICE_E2M1
from ....block_types.iq_grids import DELTA, even_signs, grid, uneven_levels

T = torch.Tensor


class Parts(NamedTuple):
    """numbers float32 [blocks, block]; scales and minima float32 [blocks, groups], groups of equal length."""

    numbers: T
    scales: T
    minima: T | None = None

    @property
    def values(self) -> T:
        """float32 [blocks, block]"""
        blocks, groups = self.scales.shape
        values = self.scales[:, :, None] * self.numbers.view(blocks, groups, -1)
        if self.minima is not None:
            values += self.minima[:, :, None]
        return values.view(blocks, -1)


# -- fields ------------------------------------------------------------------------------------


def half(data: T, at: int) -> T:
    """float32 [blocks, 1] from the fp16 at byte `at`."""
    return data[:, at : at + 2].contiguous().view(torch.float16).float()


def bits(data: T, width: int) -> T:
    """Fields of `width` bits of every byte, lowest first: uint8 [..., n] -> int32 [..., 8 // width, n]."""
    shifts = torch.arange(0, 8, width, device=data.device, dtype=torch.int32)[:, None]
    return (data[..., None, :].int() >> shifts) & ((1 << width) - 1)


def in_order(data: T, width: int) -> T:
    """int32 [blocks, any]: the fields of the first byte, then those of the next."""
    return bits(data, width).transpose(1, 2).reshape(len(data), -1)


def words(data: T, at: int, count: int, size: int) -> T:
    """int64 [blocks, count]: little-endian words of 2 or 4 bytes from byte `at`."""
    dtype = {2: torch.int16, 4: torch.int32}[size]
    return data[:, at : at + count * size].contiguous().view(dtype).long() & ((1 << 8 * size) - 1)


def shifted(v: T, *by: int) -> T:
    """[..., n] -> [..., n, len(by)]"""
    return v[..., None] >> torch.tensor(by, device=v.device)


@cache
def _table(name: str, device: torch.device) -> T:
    tables: dict[str, Callable] = {
        "e2m1": lambda: TWICE_E2M1, "e8m0": lambda: HALF_E8M0, "ue4m3": lambda: HALF_UE4M3,
        "levels": lambda: uneven_levels(), "signs": lambda: even_signs().copy(),
    }  # fmt: skip
    found = tables[name]() if name in tables else grid(name).values
    return torch.tensor(found, device=device, dtype=torch.int32 if name == "signs" else torch.float32)


def look_up(name: str, index: T) -> T:
    return _table(name, index.device)[index.long()]


# -- one scale a block -------------------------------------------------------------------------


def _nibbles(data: T, at: int, width: int) -> T:
    codes = bits(data[:, at : at + 16], 4).reshape(-1, 32)
    return codes | in_order(data[:, at - 4 : at], 1) << 4 if width == 5 else codes


def _centred(width: int):
    return lambda data: Parts((_nibbles(data, 2 if width == 4 else 6, width) - (1 << width - 1)).float(), half(data, 0))


def _from_minimum(width: int):
    return lambda data: Parts(_nibbles(data, 4 if width == 4 else 8, width).float(), half(data, 0), half(data, 2))


def _q8_0(data: T) -> Parts:
    return Parts(data[:, 2:].contiguous().view(torch.int8).float(), half(data, 0))


def _q1_0(data: T) -> Parts:
    return Parts((2 * in_order(data[:, 2:], 1) - 1).float(), half(data, 0))


def _q2_0(data: T) -> Parts:
    return Parts((in_order(data[:, 2:], 2) - 1).float(), half(data, 0))


def _trits(data: T, count: int) -> T:
    powers = torch.tensor([1, 3, 9, 27, 81][:count], device=data.device, dtype=torch.int32)[:, None]
    rest = (data[:, None, :].int() * powers) & 255
    return ((rest * 3) >> 8).reshape(len(data), -1)


def _tq1_0(data: T) -> Parts:
    codes = torch.cat([_trits(data[:, :32], 5), _trits(data[:, 32:48], 5), _trits(data[:, 48:52], 4)], 1)
    return Parts((codes - 1).float(), half(data, 52))


def _tq2_0(data: T) -> Parts:
    return Parts((_quarters(data[:, :64]) - 1).float(), half(data, 64))


# -- 4-bit floats and uneven levels ------------------------------------------------------------


def _mxfp4(data: T) -> Parts:
    return Parts(look_up("e2m1", bits(data[:, 1:], 4).reshape(-1, 32)), look_up("e8m0", data[:, :1]))


def _nvfp4(data: T) -> Parts:
    codes = bits(data[:, 4:].reshape(-1, 4, 8), 4).reshape(-1, 64)
    return Parts(look_up("e2m1", codes), look_up("ue4m3", data[:, :4]))


def _iq4_nl(data: T) -> Parts:
    return Parts(look_up("levels", bits(data[:, 2:], 4).reshape(-1, 32)), half(data, 0))


def _iq4_xs(data: T) -> Parts:
    codes = bits(data[:, 8:].reshape(-1, 8, 16), 4).reshape(-1, 256)
    scales = (in_order(data[:, 4:8], 4) | in_order(data[:, 2:4], 2) << 4) - 32
    return Parts(look_up("levels", codes), half(data, 0) * scales.float())


# -- super-blocks with scales of scales --------------------------------------------------------


def _quarters(data: T) -> T:
    return bits(data.reshape(-1, 2, 32), 2).reshape(-1, 256)


def _by_bit(data: T) -> T:
    return bits(data, 1).reshape(-1, 256)


def _halves(data: T) -> T:
    return bits(data.reshape(-1, 4, 32), 4).reshape(-1, 256)


def _with_minimum(codes: T, d: T, dmin: T, scales: T, minima: T) -> Parts:
    return Parts(codes.float(), d * scales.float(), -(dmin * minima.float()))


def _pairs(data: T) -> tuple[T, T]:
    a, b, c = data.int().split(4, dim=1)
    scales = torch.cat([a & 63, (c & 15) | (a >> 6 << 4)], 1)
    return scales, torch.cat([b & 63, (c >> 4) | (b >> 6 << 4)], 1)


def _q2_k(data: T) -> Parts:
    scales, minima = bits(data[:, :16], 4).unbind(1)
    return _with_minimum(_quarters(data[:, 16:80]), half(data, 80), half(data, 82), scales, minima)


def _q3_k(data: T) -> Parts:
    codes = _quarters(data[:, 32:96]) | _by_bit(data[:, :32]) << 2
    low, high = bits(data[:, 96:104], 4).reshape(-1, 16), bits(data[:, 104:108], 2).reshape(-1, 16)
    return Parts((codes - 4).float(), half(data, 108) * ((low | high << 4) - 32).float())


def _q4_k(data: T) -> Parts:
    return _with_minimum(_halves(data[:, 16:]), half(data, 0), half(data, 2), *_pairs(data[:, 4:16]))


def _q5_k(data: T) -> Parts:
    codes = _halves(data[:, 48:]) | _by_bit(data[:, 16:48]) << 4
    return _with_minimum(codes, half(data, 0), half(data, 2), *_pairs(data[:, 4:16]))


def _q6_k(data: T) -> Parts:
    low = bits(data[:, :128].reshape(-1, 2, 64), 4).reshape(-1, 256)
    scales = data[:, 192:208].contiguous().view(torch.int8).float()
    return Parts(((low | _quarters(data[:, 128:192]) << 4) - 32).float(), half(data, 208) * scales)


# -- grids -------------------------------------------------------------------------------------


def _on_grid(name: str, index: T, scales: T, minus: T) -> Parts:
    """index [blocks, points]; minus: bytes [blocks, 32], a sign bit a weight."""
    values = look_up(name, index).reshape(len(index), 256)
    return Parts(torch.where(in_order(minus, 1).bool(), -values, values), scales)


def _even(v: T) -> T:
    """Bytes of eight signs from seven bits each."""
    return look_up("signs", v).reshape(len(v), -1)


def _iq3_s(data: T) -> Parts:
    index = data[:, 2:66].int() | in_order(data[:, 66:74], 1) << 8
    scales = half(data, 0) * (1 + 2 * in_order(data[:, 106:110], 4)).float()
    return _on_grid("iq3_s", index, scales, data[:, 74:106])


def _iq3_xxs(data: T) -> Parts:
    w = words(data, 66, 8, 4)
    scales = half(data, 0) * (0.5 + (w >> 28).float()) * 0.5
    return _on_grid("iq3_xxs", data[:, 2:66], scales, _even(shifted(w, 0, 7, 14, 21) & 127))


def _quartered(d: T, scales: T) -> T:
    return d * (0.5 + scales.float()) * 0.25


def _iq2_s(data: T) -> Parts:
    index = data[:, 2:34].int() | in_order(data[:, 66:74], 2) << 8
    return _on_grid("iq2_s", index, _quartered(half(data, 0), in_order(data[:, 74:82], 4)), data[:, 34:66])


def _iq2_xs(data: T) -> Parts:
    w = words(data, 2, 32, 2)
    return _on_grid("iq2_xs", w & 511, _quartered(half(data, 0), in_order(data[:, 66:74], 4)), _even(w >> 9))


def _iq2_xxs(data: T) -> Parts:
    index, w = data[:, 2:].reshape(-1, 8, 8)[:, :, :4].reshape(-1, 32), words(data, 2, 16, 4)[:, 1::2]
    return _on_grid("iq2_xxs", index, _quartered(half(data, 0), w >> 28), _even(shifted(w, 0, 7, 14, 21) & 127))


def _with_delta(index: T, scales: T, minus: T) -> Parts:
    """iq1's grid, whose points are moved by an eighth; minus [blocks, 32]: whether it is taken away."""
    values = look_up("iq1_s", index)
    return Parts((values + torch.where(minus.bool(), -float(DELTA), float(DELTA))[:, :, None]).reshape(-1, 256), scales)


def _iq1_s(data: T) -> Parts:
    w = words(data, 34, 8, 2)
    high = (shifted(w, 0, 3, 6, 9) & 7).reshape(-1, 32)
    scales = half(data, 0) * (2 * (w >> 12 & 7) + 1).float()
    return _with_delta(data[:, 2:34].long() | high << 8, scales, (w >> 15).repeat_interleave(4, 1))


def _iq1_m(data: T) -> Parts:
    w = words(data, 48, 4, 2)
    d = ((w >> 12) << torch.tensor([0, 4, 8, 12], device=w.device)).sum(1, keepdim=True)
    high = in_order(data[:, 32:48], 4)
    scales = (shifted(w, 0, 3, 6, 9) & 7).reshape(-1, 16)
    d = d.to(torch.int16).view(torch.float16).float()
    return _with_delta(data[:, :32].int() | (high & 7) << 8, d * (2 * scales + 1).float(), high >> 3)


READERS: dict[str, Callable[[T], Parts]] = {
    "q4_0": _centred(4), "q4_1": _from_minimum(4), "q5_0": _centred(5), "q5_1": _from_minimum(5), "q8_0": _q8_0,
    "q1_0": _q1_0, "q2_0": _q2_0, "q2_k": _q2_k, "q3_k": _q3_k, "q4_k": _q4_k, "q5_k": _q5_k, "q6_k": _q6_k,
    "iq4_nl": _iq4_nl, "iq4_xs": _iq4_xs, "iq3_s": _iq3_s, "iq3_xxs": _iq3_xxs, "iq2_s": _iq2_s, "iq2_xs": _iq2_xs,
    "iq2_xxs": _iq2_xxs, "iq1_s": _iq1_s, "iq1_m": _iq1_m, "tq1_0": _tq1_0, "tq2_0": _tq2_0, "gguf_mxfp4": _mxfp4,
    "gguf_nvfp4": _nvfp4,
}  # fmt: skip
