"""NVFP4, MXFP4 and MXFP6, as compressed-tensors, ModelOpt, DeepSeek V4, Quark and gpt-oss write them.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight`, `weight_packed`, `_blocks` | uint8, int8, F4 | [out, in / 2]; gpt-oss: [experts, out, in / 32, 16] | two \
e2m1 codes a byte, the low one first; of MXFP6, four e2m3 codes in three bytes, the lowest bits first |
| `weight_scale`, `scale`, `_scales` | float8_e4m3fn (NVFP4), E8M0 (MX) | [out, in / 16], [out, in / 32] | |
| `weight_global_scale` | float32 | [1] | compressed-tensors: what scales are divided by |
| `weight_scale_2` | float32 | [] | ModelOpt: what scales are multiplied by |

weight = number × (scale ÷ global scale), or number × (scale × second scale), each step in float32. Rules:
compressed-tensors, quantization/lifecycle/forward_helpers.py, _dequantize, and compressors/mxfp6; ModelOpt,
torch/quantization/qtensor/nvfp4_tensor.py; transformers, integrations/mxfp4.py and finegrained_fp8.py.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import pairs
from .grid import Grid, grid
from .inputs import beside_the_weight
from .levels import e2m1, e2m3
from .numbers import POWERS

_SCALES = ("_scale", "_scales", ".scale")
_DIVIDES, _MULTIPLIES = "_global_scale", "_scale_2"
_GROUP = 32  # of MX
_OF_NVFP4 = ("float8_e4m3fn",)  # what its scales are kept in
_ORDER = (0, 1)
_HOMES = {"MXFP4": "transformers and ModelOpt", "MXFP4 (DeepSeek V4)": "transformers", "ModelOpt NVFP4": "ModelOpt",
          "NVFP4": "ModelOpt"}  # fmt: skip


def layer(found: Found) -> Layer:
    """How to read e2m1 or e2m3 codes with the scales beside them."""
    suffix = next((name for name in _SCALES if name in found.beside), None)
    if suffix is None:
        raise Unreadable("the scales of its groups are not there")
    scales = found.beside[suffix]
    lead, inside = _bytes(found)
    six = scales.shape[-1:] == (inside // 3 * 4 // _GROUP,) and inside % 3 == 0 and scales.dtype == "uint8"
    shape = (*lead, inside // 3 * 4 if six else 2 * inside)
    shared = grid(scales, shape)
    mx = scales.dtype in POWERS
    if not mx and scales.dtype not in _OF_NVFP4:
        raise Unreadable(f"its scales are {scales.dtype}, which neither NVFP4 nor MX formats have")
    if shared.kind not in ("group", "channel") or (mx and shared.width != _GROUP):
        raise Unreadable(f"its scales {list(scales.shape)} do not fit its shape {list(shape)}")
    second, divides = _second(found, shape)
    parts, told = beside_the_weight(found, shape)
    parts = {"codes": Part(found.codes, every=1, rows=shared.rows), "scales": shared.part, **parts}
    if second:
        parts["second"] = second.part
    levels = e2m3() if six else e2m1()
    name = f"MXFP{6 if six else 4}" if mx else "NVFP4"
    return Layer(
        shape, f"{name} g{shared.width}", parts, partial(_unpack, levels, six, shared, second, divides),
        levels, fields=_fields(found, suffix, shared, six), rule=_rule(second, divides),
        home=_HOMES.get(found.format, "compressed-tensors"), notices=(*_notices(found, second, divides), *told),
        largest_scale=None if mx else 448.0,
    )  # fmt: skip


def _bytes(found: Found) -> tuple[tuple[int, ...], int]:
    """The axes before the inputs, and how many bytes a row takes."""
    codes = found.codes
    shape = codes.shape
    if found.format == "MXFP4" and "_scales" in found.beside:  # gpt-oss: groups have an axis of their own
        if len(shape) < 3 or shape[-1] != _GROUP // 2:
            raise Unreadable(f"its codes {list(shape)} are no groups of {_GROUP // 2} bytes")
        shape = (*shape[:-2], shape[-2] * shape[-1])
    if not 2 <= len(shape) <= 3:
        raise Unreadable(f"quantviz reads matrices of such codes, not {list(codes.shape)}")
    size, rest = divmod(shape[-1] * codes.nbytes, codes.size)
    if rest:
        raise Unreadable(f"the rows of its codes {list(codes.shape)} end inside a byte")
    return shape[:-1], size


def _second(found: Found, shape: tuple[int, ...]) -> tuple[Grid | None, bool]:
    """The scale of the scales, and whether it divides them."""
    for suffix, divides in ((_DIVIDES, True), (_MULTIPLIES, False)):
        if suffix in found.beside:
            second = grid(found.beside[suffix], shape)
            if second.kind not in ("tensor", "expert") or found.beside[suffix].dtype not in ("float32", "bfloat16"):
                raise Unreadable(f"its second scale is {second.info.dtype} {list(second.info.shape)}, no single number")
            return second, divides
    return None, False


def _rule(second: Grid | None, divides: bool) -> str:
    if second is None:
        return "weight = number of the code × scale"
    return f"weight = number of the code × (scale {'÷ global scale' if divides else '× second scale'})"


def _notices(found: Found, second: Grid | None, divides: bool) -> tuple[str, ...]:
    told = []
    if "_scales" in found.beside and found.codes.name.endswith("gate_up_proj_blocks"):
        told.append("Rows of gate_proj and up_proj alternate: even ones are gate_proj's, odd ones up_proj's.")
    if second is None and found.format.endswith("NVFP4"):
        told.append("No second scale lies beside this NVFP4 weight, so its scales are taken as they are.")
    return tuple(told)


def _fields(found: Found, suffix: str, shared: Grid, six: bool) -> tuple[PackedField, ...]:
    codes = {"compressed-tensors nvfp4": "weight_packed", "compressed-tensors mxfp4": "weight_packed"}
    name = "…_blocks" if suffix == "_scales" else codes.get(found.format, "weight")
    scale = {"_scales": "…_scales", ".scale": "scale"}.get(suffix, f"weight{suffix}")
    bits, what = ("3 · in / 4", "four e2m3 codes to three bytes") if six else ("in / 2", "two e2m1 codes to a byte")
    axes = "[experts, out, in / 32, 16]" if suffix == "_scales" else f"[out, {bits}]"
    fields = [
        PackedField(name, found.codes.dtype, axes, what, () if six else _ORDER),
        PackedField(scale, shared.info.dtype, f"[out, in / {shared.width}]", "a scale for each group of a row"),
    ]
    if _DIVIDES in found.beside:
        fields.append(PackedField("weight_global_scale", "float32", "[1]", "what all scales are divided by"))
    elif _MULTIPLIES in found.beside:
        fields.append(PackedField("weight_scale_2", "float32", "[]", "what all scales are multiplied by"))
    return tuple(fields)


def _sixes(packed: np.ndarray) -> np.ndarray:
    """uint8 [n, 4 · bytes / 3] of bytes [n, bytes]: codes of six bits, the lowest of three bytes first."""
    a, b, c = np.moveaxis(packed.reshape(len(packed), -1, 3), 2, 0)
    each = np.stack([a & 63, (a >> 6) | (b & 15) << 2, (b >> 4) | (c & 3) << 4, c >> 2], axis=2)
    return each.reshape(len(packed), -1)


def _unpack(
    levels: np.ndarray,
    six: bool,
    shared: Grid,
    second: Grid | None,
    divides: bool,
    arrays: Arrays,
    first: int,
    last: int,
) -> Unpacked:
    packed = arrays["codes"].view(np.uint8)
    if six:
        codes = _sixes(packed)
        numbers = np.take(levels, codes)
    else:
        codes, numbers = pairs(packed, levels)
    scales = shared.read(arrays["scales"], first, last)
    if second is None:
        return Unpacked(codes, scales, width=shared.width, numbers=numbers)
    over = second.read(arrays["second"], first, last)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        made = scales / over if divides else scales * over
    stored = {"block scale": scales, "global scale" if divides else "second scale": over}
    return Unpacked(codes, made, width=shared.width, numbers=numbers, stored=stored)
