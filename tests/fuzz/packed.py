"""Packed checkpoints of every format to be damaged: config.json, and headers and values of their safetensors."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

from quantviz.sources.safetensors_header import DTYPES
from tests.checkpoints.golden import files, load
from tests.fuzz.mutations import NUMBERS, bytewise, wordwise

FORMATS = tuple(files())
_CASES = 8  # of a format, spread over those there are
# What hurts where numbers are: infinities and NaN of every type, the largest, the smallest, zeros.
_VALUES = tuple(
    bytes.fromhex(digits) for digits in (
        "0000807f", "0000c07f", "007c", "007e", "807f", "7f", "80", "ffffffff", "00000000", "ffff7f7f", "01000000",
        "ffffff7f", "00000080",
    )
)  # fmt: skip


def _cases(file: str) -> list:
    cases = load(file)[2]
    return [cases[i * len(cases) // min(_CASES, len(cases))] for i in range(min(_CASES, len(cases)))]


def make(file: str) -> Callable[[Path], None]:
    """Writes some cases of a golden file, each as a model's folder of its own."""

    def run(folder: Path) -> None:
        for number, case in enumerate(_cases(file)):
            case.write(folder / str(number))

    return run


def targets(file: str) -> tuple[str, ...]:
    found = []
    for number, case in enumerate(_cases(file)):
        found += [f"{number}/model.safetensors", *(f"{number}/{name}" for name in case.config)]
    return tuple(found)


def damage(name: str, data: bytes, rng: random.Random) -> bytes:
    if not name.endswith(".safetensors"):
        return wordwise(data, rng)
    length = int.from_bytes(data[:8], "little")
    header, values = data[8 : 8 + length], data[8 + length :]
    match rng.randrange(10):
        case 0:
            return bytewise(data, rng)
        case 1 | 2:
            header = wordwise(header, rng)
        case 3 | 4 | 5:
            header = _restructured(header, rng)
        case _:
            values = _other_values(values, rng)
    return struct.pack("<Q", len(header)) + header + values


def _restructured(header: bytes, rng: random.Random) -> bytes:
    """Tensors of other types and shapes, some left out, some with the bytes or under the name of others."""
    told = json.loads(header)
    for _ in range(rng.choice((1, 1, 2, 3))):
        names = [name for name in told if name != "__metadata__"]
        if not names:
            break
        name = rng.choice(names)
        entry = told[name]
        match rng.randrange(7):
            case 0:
                del told[name]
            case 1:
                entry["dtype"] = rng.choice(list(DTYPES))
            case 2:
                same = [other for other, (_, bits) in DTYPES.items() if bits == DTYPES[entry["dtype"]][1]]
                entry["dtype"] = rng.choice(same)
            case 3:
                entry["shape"] = rng.sample(entry["shape"], len(entry["shape"]))
            case 4:
                entry["shape"] = [*entry["shape"], 1] if rng.random() < 0.5 else entry["shape"][1:]
            case 5 if entry["shape"]:
                entry["shape"][rng.randrange(len(entry["shape"]))] = rng.choice(NUMBERS)
            case _:
                other = rng.choice(names)
                told[name], told[other] = told[other], entry
    return json.dumps(told).encode()


def _other_values(values: bytes, rng: random.Random) -> bytes:
    """Numbers that hurt in some places, or a stretch of random bytes; as many bytes as before."""
    out = bytearray(values)
    for _ in range(rng.choice((1, 2, 8, 64))):
        at = rng.randrange(max(1, len(out)))
        new = rng.choice(_VALUES) * rng.choice((1, 1, 4, 64)) if rng.random() < 0.8 else rng.randbytes(40)
        out[at : at + len(new)] = new[: len(out) - at]
    return bytes(out)
