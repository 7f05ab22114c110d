"""q1_0, q2_0, tq1_0, tq2_0, gguf_mxfp4 and gguf_nvfp4 written in plain torch, on any device, bytes as ggml does.

Each writer takes float32 [blocks, block] of finite weights and gives uint8 [blocks, bytes]. It follows the compiled one
of the engine cpu (blocks_ternary and blocks_fp4, which name the source) operation by operation, each rounded by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ....block_types.arrays import like, look_up
from ....block_types.fp4 import HALF_E8M0, HALF_UE4M3, TWICE_E2M1
from ...reference.rules import over

T = torch.Tensor


def as_half(v: T) -> T:
    """float32 [blocks, n] -> uint8 [blocks, 2 n]: the nearest fp16, infinite beyond 65504."""
    return v.half().contiguous().view(torch.uint8)


def packed(codes: T, width: int) -> T:
    """int32 [blocks, 8 // width, n], fields of `width` bits, lowest first -> uint8 [blocks, n]."""
    shifts = torch.arange(0, 8, width, device=codes.device, dtype=torch.int32)[:, None]
    return (codes << shifts).sum(dim=1).to(torch.uint8)


def in_turn(codes: T, width: int) -> T:
    """int32 [blocks, n], of which neighbours share a byte, lowest first -> uint8 [blocks, n · width / 8]."""
    return packed(codes.reshape(len(codes), -1, 8 // width).transpose(1, 2), width)


def round_away(v: T) -> T:
    """C's roundf as int32: half away from zero."""
    whole = v.trunc()
    rest = v - whole
    return whole.int() + (rest >= 0.5).int() - (rest <= -0.5).int()


def _signs_and_zero(x: T) -> tuple[T, T, T]:
    """(-1, 0 or 1 for every weight, the scale max |x|, where its reciprocal is infinite and every code 0)."""
    d = x.abs().amax(dim=1, keepdim=True)
    factor = torch.where(d > 0, torch.ones_like(d) / d, 0)
    lost = factor.isinf()
    return round_away(x * torch.where(lost, 0, factor)), d, lost


def _q1_0(x: T) -> T:
    total = torch.zeros_like(x[:, :1])
    for magnitudes in x.abs().split(1, dim=1):  # in order, as each addition rounds
        total = total + magnitudes
    return torch.cat([as_half(total / 128), in_turn((x >= 0).int(), 1)], 1)


def _q2_0(x: T) -> T:
    codes, d, lost = _signs_and_zero(x)
    return torch.cat([as_half(d), in_turn(torch.where(lost, 0, codes + 1), 2)], 1)


def _base_3(codes: T, rows: int) -> T:
    """Up to five codes to a byte, as a fraction of 256: int32 [blocks, rows · n] -> uint8 [blocks, n]."""
    powers = torch.tensor([81, 27, 9, 3, 1][:rows], device=codes.device, dtype=torch.int32)[:, None]
    number = (codes.reshape(len(codes), rows, -1) * powers).sum(dim=1)
    return ((number * 256 + 242) // 243).to(torch.uint8)


def _tq1_0(x: T) -> T:
    codes, d, _ = _signs_and_zero(x)
    first, second, last = (codes + 1).split((160, 80, 16), dim=1)
    return torch.cat([_base_3(first, 5), _base_3(second, 5), _base_3(last, 4), as_half(d)], 1)


def _tq2_0(x: T) -> T:
    codes, d, _ = _signs_and_zero(x)
    return torch.cat([packed((codes + 1).reshape(-1, 4, 32), 2).reshape(len(x), 64), as_half(d)], 1)


# -- 4-bit floats --------------------------------------------------------------------------------


def _by_trying(x: T, d: T) -> T:
    """int32 [groups, n]: the first e2m1 code of the smallest error, errors being rounded to float32."""
    values = like(TWICE_E2M1, x)
    best, error = torch.zeros_like(x, dtype=torch.int32), x.abs()
    for code in range(1, 16):
        found = (values[code] * d - x).abs()
        better = found < error
        best, error = torch.where(better, code, best), torch.where(better, found, error)
    return best


def _halves(codes: T) -> T:
    """Codes j and j + n / 2 of [groups, n] share byte j."""
    return packed(codes.reshape(len(codes), 2, -1), 4)


def floor_log2(v: T) -> T:
    """C's floorf(log2f(v)) of a positive float32 v as int32: the logarithm may round up to the next whole number."""
    return torch.log2(v.double()).float().floor().int()


def _mxfp4(x: T) -> T:
    largest = x.abs().amax(dim=1, keepdim=True)
    exponent = floor_log2(torch.where(largest > 0, largest, 1)) + 125
    e = torch.where(largest > 0, exponent & 255, 0)  # a byte: wraps
    return torch.cat([e.to(torch.uint8), _halves(_by_trying(x, look_up(HALF_E8M0, e)))], 1)


def to_ue4m3(v: T) -> T:
    """The nearest e4m3 without a sign as int32, ties upwards; what rounds to 256 or more becomes 448, as in ggml."""
    bits = v.clamp(max=448).contiguous().view(torch.int32)
    exponent = (bits >> 23) - 120
    normal = ((exponent << 3) | ((bits >> 20) & 7)) + ((bits >> 19) & 1)
    normal = torch.where(normal < 0x78, normal, 0x7E)
    subnormal = (v.clamp(max=1) * 512 + 0.5).int().clamp(max=7)
    return torch.where(v > 0, torch.where(exponent <= 0, subnormal, normal), 0)


def _nvfp4(x: T) -> T:
    groups = x.reshape(-1, 16)
    e = to_ue4m3(over(groups.abs().amax(dim=1, keepdim=True), 6))
    codes = _halves(_by_trying(groups, look_up(HALF_UE4M3, e)))
    return torch.cat([e.to(torch.uint8).reshape(len(x), 4), codes.reshape(len(x), 32)], 1)


WRITERS: dict[str, Callable[[T], T]] = {
    "q1_0": _q1_0, "q2_0": _q2_0, "tq1_0": _tq1_0, "tq2_0": _tq2_0, "gguf_mxfp4": _mxfp4, "gguf_nvfp4": _nvfp4,
}  # fmt: skip
