"""Compares every block type with ggml's own rows and with the gguf package, and counts equal rows.

python -m tests.block_types.conformance writes the table that the page Number formats shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, quants

import quantviz.block_types
from quantviz.block_types import BLOCK_TYPES, unpack
from quantviz.block_types.conformance import FILE, Check
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows

from .golden import ggml_name, golden
from .test_gguf_package import QUANTIZED_THERE, rows

GGML = "ggml, commit d99724f2b141, compiled"
PACKAGE = "gguf package"
READ = 300  # rows of any bytes


def checks() -> Iterator[Check]:
    """Every check that can be made of every type, in order."""
    for name, kind in BLOCK_TYPES.items():
        for weighted in (False, True):
            pairs = list(_golden_rows(name, weighted))
            if pairs:
                what = "bytes with importance" if weighted else "bytes"
                yield _count(name, what, GGML, [(quantize_rows(name, x, h)[keep], want) for x, h, keep, want in pairs])
        g = golden("ggml_blocks.npz")
        key = ggml_name(name) + "_imatrix" * kind.needs_importance
        yield _weights(name, GGML, g[key + "/bytes"], g[key + "/dequantized"])
        number = getattr(GGMLQuantizationType, ggml_name(name), None)
        if name in QUANTIZED_THERE:
            with np.errstate(all="ignore"):
                yield _count(name, "bytes", PACKAGE, [(quantize_rows(name, rows()), quants.quantize(rows(), number))])
        if number in quants._type_traits:
            data = np.random.default_rng(12).integers(0, 256, (READ, kind.row_bytes(1024)), dtype=np.uint8)
            with np.errstate(all="ignore"):
                yield _weights(name, PACKAGE, data, quants.dequantize(data, number))


def _golden_rows(name: str, weighted: bool) -> Iterator[tuple]:
    """(x, importance, which rows of the result count, their bytes) of each file that has the type."""
    key = ggml_name(name) + "_imatrix" * weighted
    extreme, iq = golden("ggml_extreme_rows.npz"), golden("ggml_iq_rows.npz")
    for g in (golden("ggml_blocks.npz"), extreme, iq):
        if key + "/bytes" in g:
            yield g["x"], g["importance"] if weighted else None, slice(None), g[key + "/bytes"]
    if f"extreme/{key}/rows" in iq:
        importance = extreme["importance"] if weighted else None
        yield extreme["x"], importance, iq[f"extreme/{key}/rows"], iq[f"extreme/{key}/bytes"]


def _weights(name: str, source: str, data: np.ndarray, want: np.ndarray) -> Check:
    """The compiled dequantizer and the readable reader, both against the same weights."""
    with np.errstate(all="ignore"):
        readable = unpack(name, data, want.shape[1]).values.reshape(want.shape)
    got = dequantize_rows(name, data, want.shape[1])
    return _count(name, "weights", source, [(np.stack([got, readable], axis=1), np.stack([want, want], axis=1))])


def _count(name: str, what: str, source: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Check:
    equal = [_same(got, want).reshape(len(got), -1).all(axis=1) for got, want in pairs]
    return Check(name, what, source, sum(map(len, equal)), sum(int(e.sum()) for e in equal))


def _same(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Element by element, to the last bit; any NaN equals any other."""
    if got.dtype == np.uint8:
        return got == want
    return (got.view(np.int32) == np.ascontiguousarray(want).view(np.int32)) | (np.isnan(got) & np.isnan(want))


if __name__ == "__main__":
    path = Path(quantviz.block_types.__file__).parent / FILE
    lines = ",\n".join(json.dumps(asdict(check)) for check in checks())
    path.write_text(f"[\n{lines}\n]\n", "utf-8")
    print(f"{path}: {lines.count(chr(10)) + 1} checks")
