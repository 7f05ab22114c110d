"""FP8 numbers with scales of any grain: of tiles as DeepSeek publishes it, of rows, groups, experts or the tensor.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight` | float8 e4m3 or e5m2, also FNUZ | [out, in], [experts, out, in] | |
| `weight_scale_inv`, `weight_scale`, `scale`, `scale_weight` | float32, bfloat16, float16, E8M0 | [1], [out, 1], \
[out, in / 32], [out / height, in / width] … | what each weight is multiplied by, whatever the name |

FBGEMM's stacked experts lie as [experts, in, out], with a scale an output. Rules: transformers,
integrations/finegrained_fp8.py, Fp8Dequantize; compressed-tensors, quantization/lifecycle/forward_helpers.py,
_dequantize; ComfyUI, comfy/ops.py. Factors and product are float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...tensors.float8 import FLOAT8, FNUZ, float8_values
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .config_groups import block_structures
from .grid import Grid, grid
from .inputs import beside_the_weight

RULE = "weight = FP8 number × scale"
_SCALES = ("_scale_inv", ".scale", "_scale", ".scale_weight")
_HOMES = {"block FP8": "transformers", "block FP8 (DeepSeek V4)": "transformers", "ComfyUI's scaled FP8": "ComfyUI"}
_TILE = (128, 128)  # where config.json does not say
_DTYPES = FLOAT8 | FNUZ


def layer(found: Found) -> Layer:
    """How to read FP8 numbers with the scales beside them."""
    codes, suffix = found.codes, next((name for name in _SCALES if name in found.beside), None)
    if suffix is None:
        raise Unreadable("its scales are not there")
    if codes.dtype not in _DTYPES or not 2 <= len(codes.shape) <= 3:
        raise Unreadable(f"quantviz reads matrices of FP8 numbers, not {codes.dtype} {list(codes.shape)}")
    scales, turned = found.beside[suffix], _turned(found, suffix)
    shape = (codes.shape[0], codes.shape[2], codes.shape[1]) if turned else codes.shape
    sides = _sides(found.settings) or block_structures(found.settings)
    if turned:
        scales = replace(scales, shape=(*shape[:2], 1))
    shared = grid(scales, shape, (*sides, _TILE))
    parts, told = beside_the_weight(found, shape)
    levels = float8_values(codes.dtype)
    rows = shared.rows
    part = Part(codes, every=shape[1], rows=shape[0]) if turned else Part(codes, every=1, rows=rows)
    unpack = partial(_unpack, levels, shape[-2:] if turned else None, shared)
    return Layer(
        shape, _stored_as(found, shared), {"codes": part, "scales": shared.part, **parts}, unpack, levels,
        fields=_fields(codes.dtype, suffix, shared, turned), rule=RULE,
        home=_HOMES.get(found.format, "compressed-tensors"),
        notices=(*_notices(found, shared, sides, turned), *told),
    )  # fmt: skip


def _turned(found: Found, suffix: str) -> bool:
    """Whether stacked experts lie with their inputs first, as FBGEMM's do."""
    codes, scales = found.codes.shape, found.beside[suffix].shape
    if len(codes) != 3 or len(scales) != 3 or scales[0] != codes[0]:
        return False
    outputs = codes[2] > 1 and scales[1:] in ((1, codes[2]), (codes[2], 1))
    return outputs and (codes[1] != codes[2] or found.settings.get("quant_method") == "fbgemm_fp8")


def _stored_as(found: Found, shared: Grid) -> str:
    element = found.codes.dtype.lower().removeprefix("float8_").removeprefix("f8_").removesuffix("fn")
    if shared.kind == "tile" or (len(shared.info.shape) == 2 and "_scale_inv" in found.beside):
        return "block FP8" if element == "e4m3" else f"block FP8 {element}"
    if found.format == "MXFP8" or (shared.width == 32 and shared.kind == "group" and shared.values is not None):
        return f"MXFP8 {element} g{shared.width}"
    comfy = "ComfyUI " if found.format == "ComfyUI's scaled FP8" else ""
    return f"{comfy}FP8 {element} {f'g{shared.width}' if shared.kind == 'group' else shared.kind}"


def _notices(found: Found, shared: Grid, sides: list[tuple[int, int]], turned: bool) -> tuple[str, ...]:
    told = [
        f"Stored as {_stored_as(found, shared)}: {found.codes.dtype}, with a scale for {shared.words}, by which "
        f"{'it is' if shared.kind in ('tensor', 'expert', 'channel') else 'they are'} multiplied here."
    ]
    if shared.kind == "tile" and sides and sides[0] != (shared.height, shared.width):
        told.append(
            f"config.json says tiles of {sides[0][0]} × {sides[0][1]}, and the shapes are those of {shared.height} × "
            f"{shared.width}, which are taken."
        )
    if turned:
        told.append("The file keeps these experts as [in, out]; they are shown as [out, in].")
    return tuple(told)


def _fields(dtype: str, suffix: str, shared: Grid, turned: bool) -> tuple[PackedField, ...]:
    name = suffix.removeprefix(".") if suffix.startswith(".") else f"weight{suffix}"
    axes = {
        "tensor": "[1]", "expert": "[experts]", "channel": "[out, 1]", "group": f"[out, in / {shared.width}]",
        "tile": f"[out / {shared.height}, in / {shared.width}]",
    }[shared.kind]  # fmt: skip
    return (
        PackedField("weight", dtype, "[experts, in, out]" if turned else "[out, in]", "an FP8 number a weight"),
        PackedField(name, shared.info.dtype, axes, f"a scale for {shared.words}, by which it is multiplied"),
    )


def _sides(settings: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The tiles that config.json gives as weight_block_size, (height, width); [] where it gives none.

    >>> _sides({"weight_block_size": [128, 64]})
    [(128, 64)]
    """
    size = settings.get("weight_block_size")
    plain = isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    return [(size[0], size[1])] if plain else []


def _unpack(
    levels: np.ndarray, turned: tuple[int, int] | None, shared: Grid, arrays: Arrays, first: int, last: int
) -> Unpacked:
    """turned: (out, in) of each expert where it lies as [in, out]."""
    codes = arrays["codes"]
    if turned:
        out, cols = turned
        begin, experts = first // out, codes.reshape(-1, cols, out)
        codes = np.concatenate(
            [experts[e - begin, :, max(first - e * out, 0) : last - e * out].T for e in range(begin, -(-last // out))]
        )
    scales = shared.read(arrays["scales"], first, last)
    return Unpacked(codes, scales, width=shared.width, numbers=np.take(levels, codes))
