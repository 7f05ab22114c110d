"""Safetensors bytes for tests, right or wrong in one chosen place."""

from __future__ import annotations

import json

import numpy as np

DTYPES = {
    "float32": "F32",
    "float16": "F16",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "uint8": "U8",
    "int64": "I64",
    "bool": "BOOL",
}


def safetensors(arrays: dict[str, np.ndarray], dtypes: dict[str, str] | None = None) -> bytes:
    """The bytes of a file that holds `arrays`; `dtypes` renames an array's dtype in the header (bits stay)."""
    header, data = {}, b""
    for name, array in arrays.items():
        raw = array.tobytes()
        dtype = (dtypes or {}).get(name) or DTYPES[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return with_header(header, data)


def with_header(header: object, data: bytes = b"") -> bytes:
    """The bytes of a file with any JSON value, or any bytes, for a header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def weights(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, cols), np.float32)
