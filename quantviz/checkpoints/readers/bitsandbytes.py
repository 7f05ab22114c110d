"""bitsandbytes: four bits by a table of levels, a scale for each 64 weights; eight bits with a scale a row.

| tensor of 4 bits | dtype | shape | holds |
|---|---|---|---|
| `weight` | any; its bytes count | [weights / 2, 1] | two codes a byte, the first in the high bits |
| `weight.absmax` | float32 | [blocks] | a scale for each block of weights, through all rows |
| the same, nested | uint8 | [blocks] | codes of these scales, in blocks of their own |
| `weight.nested_absmax` | float32 | [blocks / 256] | a scale for each block of scales |
| `weight.nested_quant_map` | float32 | [256] | what the code of a scale stands for |
| `weight.quant_map` | float32 | [16] | the levels, which the library does not read either |
| `weight.quant_state.bitsandbytes__nf4` or `__fp4` | uint8 | [about 100] | JSON: shape, blocksize, nested_offset |

| tensor of 8 bits | dtype | shape | holds |
|---|---|---|---|
| `weight` | int8 | [out, in] | |
| `SCB` | float32 | [out] | the largest magnitude of a row |
| `weight_format` | uint8 | [] | 0: rows as they are |

Rules: bitsandbytes, backends/default/ops.py, dequantize_4bit and int8_vectorwise_dequant; functional.py, QuantState.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ...errors import QuantvizError
from ...formats import get
from ...sources import TensorInfo
from ...sources.json_text import read_json_object
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .bits import pairs, shared_by_runs

HOME = "bitsandbytes"
RULE = "weight = level of its code × scale of its block"
RULE_INT8 = "weight = code × largest magnitude of its row ÷ 127"
FIELDS = (
    PackedField("weight", "uint8", "[out · in / 2, 1]", "codes of neighbours in a row", (1, 0)),
    PackedField("absmax", "float32 or uint8", "[out · in / 64]", "a scale for each block, or its code where nested"),
    PackedField("nested_absmax", "float32", "[out · in / 64 / 256]", "what the level of a scale is multiplied by"),
    PackedField("nested_quant_map", "float32", "[256]", "what the code of a scale stands for, before its offset"),
    PackedField("quant_map", "float32", "[16]", "what each code stands for"),
    PackedField("quant_state", "uint8", "[100]", "JSON with the shape, the length of a block and the scales' offset"),
)
FIELDS_INT8 = (
    PackedField("weight", "int8", "[out, in]", "a code a weight"),
    PackedField("SCB", "float32", "[out]", "the largest magnitude of each row"),
)
_STATE = ".quant_state.bitsandbytes__"
_LEVELS = {"nf4": "nf4", "fp4": "bnb_fp4"}  # their names among the formats
_LONGEST_STATE = 1 << 16  # bytes
_BLOCKS = tuple(2**n for n in range(5, 13))  # those the library has kernels for
_ONE_127TH = np.float32(7.874015718698502e-3)


def layer(found: Found) -> Layer:
    """How to read a bitsandbytes weight."""
    return _eight_bits(found) if found.format == "bitsandbytes int8" else _four_bits(found)


@dataclass(frozen=True)
class _State:
    """blocksize: weights a scale.  nested: scales a scale of scales, 0 for none.  offset: added to these."""

    shape: tuple[int, ...]
    blocksize: int
    nested: int = 0
    offset: float = 0.0


def _four_bits(found: Found) -> Layer:
    kind = next((kind for kind in _LEVELS if _STATE + kind in found.beside), None)
    if kind is None:
        raise Unreadable("the quant_state, in which its shape stands, is not beside it")
    if ".absmax" not in found.beside:
        raise Unreadable("the scales of its blocks (absmax) are not beside it")
    state = _state(found, kind)
    rows, cols = math.prod(state.shape[:-1]), state.shape[-1]
    codes, scales = found.codes, found.beside[".absmax"]
    most = codes.nbytes // codes.size if codes.size else 1  # bytes with which the last element may be filled up
    if not 0 <= 2 * codes.nbytes - rows * cols < 2 * max(most, 1):
        raise Unreadable(f"{codes.nbytes:,} bytes cannot hold two codes each of {list(state.shape)} weights")
    blocks = -(-rows * cols // state.blocksize)
    if scales.size != blocks or (scales.dtype == "uint8") != bool(state.nested):
        raise Unreadable(
            f"its {scales.size:,} scales of {scales.dtype} do not fit the {blocks:,} blocks of {state.blocksize} "
            "weights that its quant_state tells of"
        )
    by_rows = 2 * codes.nbytes == rows * cols and cols % 2 == 0
    scales_by_rows = cols % state.blocksize == 0
    as_bytes = replace(codes, dtype="uint8", shape=(codes.nbytes,))
    parts = {
        "weight": Part(as_bytes, 1, rows) if by_rows else Part(as_bytes),
        "absmax": Part(replace(scales, shape=(scales.size,)), *((1, rows) if scales_by_rows else ())),
    }
    if state.nested:
        parts |= _nested(found.beside, -(-blocks // state.nested))
    levels = get(_LEVELS[kind]).values
    return Layer(
        state.shape, f"bitsandbytes {kind} g{state.blocksize}{' nested' if state.nested else ''}", parts,
        partial(_unpack, state, cols, by_rows, scales_by_rows, levels), levels, fields=FIELDS, rule=RULE, home=HOME,
        notices=_contradicted(found.settings, kind),
    )  # fmt: skip


def _contradicted(settings: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """A notice where config.json tells of another type."""
    said = "int8" if settings.get("load_in_8bit") is True else settings.get("bnb_4bit_quant_type")
    if said == kind or said not in (*_LEVELS, "int8"):
        return ()
    return (f"config.json says {said}, and the tensors are those of {kind}, which counts.",)


def _state(found: Found, kind: str) -> _State:
    """What the quant_state says, each number checked. Raises Unreadable."""
    if found.beside[_STATE + kind].nbytes > _LONGEST_STATE:
        raise Unreadable(f"its quant_state is longer than {_LONGEST_STATE:,} bytes, which none needs to be")
    text = np.ascontiguousarray(found.small(_STATE + kind)).tobytes()
    try:
        said = read_json_object(text, "The quant_state")
    except QuantvizError as problem:
        raise Unreadable(f"what it says of itself cannot be read: {str(problem).rstrip('.')}") from None
    shape, blocksize = said.get("shape"), said.get("blocksize")
    if not isinstance(shape, list) or len(shape) not in (2, 3) or not all(type(n) is int and n > 0 for n in shape):
        raise Unreadable("its quant_state gives no shape of two or three axes")
    if type(blocksize) is not int or blocksize not in _BLOCKS:
        raise Unreadable(f"its quant_state gives no blocksize of {', '.join(map(str, _BLOCKS[:-1]))} or {_BLOCKS[-1]}")
    if said.get("quant_type", kind) != kind:
        raise Unreadable(f"its quant_state is called {kind} and says that it is of another type")
    if ".nested_absmax" not in found.beside:
        return _State(tuple(shape), blocksize)
    nested, offset = said.get("nested_blocksize"), said.get("nested_offset")
    if type(nested) is not int or nested < 1 or type(offset) not in (int, float) or abs(offset) > 1e30:
        raise Unreadable("its scales are nested, and its quant_state gives no nested_blocksize or nested_offset")
    return _State(tuple(shape), blocksize, nested, float(offset))


def _nested(beside: Mapping[str, TensorInfo], blocks: int) -> dict[str, Part]:
    """The scales of scales, and what the codes of scales stand for. Raises Unreadable."""
    scales, levels = beside[".nested_absmax"], beside.get(".nested_quant_map")
    if levels is None or levels.size != 256 or levels.dtype != "float32":
        raise Unreadable("the table of what its scales' codes stand for is not there or has not 256 numbers of float32")
    if scales.size != blocks or scales.dtype != "float32":
        raise Unreadable(f"it has {scales.size:,} scales of scales, where {blocks:,} are needed")
    return {"nested_absmax": Part(replace(scales, shape=(blocks,))), "nested_quant_map": Part(levels)}


def _unpack(
    state: _State, cols: int, by_rows: bool, scales_by_rows: bool, levels: np.ndarray, arrays: Arrays, first: int,
    last: int,
) -> Unpacked:  # fmt: skip
    packed = arrays["weight"]
    if by_rows:
        codes, numbers = pairs(packed, levels, high_first=True)
    else:  # a row may end inside a byte
        start, stop = first * cols, last * cols
        both = pairs(packed.reshape(-1)[start // 2 : -(-stop // 2)], levels, high_first=True)
        codes, numbers = (x[start % 2 :][: stop - start].reshape(-1, cols) for x in both)
    blocks, width = shared_by_runs(first, last, cols, state.blocksize)
    scales = arrays["absmax"] if scales_by_rows else arrays["absmax"].reshape(-1)[blocks]
    stored: dict[str, Any] = {}
    if state.nested:
        stored = {"absmax": scales, "nested_absmax": arrays["nested_absmax"][blocks // state.nested]}
        scales = arrays["nested_quant_map"].reshape(-1)[scales] * stored["nested_absmax"] + np.float32(state.offset)
    return Unpacked(codes, scales, width=width, numbers=numbers, stored=stored)


def _eight_bits(found: Found) -> Layer:
    codes, scales = found.codes, found.beside[".SCB"]
    if codes.dtype != "int8" or len(codes.shape) != 2:
        raise Unreadable(f"quantviz reads matrices of its int8 numbers, not {codes.dtype} {list(codes.shape)}")
    if scales.size != codes.rows or scales.dtype not in ("float32", "float16", "bfloat16"):
        raise Unreadable(f"its {scales.size:,} scales of {scales.dtype} do not fit its {codes.rows:,} rows")
    parts = {"weight": Part(codes, every=1), "SCB": Part(replace(scales, shape=(codes.rows,)), every=1)}
    if (order := found.beside.get(".weight_format")) is not None:
        if order.size != 1 or order.dtype != "uint8":
            raise Unreadable("its weight_format is no single number")
        parts["weight_format"] = Part(order)
    levels = np.arange(-128, 128, dtype=np.float32)
    return Layer(
        codes.shape, "bitsandbytes int8 channel", parts, _unpack_int8, levels, -128, fields=FIELDS_INT8,
        rule=RULE_INT8, home=HOME,
    )  # fmt: skip


def _unpack_int8(arrays: Arrays, first: int, last: int) -> Unpacked:
    if "weight_format" in arrays and (found := int(arrays["weight_format"].reshape(-1)[0])):
        raise QuantvizError(
            f"A weight_format says that rows of int8 lie in the order of some GPU's cores (number {found}), which "
            "quantviz does not read; save the model anew with a bitsandbytes of today."
        )
    codes, largest = arrays["weight"], arrays["SCB"]
    return Unpacked(codes, largest * _ONE_127TH, given=codes.astype(np.float32) * largest * _ONE_127TH)
