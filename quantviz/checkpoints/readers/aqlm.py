"""AQLM: eight neighbouring weights at once are a sum of vectors, one from each codebook, times their output's scale.

| tensor | dtype | shape | holds |
|---|---|---|---|
| `codes` | int8, int16 or wider | [out / height, in / width, codebooks] | which vector; negative: from the end |
| `codebooks` | float16 | [codebooks, vectors, height, width] | a power of two of vectors |
| `scales` | float16 | [out / height, 1, 1, 1] or [out / height, in / width, 1, 1] | |

Rule: aqlm, utils.py, _dequantize_weight; sums in float32.
"""

from __future__ import annotations

import numpy as np

from ...errors import QuantvizError
from ..layer import Arrays, Found, Layer, PackedField, Part, Unpacked, Unreadable
from .gptq import FLOATS

HOME = "aqlm"
RULE = "weights = (sum of a vector from each codebook) × scale"
_CODES = {"int8": 8, "I16": 16, "I32": 32, "I64": 64}  # bits
FIELDS = (
    PackedField("codes", "int8 or int16", "[out / height, in / width, codebooks]", "which vector of each codebook"),
    PackedField("codebooks", "float16", "[codebooks, vectors, height, width]", "the vectors"),
    PackedField("scales", "float16", "[out / height, 1, 1, 1]", "a scale for each output"),
)


def layer(found: Found) -> Layer:
    """How to read an AQLM weight."""
    codes, books, scales = found.codes, found.beside[".codebooks"], found.beside.get(".scales")
    if codes.dtype not in _CODES or books.dtype not in FLOATS or scales is None or scales.dtype not in FLOATS:
        raise Unreadable("quantviz reads codes that are integers with codebooks and scales that are floats")
    if len(codes.shape) != 3 or len(books.shape) != 4 or books.shape[0] != codes.shape[2]:
        raise Unreadable(f"its codes {list(codes.shape)} and codebooks {list(books.shape)} contradict each other")
    (rows, groups, _), (count, vectors, height, width) = codes.shape, books.shape
    if vectors < 2 or vectors & (vectors - 1) or vectors > 2 ** _CODES[codes.dtype]:
        raise Unreadable(f"a codebook has {vectors:,} vectors, which is no power of two that {codes.dtype} reaches")
    if scales.shape not in ((rows, 1, 1, 1), (rows, groups, 1, 1)):
        raise Unreadable(f"its scales {list(scales.shape)} are neither one a row nor one a group of {rows:,} rows")
    parts = {"codes": Part(codes, every=height, rows=rows), "codebooks": Part(books),
             "scales": Part(scales, every=height, rows=rows)}  # fmt: skip
    bits = vectors.bit_length() - 1
    return Layer(
        (rows * height, groups * width), f"AQLM {count}x{bits} g{height * width}", parts, unpack,
        height=height, fields=FIELDS, rule=RULE, home=HOME,
    )  # fmt: skip


def taken_apart(arrays: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of rows of groups: codes, int64 [rows, groups, codebooks]; codebooks, float32 [codebooks, vectors, height ·
    width]; scales, float32 [rows, groups or 1]."""
    books, scales = arrays["codebooks"], arrays["scales"]
    if not (np.isfinite(books).all() and np.isfinite(scales).all()):
        raise QuantvizError("A codebook or scale of AQLM holds what is no number, so the file is damaged.")
    count, vectors = books.shape[:2]
    codes = arrays["codes"].reshape(len(arrays["codes"]), -1, count)
    codes = codes.astype(np.int64) & (vectors - 1)  # what is negative counts from the end
    return codes, books.reshape(count, vectors, -1), scales


def unpack(arrays: Arrays, first: int, last: int) -> Unpacked:
    codes, books, scales = taken_apart(arrays)
    height, width = arrays["codebooks"].shape[2:]
    sums = np.zeros((*codes.shape[:2], height * width), np.float32)
    for number, book in enumerate(books):
        sums += np.take(book, codes[..., number], axis=0)
    sums *= scales[:, :, None]
    made = sums.reshape(*codes.shape[:2], height, width).swapaxes(1, 2).reshape(-1, codes.shape[1] * width)
    return Unpacked(None, np.repeat(scales, height, axis=0), given=made[: last - first])
