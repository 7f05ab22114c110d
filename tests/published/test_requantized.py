"""Whether quantizing anew gives a file's bytes: what differs, by way of which type, and when it cannot be told."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import quantviz as qv
from quantviz.published import requantized as module
from quantviz.published.requantized import requantized, rounded
from quantviz.tensors import as_stored
from tests.sources.builders import weights
from tests.sources.gguf_builder import write

W = weights(48, 256) * np.float32(1.2345)


def stored(tmp_path, made: np.ndarray, kind: str):
    return qv.open_model(write(tmp_path / f"{kind}.gguf", {"w": (made, kind)})).open("w")


@pytest.mark.parametrize("dtype, theirs", [("float16", np.float16), ("bfloat16", ml_dtypes.bfloat16)])
def test_rounding_is_numpys_over_every_half_way_and_special_value(dtype, theirs):
    bits = np.arange(1 << 16, dtype=np.uint32) << 16
    near = np.concatenate([bits, bits | 0x8000, bits | 0x7FFF, bits | 0x8001, bits | 0x1000, bits | 0x0FFF])
    x = near.view(np.float32)
    x = x[np.isfinite(x)]
    with np.errstate(over="ignore"):
        expected = x.astype(theirs).astype(np.float32)
    assert np.array_equal(rounded(x, dtype).view(np.uint32), expected.view(np.uint32))


def test_float32_is_left_as_it_is():
    assert np.array_equal(rounded(W.T, "float32"), W.T)


@pytest.mark.parametrize(
    "kind, unit, count",
    [("q8_0", "blocks", 384), ("q4_k", "blocks", 48), *((kind, "weights", 12288) for kind in ("f16", "bf16", "f32"))],
)
def test_what_was_made_of_the_original_is_the_same(tmp_path, kind, unit, count):
    found, why = requantized(as_stored(W), stored(tmp_path, W, kind), None, None)
    assert (found.unit, found.count, found.equal, found.first, why) == (unit, count, count, None, "")
    assert found.same and not found.importance and found.through == "float32"


@pytest.mark.parametrize("piece", [1, 256 * 7, 1 << 20])
def test_the_first_unit_that_differs_is_named_wherever_pieces_end(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(module, "_PIECE", piece)
    other = W.copy()
    other[20, 70] *= 3
    other[33, 0] *= 3
    told = []
    found, _ = requantized(as_stored(W), stored(tmp_path, other, "q8_0"), None, lambda *at: told.append(at))
    assert (found.first, found.count - found.equal, found.same) == ((20, 2), 2, False)
    assert told[-1] == (W.size, W.size) and told == sorted(told)
    found, _ = requantized(as_stored(W), stored(tmp_path, other, "f32"), None, None)
    assert (found.first, found.count - found.equal) == ((20, 70), 2)


@pytest.mark.parametrize("through", ["float16", "bfloat16"])
def test_the_type_in_between_is_the_one_that_gives_most_equal_units(tmp_path, through):
    made = rounded(W.reshape(-1), through).reshape(W.shape)
    found, _ = requantized(as_stored(W), stored(tmp_path, made, "q4_k"), None, None)
    assert found.same and found.through == through
    made[40] *= 3  # one row that fits none
    found, _ = requantized(as_stored(W), stored(tmp_path, made, "q4_k"), None, None)
    assert found.through == through and (found.first, found.count - found.equal) == ((40, 0), 1)


def test_no_type_in_between_is_tried_where_it_changes_nothing(tmp_path):
    """Weights that are bfloat16 already: what differs is not laid at its door."""
    x = rounded(W.reshape(-1), "bfloat16").reshape(W.shape)
    found, _ = requantized(as_stored(x), stored(tmp_path, 2 * x, "q8_0"), None, None)
    assert found.equal == 0 and found.through == "float32" and found.first == (0, 0)


def test_importance_counts_only_for_types_that_use_it(tmp_path):
    h = np.linspace(0.1, 1, 256, dtype=np.float32)
    for kind, used in (("q4_k", True), ("q8_0", False)):
        found, _ = requantized(as_stored(W), stored(tmp_path, W, kind), h, None)
        assert found.importance is used
        assert found.same is not used, "made without importance"


def test_what_cannot_be_told_is_said_why(tmp_path):
    iq = stored(tmp_path, W, "iq2_xxs")
    assert requantized(as_stored(W), iq, None, None) == (
        None, "iq2_xxs cannot be quantized without the importance its maker used",
    )  # fmt: skip
    assert requantized(as_stored(W), iq, np.ones(256, np.float32), None)[0] is not None
    wide = as_stored(W.astype(np.float64))
    assert requantized(as_stored(W), wide, None, None) == (None, "float64 is no type that quantviz rounds to")
