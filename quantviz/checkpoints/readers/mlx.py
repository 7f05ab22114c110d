"""MLX: integers with scale and minimum for each group of a row, or small floats with a scale; stacked experts too.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight` | uint32 | [(experts,) out, in · bits / 32] | codes of a row, from the lowest bits of its first word on |
| `scales` | float16, bfloat16, float32 | [(experts,) out, groups] | |
| `biases`, in transformers' "metal" `qbiases` | as scales | as scales | the minimum of each group |
| `scales` of mxfp4, mxfp8 | uint8 | [(experts,) out, in / 32] | E8M0: 2^(code − 127) |
| `scales` of nvfp4 | uint8 | [(experts,) out, in / 16] | E4M3 |

How many bits a code has and how many weights share a scale stands in config.json alone, for all layers or by their
names: shapes tell only the two multiplied. Rules: MLX, mlx/backend/cpu/quantized.cpp; transformers,
integrations/metal_quantization.py. Here scales and minima are float32, as MLX has it for weights of that type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...sources import TensorInfo
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_words, pairs
from .levels import e2m1, e4m3, e8m0

HOME = "MLX"
RULE = "weight = code × scale + minimum of its group"
RULE_FLOAT = "weight = small float × scale of its group"
_BITS, _GROUPS = (1, 2, 3, 4, 5, 6, 8), (32, 64, 128)
_FLOATS = {4 * 32: ("mxfp4", 4, 32), 8 * 32: ("mxfp8", 8, 32), 4 * 16: ("nvfp4", 4, 16)}  # by bits · group
_SCALES = ("float32", "bfloat16", "float16")


def layer(found: Found) -> Layer:
    """How to read an MLX weight."""
    codes, scales = found.codes, found.beside[".scales"]
    same_rows = len(codes.shape) in (2, 3) and scales.shape[:-1] == codes.shape[:-1]
    share, rest = divmod(32 * codes.shape[-1], scales.shape[-1]) if same_rows else (0, 1)
    if rest:
        raise Unreadable(f"the shapes of its codes {list(codes.shape)} and scales {list(scales.shape)} do not fit")
    minima = next((found.beside[name] for name in (".biases", ".qbiases") if name in found.beside), None)
    return _integers(found, scales, minima, share) if minima is not None else _floats(found, scales, share)


def _parts(codes: TensorInfo, **shared: TensorInfo) -> dict[str, Part]:
    """All of which lie row by row."""
    parts = {"weight": Part(replace(codes, dtype="uint8", shape=(codes.rows, 4 * codes.shape[-1])), every=1)}
    return parts | {name: Part(replace(info, shape=(codes.rows, info.shape[-1])), 1) for name, info in shared.items()}


def _integers(found: Found, scales: TensorInfo, minima: TensorInfo, share: int) -> Layer:
    if minima.shape != scales.shape or not {scales.dtype, minima.dtype} <= set(_SCALES):
        raise Unreadable("its scales and minima differ in shape or are no floats of 16 or 32 bits")
    bits, width, notice = _chosen(found, share)
    cols, rest = divmod(32 * found.codes.shape[-1], bits)
    if rest:
        raise Unreadable(f"its rows of {found.codes.shape[-1]:,} words hold no whole number of codes of {bits} bits")
    fields = (
        PackedField("weight", "uint32", "[out, in · bits / 32]", "codes of a row", tuple(range(32 // bits))),
        PackedField("scales", "bfloat16", "[out, groups]", "a scale for each group of a row"),
        PackedField("biases", "bfloat16", "[out, groups]", "the minimum of each group"),
    )
    return Layer(
        (*found.codes.shape[:-1], cols), f"MLX int{bits} g{width}", _parts(found.codes, scales=scales, minima=minima),
        partial(_unpack_integers, bits, cols, width), np.arange(2**bits, dtype=np.float32), fields=fields, rule=RULE,
        home=HOME, notices=(notice,) if notice else (),
    )  # fmt: skip


def _chosen(found: Found, share: int) -> tuple[int, int, str]:
    """(bits, group, notice) of which config.json speaks, as far as the shapes allow. Raises Unreadable."""
    possible = [(bits, width) for bits in _BITS for width in _GROUPS if bits * width == share]
    if not possible:
        raise Unreadable("its shapes are those of no number of bits and no length of a group that MLX knows")
    said = _said(found.settings, found.codes.name.rpartition(".safetensors:")[2].removesuffix(".weight"))
    if said in possible:
        return *said, ""
    if len(possible) > 1:
        choices = " or ".join(_words(*each) for each in possible)
        where = f"says {_words(*said)}" if said else "does not say which"
        raise Unreadable(f"its shapes are those of {choices}, and config.json {where}")
    bits, width = possible[0]
    if not said:
        return bits, width, ""
    notice = f"config.json says {_words(*said)}, and the shapes are those of {_words(bits, width)}, which counts."
    return bits, width, notice


def _words(bits: int, width: int) -> str:
    return f"{bits} {'bit' if bits == 1 else 'bits'} in groups of {width}"


def _said(settings: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    """Bits and group that config.json gives for a layer, or for all; None where it gives none.

    >>> _said({"bits": 4, "group_size": 64, "lm_head": {"bits": 8}}, "lm_head")
    (8, 64)
    """
    own = settings.get(name)
    both = {**settings, **own} if isinstance(own, Mapping) else settings
    bits, width = both.get("bits"), both.get("group_size")
    return (bits, width) if type(bits) is int and type(width) is int else None


def _unpack_integers(bits: int, cols: int, width: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = from_words(arrays["weight"].view(np.uint32), bits, cols)
    return Unpacked(codes, arrays["scales"], minima=arrays["minima"], width=width)


def _floats(found: Found, scales: TensorInfo, share: int) -> Layer:
    if scales.dtype != "uint8" or share not in _FLOATS:
        raise Unreadable("it has no minima, and its scales are not those of mxfp4, mxfp8 or nvfp4")
    kind, bits, width = _FLOATS[share]
    cols, levels = 32 * found.codes.shape[-1] // bits, e2m1() if bits == 4 else e4m3()
    fields = (
        PackedField("weight", "uint32", f"[out, in / {32 // bits}]", "codes of a row", tuple(range(32 // bits))),
        PackedField("scales", "uint8", f"[out, in / {width}]", f"an {'E4M3' if width == 16 else 'E8M0'} scale a group"),
    )
    return Layer(
        (*found.codes.shape[:-1], cols), f"MLX {kind} g{width}", _parts(found.codes, scales=scales),
        partial(_unpack_floats, levels, width), levels, fields=fields, rule=RULE_FLOAT, home=HOME,
        largest_scale=448.0 if width == 16 else None,
    )  # fmt: skip


def _unpack_floats(levels: np.ndarray, width: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    packed = arrays["weight"]
    codes, numbers = pairs(packed, levels) if len(levels) == 16 else (packed, levels[packed])
    scales = arrays["scales"]
    return Unpacked(codes, (e4m3() if width == 16 else e8m0())[scales], width=width, numbers=numbers,
                    stored={"scales": scales})  # fmt: skip
