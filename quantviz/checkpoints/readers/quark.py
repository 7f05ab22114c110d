"""int4 and uint4 as AMD Quark exports them: eight codes in a word of 32 bits.

| tensor | dtype | shape (groups) | shape (rows, whole tensor) | holds |
|---|---|---|---|---|
| `weight` | int32 | [in, ⌈out / 8⌉] | [out, in / 8] | codes of neighbouring outputs, or of neighbouring inputs |
| `weight_scale` | float32, bfloat16, float16 | [groups, out] | [out], [] | |
| `weight_zero_point` | int32 | [groups, ⌈out / 8⌉] | [⌈out / 8⌉], [] | zero points, packed likewise |

weight = (code − zero point) × scale. Codes and zero points of int4 are in two's complement, those of uint4 have no
sign. config.json alone says which of the two they are, and in which order eight lie in a word: `pack_method` is
"reorder", AWQ's order, or "order", the lowest bits first. Rules: Quark 0.13, torch/utils/pack.py, Pack_4_bits, and
torch/export/nn/modules/realquantizer.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from ...sources import TensorInfo
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .awq import ORDER, of_four
from .grid import Grid, grid

_LEVELS = {
    "int4": np.concatenate([np.arange(8), np.arange(-8, 0)]).astype(np.float32),
    "uint4": np.arange(16, dtype=np.float32),
}
_ORDERS = {"reorder": ORDER, "order": tuple(range(8))}
_MOST = 1000  # layers' own settings that are looked at


def layer(found: Found) -> Layer:
    """How to read a weight of Quark's 4-bit integers."""
    codes, scales, zeros = found.codes, found.beside["_scale"], found.beside.get("_zero_point")
    kind, order = _kind(found.settings), _order(found.settings)
    if scales.dtype not in ("float32", "bfloat16", "float16") or (zeros is not None and zeros.dtype != "I32"):
        raise Unreadable("quantviz reads such codes with float scales and packed zero points")
    if zeros is None and kind == "uint4":
        raise Unreadable("its zero points are not there, without which uint4 has no weights below zero")
    parts = {"weight": Part(codes), "scale": Part(scales)} | ({} if zeros is None else {"zero": Part(zeros)})
    if len(scales.shape) == 2:
        shape, grain, axes, unpack = _by_groups(codes, scales, zeros)
    else:
        shape, grain, axes, unpack = _by_rows(codes, scales, zeros)
        parts["weight"] = Part(codes, every=1)
    fields = [
        PackedField("weight", "int32", axes[0], "codes, eight in a word", order),
        PackedField("weight_scale", scales.dtype, axes[1], "what codes are multiplied by"),
    ]
    if zeros is not None:
        fields.append(
            PackedField("weight_zero_point", "int32", axes[2], "what is taken from codes first, packed likewise", order)
        )
    return Layer(
        shape, f"Quark {kind} {grain}", parts, partial(unpack, _LEVELS[kind], order), _LEVELS[kind],
        fields=tuple(fields), home="AMD Quark",
        rule="weight = code × scale" if zeros is None else "weight = (code − zero point) × scale",
    )  # fmt: skip


# -- what config.json says -----------------------------------------------------------------------


def _kind(settings: Mapping[str, Any]) -> str:
    """int4 or uint4, whichever config.json speaks of alone. Raises Unreadable."""
    found = set()
    for said in _weights(settings):
        if isinstance(said, list):
            raise Unreadable("config.json says that its codes are quantized twice, one scale over another")
        kind = said.get("dtype") if isinstance(said, Mapping) else None
        found |= {kind} & set(_LEVELS) if isinstance(kind, str) else set()
    if len(found) != 1:
        what = "speaks of both int4 and uint4" if found else "does not say whether they are int4 or uint4"
        raise Unreadable(f"config.json {what}, so their sign is unknown")
    return found.pop()


