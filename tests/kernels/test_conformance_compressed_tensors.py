"""Symmetric integers under range=full are compressed-tensors': scales, codes and values, from golden vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv

from .home.weights import weights

GOLDEN = np.load(Path(__file__).parent / "data" / "compressed_tensors.npz")


@pytest.mark.parametrize("bits", range(2, 9))
def test_full_range(bits: int, engine: str) -> None:
    x = weights()
    for group in (32, 64, 128, 256):
        name = f"int{bits}-sym-b{group}"
        q = qv.quantize(x, f"{name}:scale=fp32,range=full", engine=engine)
        # Of a block of zeros the library stores the machine epsilon as its scale, quantviz 0.
        empty = (x.reshape(len(x), -1, group) == 0).all(-1)
        np.testing.assert_array_equal(q.scales, np.where(empty, 0, GOLDEN[f"{name} scales"]), name)
        np.testing.assert_array_equal(q.codes, GOLDEN[f"{name} codes"], name)
        np.testing.assert_array_equal(q.dequantize(), GOLDEN[f"{name} values"], name)


def test_int8_uses_every_code(engine: str) -> None:
    q = qv.quantize(weights(), "int8-sym-tensor:range=full,scale=fp32", engine=engine)
    assert q.scheme.code_range == (-128, 127)
    assert np.asarray(q.codes).dtype == np.int8
    x = np.linspace(-3, 3, 4096, dtype=np.float32)[None]
    assert np.unique(np.asarray(qv.quantize(x, q.scheme, engine=engine).codes)).tolist() == list(range(-128, 128))
