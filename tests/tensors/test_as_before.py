"""How tensors are looked at, read in pieces and refused: as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
import torch

from quantviz.tensors import PackedTensor, Packing, StoredTensor, as_stored, check_importance, refuse_non_finite
from quantviz.tensors.float8 import FLOAT8, FNUZ, float8_values
from quantviz.tensors.stored import STORED_DTYPES, check_weights, rows_and_cols
from tests.checkpoints.in_memory import told
from tests.recorded import tried

SHAPES = ((), (0,), (5,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (6, 1, 3, 3, 2), (0, 4), (4, 0))


def test_shapes_as_matrices(kept: Callable) -> None:
    for shape in SHAPES:
        kept([rows_and_cols(shape, axes) for axes in range(5)])
        x = StoredTensor(np.zeros(int(np.prod(shape)), np.float32), "float32", shape)
        kept([x.size, x.rows, x.cols, x.matrix, x.nbytes, x.bits_per_weight, tried(check_weights, None, shape)])


@pytest.mark.parametrize("dtype", STORED_DTYPES)
def test_reading_pieces(dtype: str, kept: Callable) -> None:
    w = np.random.default_rng(0).standard_normal(12) * 3
    data = w.astype(getattr(ml_dtypes, dtype, None) or dtype).view(STORED_DTYPES[dtype])
    for name in ("", "w"):
        x = StoredTensor(data, dtype, (3, 4), name, notices=("seen",))
        kept([x.nbytes, x.bits_per_weight, x.is_wide, x.remarks, x.stored_as, told(x.numpy()), told(x.read(3, 7)),
              told(x.read_exactly(2)), told(x.row_range(1, 3).read())])  # fmt: skip
        kept([tried(x.row_range, *rows) for rows in ((-1, 2), (2, 2), (2, 4))])


@pytest.mark.parametrize("dtype", [*FLOAT8, *FNUZ])
def test_codes_of_eight_bits(dtype: str, kept: Callable) -> None:
    values = float8_values(dtype)
    kept([told(values), np.flatnonzero(~np.isfinite(values)), values[[0, 1, 8, 127, 128, 129, 255]]])
    kept(int(np.signbit(values[np.isfinite(values)]).sum()))


@pytest.mark.parametrize("factors", [None, np.array([1, 2, 4], np.float32)])
def test_reading_blocks(factors: np.ndarray | None, kept: Callable) -> None:
    packing = Packing("pairs", 2, 1, lambda blocks: np.concatenate([blocks & 15, blocks >> 4], 1).astype(np.float32))
    x = PackedTensor(np.arange(9, dtype=np.uint8) * 29, "pairs", (3, 6), "w", packing, factors)
    whole = x.read()
    for start in range(0, 18, 2):
        for stop in (*range(start, 19), None, -1):
            assert np.array_equal(x.read(start, stop), whole[start:stop])
    kept(
        [
            told(whole),
            x.nbytes,
            x.bits_per_weight,
            told(x.row_range(1, 3).read()),
            x.blocks(1, 3),
            x.blocks(8),
            told(x.blocks()),
        ]
    )
    kept([tried(replace(x, name=name, packing=replace(packing, decode=None)).read) for name in ("", "w")])


def test_importance(kept: Callable) -> None:
    given = (None, [1, 2, 3], [[1, 2, 3]], [[1], [2], [3]], [1, 2], [1], [[1, 2, 3], [4, 5, 6]], [[1, 2], [3, 4]],
             [0, 0, 0], [0, 0, 1], [-1, 1, 1], [np.nan, 1, 1], [1e300, 1, 1], [1j, 1, 1],
             [True, False, True])  # fmt: skip
    for rows in (0, 4, 5):
        found = [tried(check_importance, None if h is None else np.array(h), 3, rows) for h in given]
        kept({f"{h}": f if f is None or isinstance(f, str) else [f.dtype.name, f.tolist()]
              for h, f in zip(given, found, strict=True)})  # fmt: skip
    kept(tried(check_importance, torch.tensor([1, 2, 3]), 3).tolist())


def test_numbers_that_are_not_finite(kept: Callable) -> None:
    for bad in ({}, {5: np.nan}, {0: np.inf, 3: -np.inf}, {11: np.nan, 2: np.nan, 4: np.inf}):
        w = np.zeros(12, np.float32)
        w[list(bad)] = list(bad.values())
        for name in ("", "w"):
            x = StoredTensor(w, "float32", (3, 4), name)
            found = [tried(refuse_non_finite, x, chunk) for chunk in (1, 4, 5, 100)]
            assert len(set(found)) == 1
            kept(found[0])


class Own(torch.Tensor):
    """Somebody's subclass that changes nothing."""


def test_what_is_no_tensor_of_weights(kept: Callable) -> None:
    ones = torch.ones(2, 2)
    given = {
        "int8": np.ones((2, 2), np.int8), "int32": np.ones(3, np.int32), "complex": np.ones(2, np.complex64),
        "text": "model.safetensors", "objects": np.array([None, 1]), "rows of several lengths": [[1.0], [1.0, 2.0]],
        "masked": np.ma.array([1.0, 2.0], mask=[True, False]), "number": 3.0, "none": None, "empty": np.zeros((0, 3)),
        "list": [[1.0, 2.0]], "bool": np.array([True]), "of texts": np.array(["1"]), "meta": ones.to("meta"),
        "sparse": ones.to_sparse(), "codes": ones.to(torch.int8), "own": ones.as_subclass(Own),
        "own codes": ones.to(torch.int8).as_subclass(Own), "big-endian": np.ones(2, ">f4"),
        "parameter": torch.nn.Parameter(ones), "lazy": torch.nn.parameter.UninitializedParameter(),
        "bfloat16": ones.bfloat16(), "fp8": ones.to(torch.float8_e5m2), "turned": np.arange(6.0).reshape(2, 3).T,
        "conjugate": torch.ones(2, dtype=torch.complex64).conj(),
    }  # fmt: skip
    for what, x in given.items():
        found = tried(as_stored, x)
        kept([what, found if isinstance(found, str) else [found.dtype, found.shape, told(found.read())]])