def _weights(settings: Mapping[str, Any]) -> Iterator[Any]:
    """What is said of the weights of all layers, and of those that have settings of their own."""
    places = [settings.get("global_quant_config")]
    for name in ("layer_quant_config", "layer_type_quant_config"):
        some = settings.get(name)
        places += islice(some.values(), _MOST) if isinstance(some, Mapping) else ()
    return (place["weight"] for place in places if isinstance(place, Mapping) and place.get("weight"))


def _order(settings: Mapping[str, Any]) -> tuple[int, ...]:
    said = settings.get("export")
    method = said.get("pack_method") if isinstance(said, Mapping) else None
    if not isinstance(method, str) or method not in _ORDERS:
        raise Unreadable("config.json does not say in which order eight of them lie in a word (pack_method)")
    return _ORDERS[method]


# -- one scale for a group of inputs -------------------------------------------------------------


def _by_groups(codes: TensorInfo, scales: TensorInfo, zeros: TensorInfo | None):
    (inputs, words), (groups, outputs) = codes.shape, scales.shape
    if inputs % groups or -(-outputs // 8) != words or (zeros is not None and zeros.shape != (groups, words)):
        raise _contradiction(codes, scales, zeros)
    width = inputs // groups
    axes = "[in, ⌈out / 8⌉]", "[groups, out]", "[groups, ⌈out / 8⌉]"
    return (outputs, inputs), f"g{width}", axes, partial(_outputs, width)


def _outputs(width: int, levels: np.ndarray, order: tuple[int, ...], arrays: Arrays, first: int, last: int) -> Unpacked:
    codes = _eights(arrays["weight"], order, first, last)
    zeros = arrays.get("zero")
    scales = np.ascontiguousarray(arrays["scale"][:, first:last].T)
    return Unpacked(
        codes, scales, None if zeros is None else np.take(levels, _eights(zeros, order, first, last)), width=width,
        numbers=np.take(levels, codes),
    )  # fmt: skip


def _eights(words: np.ndarray, order: tuple[int, ...], first: int, last: int) -> np.ndarray:
    """uint8 [outputs first to last, n] of words [n, ...]."""
    low = first // 8
    return of_four(words[:, low : -(-last // 8)], order)[first - low * 8 : last - low * 8]


# -- one scale for a row, or for all -------------------------------------------------------------


def _by_rows(codes: TensorInfo, scales: TensorInfo, zeros: TensorInfo | None):
    outputs, words = codes.shape
    shared = grid(scales, (outputs, 8 * words))
    fitting = ((), (1,)) if shared.kind == "tensor" else ((-(-outputs // 8),),)
    if zeros is not None and zeros.shape not in fitting:
        raise _contradiction(codes, scales, zeros)
    alone = shared.kind == "tensor"
    axes = "[out, in / 8]", "[]" if alone else "[out]", "[]" if alone else "[⌈out / 8⌉]"
    return (outputs, 8 * words), shared.kind, axes, partial(_inputs, shared)


def _inputs(
    shared: Grid, levels: np.ndarray, order: tuple[int, ...], arrays: Arrays, first: int, last: int
) -> Unpacked:
    codes = np.ascontiguousarray(of_four(arrays["weight"], order).T)
    zeros, scale = arrays.get("zero"), arrays["scale"]
    scales = shared.read(scale if shared.kind == "tensor" else scale.reshape(-1, 1)[first:last], first, last)
    if zeros is not None and shared.kind == "tensor":
        zeros = np.full((last - first, 1), int(zeros.reshape(-1)[0]) & 15)
    elif zeros is not None:
        zeros = _eights(zeros.reshape(1, -1), order, first, last)
    return Unpacked(
        codes, scales, None if zeros is None else np.take(levels, zeros), numbers=np.take(levels, codes)
    )  # fmt: skip


def _contradiction(codes: TensorInfo, scales: TensorInfo, zeros: TensorInfo | None) -> Unreadable:
    more = "" if zeros is None else f", zero points {list(zeros.shape)}"
    return Unreadable(
        f"the shapes of its codes {list(codes.shape)}{more} and scales {list(scales.shape)} contradict each other"
    )
