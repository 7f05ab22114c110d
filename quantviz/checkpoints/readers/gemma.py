"""Gemma's packed integers: 2, 4 or 8 bits along a row, with a scale for each row or each part of it.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `weight`, of embeddings `embedding_quantized` | uint8; int8 of 8 bits | [out, in · bits / 8] | code + 2^(bits − 1) |
| `weight_scale`, `embedding_scale` | float32 | [out, 1] or [out, groups] | |
| `input_activation_scale`, `output_activation_scale` | float32 | [] | of the layer's inputs and outputs |

Whether a byte holds two codes or four stands in config.json alone: `num_bits`, or by the names of layers
`module_quant_configs`. Rules: transformers, integrations/gemma_quant.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import from_bytes

HOME = "transformers"
RULE = "weight = (code − half of its range) × scale"
_DEFAULT = 4  # bits, where config.json names none
_LONGEST, _MOST = 200, 200  # characters of a pattern, and patterns


def layer(found: Found) -> Layer:
    """How to read one of Gemma's weights."""
    codes = found.codes
    scale = found.beside.get("_scale") or found.beside[".embedding_scale"]
    if len(codes.shape) != 2 or codes.dtype not in ("uint8", "int8") or scale.dtype not in ("float32", "bfloat16"):
        raise Unreadable(f"quantviz reads such matrices of bytes with scales of float32, not {codes.dtype} "
                         f"{list(codes.shape)} with {scale.dtype}")  # fmt: skip
    bits = 8 if codes.dtype == "int8" else _bits(found.settings, found.codes.name)
    cols = codes.shape[1] * 8 // bits
    groups, rest = divmod(scale.size, codes.rows)
    if rest or not groups or cols % groups:
        raise Unreadable(f"its scales {list(scale.shape)} do not fit its {codes.rows:,} rows of {cols:,} weights")
    width = cols // groups
    order = tuple(range(8 // bits)) if bits < 8 else ()
    fields = (
        PackedField(
            "weight", codes.dtype, f"[out, in · {bits} / 8]" if order else "[out, in]", "codes of a row", order
        ),
        PackedField("weight_scale", "float32", "[out, 1]", "a scale for each row"),
    )
    low = -(2 ** (bits - 1))
    levels = np.arange(low, -low, dtype=np.float32)
    return Layer(
        (codes.shape[0], cols), f"Gemma int{bits} {'channel' if groups == 1 else f'g{width}'}",
        {"weight": Part(codes, 1), "scale": Part(replace(scale, shape=(codes.rows, groups)), 1)},
        partial(_unpack, bits, levels, width), levels, low if bits == 8 else 0, fields=fields, rule=RULE, home=HOME,
    )  # fmt: skip


def _bits(settings: Mapping[str, Any], name: str) -> int:
    """2 or 4, as config.json says for a layer. Raises Unreadable."""
    if not settings:
        raise Unreadable("whether a byte of it holds two codes or four stands in config.json alone, which says nothing")
    bits = settings.get("num_bits", _DEFAULT)
    patterns = settings.get("module_quant_configs") or {}
    if not isinstance(patterns, Mapping) or len(patterns) > _MOST:
        raise Unreadable(f"module_quant_configs of config.json is no list of up to {_MOST} patterns")
    module = name.rpartition(".safetensors:")[2].rpartition(".")[0]
    for pattern, own in patterns.items():
        if _matches(pattern, module):
            bits = own.get("num_bits", bits) if isinstance(own, Mapping) else None
            break
    if bits not in (2, 4) or type(bits) is not int:
        raise Unreadable("config.json does not say that its bytes hold codes of 2 or 4 bits")
    return bits


def _matches(pattern: str, module: str) -> bool:
    """Whether a regular expression of a stranger is found in a name. Raises Unreadable for one that could take long."""
    repeats = len(re.findall(r"[*+{]", pattern))
    if len(pattern) > _LONGEST or repeats > 3 or re.search(r"\)[*+?{]|\\[0-9]|\(\?", pattern):
        raise Unreadable("module_quant_configs of config.json has patterns that could take long to match")
    try:
        return re.search(pattern, module[:_LONGEST]) is not None
    except (re.error, OverflowError, RecursionError):
        raise Unreadable("module_quant_configs of config.json has patterns that are no regular expressions") from None


def _unpack(bits: int, levels: np.ndarray, width: int, arrays: Arrays, first: int, last: int) -> Unpacked:
    if bits == 8:
        return Unpacked(arrays["weight"], arrays["scale"], width=width)
    codes = from_bytes(arrays["weight"], bits)
    return Unpacked(codes, arrays["scale"], width=width, numbers=levels[codes])
