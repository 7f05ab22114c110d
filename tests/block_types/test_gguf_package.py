"""Agreement with the gguf package, another implementation, wherever it has one."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

from quantviz.block_types import BLOCK_TYPES, unpack
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows

from .golden import TYPES, ggml_name, golden, same_bits

QUANTIZED_THERE = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "gguf_mxfp4")
KNOWN_THERE = [n for n in TYPES if hasattr(GGMLQuantizationType, ggml_name(n))]
READ_THERE = [n for n in KNOWN_THERE if GGMLQuantizationType[ggml_name(n)] in quants._type_traits]


def rows() -> np.ndarray:
    """float32 [rows, 512] of many kinds, and the extreme ones in pairs; without -0, which the package reads as 0."""
    r = np.random.default_rng(11)
    normal = r.standard_normal((40, 512), dtype=np.float32)
    outliers = np.where(r.random((40, 512)) < 0.01, 50 * normal, normal).astype(np.float32)
    constants = np.repeat(r.standard_normal((8, 4), dtype=np.float32), 128, axis=1)
    integers = r.integers(-20, 21, (40, 512)).astype(np.float32)
    extreme = golden("ggml_extreme_rows.npz")["x"]
    paired = np.concatenate([extreme, extreme[::-1]], axis=1)
    return np.concatenate([normal, normal * np.float32(0.02), outliers, constants, integers, paired]) + np.float32(0)


def test_the_package_knows_most_types() -> None:
    assert set(READ_THERE) >= set(TYPES) - {"q1_0", "q2_0"}


@pytest.mark.parametrize("name", KNOWN_THERE)
def test_sizes(name: str) -> None:
    kind = BLOCK_TYPES[name]
    assert GGML_QUANT_SIZES[GGMLQuantizationType[ggml_name(name)]] == (kind.block, kind.nbytes)


@pytest.mark.parametrize("name", QUANTIZED_THERE)
def test_bytes(name: str) -> None:
    x = rows()
    with np.errstate(all="ignore"):
        want = quants.quantize(x, GGMLQuantizationType[ggml_name(name)])
    assert np.array_equal(quantize_rows(name, x), want)


@pytest.mark.parametrize("name", READ_THERE)
def test_weights_of_any_bytes(name: str) -> None:
    data = np.random.default_rng(12).integers(0, 256, (30, BLOCK_TYPES[name].row_bytes(1024)), dtype=np.uint8)
    with np.errstate(all="ignore"):
        want = quants.dequantize(data, GGMLQuantizationType[ggml_name(name)])
    assert same_bits(dequantize_rows(name, data, 1024), want)
    assert same_bits(unpack(name, data, 1024).values.reshape(want.shape), want)
