"""GGUF's block types: packed layouts, each with a rule of its own. Data and readable readers, a family a file.

Here is what a type is; `quantviz.kernels.block_rows` quantizes and dequantizes rows of them, bytes as ggml writes them.
"""

from __future__ import annotations

import math

from ..errors import QuantvizError, did_you_mean
from ..text.wording import plural
from . import fp4, iq1, iq2, iq3, iq4, k_quants, plain, ternary
from .arrays import Array
from .base import ROLES, BlockField, BlockType, Unpacked

__all__ = ["BLOCK_TYPES", "ROLES", "BlockType", "BlockField", "Unpacked", "block_type", "check_cols", "check_rows",
           "original_name", "unpack", "was_rounded"]  # fmt: skip

_FAMILIES = (plain, k_quants, iq4, iq3, iq2, iq1, ternary, fp4)

BLOCK_TYPES: dict[str, BlockType] = {t.name: t for family in _FAMILIES for t in family.TYPES}


def block_type(name: str) -> BlockType:
    """The block type of that name; QuantvizError with the nearest names where there is none."""
    if name not in BLOCK_TYPES:
        raise QuantvizError(f"There is no block type {name!r}.{did_you_mean(name, BLOCK_TYPES)}")
    return BLOCK_TYPES[name]


def was_rounded(dtype: str) -> bool:
    """Whether a tensor that is stored so has lost something to quantization before: block types, and 8-bit floats."""
    return dtype in BLOCK_TYPES or dtype.startswith("float8")


def original_name(dtype: str) -> str:
    """What weights before quantizing are called.

    >>> original_name("bfloat16"), original_name("q4_1")
    ('original', 'as stored (q4_1)')
    """
    return f"as stored ({dtype})" if was_rounded(dtype) else "original"


def check_cols(kind: BlockType, cols: int) -> None:
    """Refuses rows that do not divide into blocks: ggml has no such rows."""
    if cols <= 0 or cols % kind.block:
        padded = (cols // kind.block + 1) * kind.block
        raise QuantvizError(
            f"{kind.name} needs rows whose length is a multiple of {kind.block}; "
            f"these have {plural(cols, 'weight')}: pad them with {plural(padded - cols, 'zero')} to {padded:,}."
        )


def check_rows(kind: BlockType, data: Array, cols: int) -> None:
    """Refuses stored rows, NumPy's or torch's, that are not uint8 [rows, bytes of `cols` weights]."""
    check_cols(kind, cols)
    dtype = _dtype(data)
    if dtype != "uint8" or data.ndim != 2 or data.shape[1] != kind.row_bytes(cols):
        raise QuantvizError(
            f"Rows of {cols:,} weights take {kind.row_bytes(cols):,} bytes each in {kind.name}; "
            f"this is {dtype} of shape {list(data.shape)}."
        )


def _dtype(data: Array) -> str:
    return str(data.dtype).removeprefix("torch.")


def unpack(name: str, data: Array, cols: int) -> Unpacked:
    """Stored rows taken apart, a row of the result a block: uint8 [rows, row bytes] or flat bytes.

    The result's arrays are of data's kind: NumPy's, or torch's on its device.

    Raises QuantvizError for an unknown type, rows that are no multiple of the block, and bytes that end within a row.
    """
    kind = block_type(name)
    check_cols(kind, cols)
    row = kind.row_bytes(cols)
    size = math.prod(data.shape)
    if _dtype(data) != "uint8" or size % row:
        raise QuantvizError(f"Rows of {cols:,} weights take {row:,} bytes each in {name}, {size:,} bytes do not.")
    return kind.unpack(data.reshape(-1, kind.nbytes))
