"""EXL3, ExLlamaV3's trellis: each weight is made of 16 bits, of which it shares all but K with its neighbour.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `trellis` | int16 | [in / 16, out / 16, 16 · K] | tiles of 16 × 16 weights: 256 · K bits in a circle |
| `suh`, `svh` | float16 | [in], [out] | what inputs and outputs are multiplied by |
| `su`, `sv` | int16 | [in / 16], [out / 16] | older files: their signs alone, a set bit for −1 |
| `mcg`, `mul1` | int32 | [] | which of three codebooks, by being there |

The 16-bit words of a tile come in pairs, the second first, their highest bits first. Number i of a tile is what the
codebook makes of the 16 bits that end with its K own. Tiles of T lie as a tensor core holds them. With H the Hadamard
matrix of 128 × 128, W[out, in] = svh · (H T H / 128)ᵀ · suh. Rule: GPTQModel, nn_modules/exllamav3_torch.py, which adds
in float32 where ExLlamaV3's kernels round what the codebook gives, and each sum, to float16. The sums of T's numbers
are exact here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ...errors import QuantvizError
from ...sources import TensorInfo
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable

HOME = "GPTQModel"
RULE = "weights = Hadamard transforms over 128 inputs and 128 outputs of what the codebook makes, × suh × svh"
SIDE, TILE = 128, 16
_FIRST, _MARKED = "3inst", ("mcg", "mul1")  # codebooks as config.json calls them; what is named by a tensor
_AT_ONCE = 32  # tiles down the inputs that are decoded together: what they take stays in the cache
FIELDS = (
    PackedField("trellis", "int16", "[in / 16, out / 16, 16 · K]", "K bits a weight, in tiles of 16 × 16"),
    PackedField("suh", "float16", "[in]", "what each input is multiplied by after its transform"),
    PackedField("svh", "float16", "[out]", "what each output is multiplied by after its transform"),
    PackedField("mcg or mul1", "int32", "[]", "the codebook; the first one where both are absent"),
)


def layer(found: Found) -> Layer:
    """How to read an EXL3 weight."""
    trellis = found.codes
    if trellis.dtype != "I16" or len(trellis.shape) != 3 or trellis.shape[2] % 16 or not 16 <= trellis.shape[2] <= 128:
        raise Unreadable(f"a trellis is [in / 16, out / 16, 16 · bits] of int16, not {list(trellis.shape)}")
    inputs, outputs, bits = TILE * trellis.shape[0], TILE * trellis.shape[1], trellis.shape[2] // 16
    if inputs % SIDE or outputs % SIDE:
        raise Unreadable(f"its shape [{outputs:,}, {inputs:,}] is no multiple of 128, over which it is transformed")
    if ".mcg" in found.beside and ".mul1" in found.beside:
        raise Unreadable("it names two codebooks, mcg and mul1")
    codebook = next((name for name in _MARKED if f".{name}" in found.beside), "")
    parts = {
        "trellis": Part(trellis),
        "inputs": _factors(found, ".suh", ".su", inputs),
        "outputs": _factors(found, ".svh", ".sv", outputs),
    }
    return Layer(
        (outputs, inputs), f"EXL3 {bits} bit{'s' if bits > 1 else ''}{' ' if codebook else ''}{codebook}", parts,
        Trellis(bits, codebook), height=SIDE, fields=FIELDS, rule=RULE, home=HOME,
        notices=_contradicted(found.settings, codebook or _FIRST),
    )  # fmt: skip


def _contradicted(settings: Mapping[str, Any], codebook: str) -> tuple[str, ...]:
    """A notice where config.json tells of another codebook."""
    said = settings.get("codebook")
    if said not in (_FIRST, *_MARKED) or said == codebook:
        return ()
    return (
        f"config.json says that the codebook is {said}, and the tensors beside this one say {codebook}: they decide.",
    )


def _factors(found: Found, numbers: str, signs: str, count: int) -> Part:
    """The numbers that inputs or outputs are multiplied by, or their signs where only these are there."""
    info: TensorInfo | None = found.beside.get(numbers) or found.beside.get(signs)
    if info is None:
        raise Unreadable(f"its {numbers[1:]} is not there")
    fits = (info.dtype, info.shape) in (("float16", (count,)), ("I16", (count // 16,)))
    if not fits:
        raise Unreadable(f"its {numbers[1:]} is {info.dtype} {list(info.shape)}, for {count:,} weights")
    return Part(info)


@dataclass(frozen=True)
class Trellis:
    """How weights are made, and how their quantizer came to the numbers it saw."""

    bits: int
    codebook: str

    def __call__(self, arrays: Arrays, first: int, last: int) -> Unpacked:
        """first, last: multiples of 128."""
        trellis, numbers = arrays["trellis"], _codebook(self.codebook)
        inputs, outputs = (_numbers(arrays[name]) for name in ("inputs", "outputs"))
        outputs = outputs[first:last, None]
        hadamard, made = _hadamard(), np.empty((last - first, TILE * len(trellis)), np.float32)
        for at in range(first, last, SIDE):
            for begin in range(0, len(trellis), _AT_ONCE):
                tiles = trellis[begin : begin + _AT_ONCE, at // TILE : (at + SIDE) // TILE]
                states = np.take(_states(np.ascontiguousarray(tiles), self.bits), _places(), axis=-1)
                states = states.reshape(-1, 8, TILE, TILE).transpose(1, 2, 0, 3).reshape(SIDE, -1)
                sums = hadamard @ np.take(numbers, states)
                sums = (sums.reshape(-1, SIDE) @ hadamard).reshape(SIDE, -1)
                sums *= outputs[at - first : at - first + SIDE] / SIDE
                columns = slice(begin * TILE, begin * TILE + sums.shape[1])
                np.multiply(sums, inputs[columns], out=made[at - first : at - first + SIDE, columns])
        return Unpacked(None, outputs.astype(np.float32), given=made)

    @property
    def numbers(self) -> np.ndarray:
        """float64 [65,536]: what 16 bits stand for."""
        return _codebook(self.codebook)

    def states(self, arrays: Arrays, i: int, o: int) -> np.ndarray:
        """uint16 [256]: the tile of inputs 16 · i and on, outputs 16 · o and on, number by number."""
        return _states(np.ascontiguousarray(arrays["trellis"][i, o]), self.bits)

    def seen(self, weights: np.ndarray, arrays: Arrays, i: int, o: int) -> np.ndarray:
        """float64 [256]: the numbers of the same tile that are made into `weights`, which hold it.

        weights: [128, 128], all that are transformed with the tile.  Infinite or NaN where a factor is 0 and a weight
        is not; where both are, 0.
        """
        sides = [_numbers(arrays[name]) for name in ("outputs", "inputs")]
        rows, columns = (x[at // 8 * SIDE :][:SIDE] for x, at in zip(sides, (o, i), strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = rows[:, None] * columns
            divided = np.where((factors == 0) & (weights == 0), 0.0, weights / factors)
            hadamard = _hadamard()
            down, along = (hadamard[at % 8 * TILE :][:TILE] for at in (o, i))
            tile = (down @ divided @ along.T).reshape(-1) / SIDE
        numbers = np.empty(256)
        numbers[_places()] = tile
        return numbers


def _numbers(factors: np.ndarray) -> np.ndarray:
    """float64: numbers as they are, or 1 and −1 for the bits of 16-bit words, the lowest first."""
    if factors.dtype == np.int16:
        return 1.0 - 2.0 * np.unpackbits(factors.view(np.uint8), bitorder="little")
    if not np.isfinite(factors).all():
        raise QuantvizError("What inputs or outputs are multiplied by is no number, so the file is damaged.")
    return factors.astype(np.float64)


def _states(tiles: np.ndarray, bits: int) -> np.ndarray:
    """uint16 [..., 256] of tiles [..., 16 · bits]: the 16 bits that end with each number's own, around a circle."""
    words = tiles.view(np.uint16).reshape(*tiles.shape[:-1], -1, 2)[..., ::-1].reshape(tiles.shape)
    words = np.concatenate([words[..., -1:], words, words[..., :1]], axis=-1).astype(np.uint32)
    pairs = words[..., :-1] << np.uint32(16) | words[..., 1:]
    states = np.empty((*tiles.shape[:-1], 16, 16), np.uint16)
    for i in range(16):  # 16 numbers take whole words
        word, bit = divmod((i + 1) * bits - 16, 16)
        each = pairs[..., word + 1 : word + 1 + 15 * bits + 1 : bits]
        states[..., i] = each >> np.uint32(16 - bit)
    return states.reshape(*tiles.shape[:-1], 256)


