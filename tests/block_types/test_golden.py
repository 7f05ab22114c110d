"""Bytes and weights are ggml's own, for every type, with and without importance."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.block_types import BLOCK_TYPES, unpack
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows

from .golden import TYPES, WITH_AND_WITHOUT, ggml_name, golden, same_bits


def differing(got: np.ndarray, want: np.ndarray) -> list[int]:
    return np.flatnonzero((got != want).any(axis=1)).tolist()


@pytest.mark.parametrize(("name", "weighted"), WITH_AND_WITHOUT)
def test_bytes_equal_ggmls(name: str, weighted: bool) -> None:
    g = golden("ggml_blocks.npz")
    importance = g["importance"] if weighted else None
    want = g[ggml_name(name) + "_imatrix" * weighted + "/bytes"]
    bad = differing(quantize_rows(name, g["x"], importance), want)
    assert not bad, f"rows {[str(g['row_names'][r]) for r in bad]}"


@pytest.mark.parametrize(("name", "weighted"), WITH_AND_WITHOUT)
def test_bytes_equal_ggmls_on_extreme_rows(name: str, weighted: bool) -> None:
    g = golden("ggml_extreme_rows.npz")
    importance = g["importance"] if weighted else None
    want = g[ggml_name(name) + "_imatrix" * weighted + "/bytes"]
    assert differing(quantize_rows(name, g["x"], importance), want) == []


@pytest.mark.parametrize("name", TYPES)
def test_importance_changes_nothing_where_ggml_ignores_it(name: str) -> None:
    g = golden("ggml_blocks.npz")
    kind = BLOCK_TYPES[name]
    assert kind.uses_importance == (ggml_name(name) + "_imatrix/bytes" in g)
    if not kind.uses_importance:
        assert np.array_equal(quantize_rows(name, g["x"], g["importance"]), g[ggml_name(name) + "/bytes"])


@pytest.mark.parametrize(("name", "weighted"), WITH_AND_WITHOUT)
def test_weights_equal_ggmls_to_the_last_bit(name: str, weighted: bool) -> None:
    g = golden("ggml_blocks.npz")
    key = ggml_name(name) + "_imatrix" * weighted
    data, want = g[key + "/bytes"], g[key + "/dequantized"]
    assert same_bits(dequantize_rows(name, data, 1024), want)
    assert same_bits(unpack(name, data, 1024).values.reshape(want.shape), want)