@cache
def _places() -> np.ndarray:
    """Which number of a tile is weight [output, input] of it: int [256]."""
    places = np.empty((TILE, TILE), np.int64)
    for number in range(256):
        lane, low, high, far = number // 8, number & 1, number >> 1 & 1, number >> 2 & 1
        places[lane // 4 + 8 * far, lane % 4 * 2 + low + 8 * high] = number
    return places.reshape(-1)


@cache
def _hadamard() -> np.ndarray:
    """float64 [128, 128] of 1 and −1."""
    found = np.ones((1, 1))
    while len(found) < SIDE:
        found = np.block([[found, found], [found, -found]])
    return found


@cache
def _codebook(name: str) -> np.ndarray:
    """float64 [65,536]: what 16 bits stand for."""
    states = np.arange(1 << 16, dtype=np.uint32)
    if name == "mul1":
        summed = (states * np.uint32(0x83DCD12D)).view(np.uint8).reshape(-1, 4).sum(axis=1, dtype=np.uint16)
        factor, bias = np.array([0x1EEE, 0xC931], np.uint16).view(np.float16).astype(np.float64)
        return (summed + np.uint16(0x6400)).view(np.float16) * factor + bias
    mixed = states * np.uint32(0xCBAC1FED) if name == "mcg" else states * np.uint32(89226354) + np.uint32(64248484)
    halves = (mixed & np.uint32(0x8FFF8FFF) ^ np.uint32(0x3B603B60)).view(np.float16).astype(np.float64)
    return halves.reshape(-1, 2).sum(axis=1)
