"""A layout is read once, in words that NumPy and torch share: both give the same codes, scales, minima and weights."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from quantviz import QuantvizError
from quantviz.block_types import BLOCK_TYPES, BlockType, Unpacked, unpack
from quantviz.block_types.arrays import like, look_up

from .golden import same_bits


def blocks(kind: BlockType) -> np.ndarray:
    """Random ones, in which every byte takes every value; those of one value; and those of one byte that is not 0.

    Among them are scales that are zero, negative, infinite, no number and subnormal, and bits that no writer sets.
    """
    every = np.arange(256, dtype=np.uint8)
    random = np.random.default_rng(0)
    columns = [random.permuted(np.tile(every, 4)) for _ in range(kind.nbytes)]
    alone = np.eye(kind.nbytes, dtype=np.uint8)[None] * np.uint8([0x01, 0x7C, 0x80, 0xFF])[:, None, None]
    return np.concatenate([np.stack(columns, 1), np.repeat(every[:, None], kind.nbytes, 1), *alone])


def taken_apart(kind: BlockType, data: Any) -> tuple[dict[str, Any], Unpacked]:
    with np.errstate(all="ignore"):
        found = kind.unpack(data)
        parts = {"codes": found.codes, "numbers": found.numbers, "scales": found.scales, "values": found.values}
    return parts | ({} if found.minima is None else {"minima": found.minima}) | found.stored, found


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_both_kinds_of_array_are_read_alike(name: str) -> None:
    kind, data = BLOCK_TYPES[name], blocks(BLOCK_TYPES[name])
    wide = torch.zeros((len(data), kind.nbytes + 4), dtype=torch.uint8)
    within = wide[:, 3:-1]  # where no fp16 is aligned
    within[:] = torch.from_numpy(data)
    whole, _ = taken_apart(kind, data)
    for tensor, rows in ((torch.from_numpy(data), slice(None)), (within, slice(None)), (within, slice(7, 8))):
        found, _ = taken_apart(kind, tensor[rows])
        expected = {part: numbers[rows] for part, numbers in whole.items()}
        assert found.keys() == expected.keys()
        for part, a in expected.items():
            assert isinstance(found[part], torch.Tensor), part
            b = found[part].numpy()
            assert (a.dtype, a.shape) == (b.dtype, b.shape), part
            assert same_bits(a, b) if a.dtype == np.float32 else np.array_equal(a, b), part


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_under_unit_scales_a_weight_is_what_its_code_stands_for(name: str) -> None:
    kind, data = BLOCK_TYPES[name], blocks(BLOCK_TYPES[name])
    keep, put = kind.unscaling
    assert not (keep & put).any()
    found = kind.unpack(data & keep | put)
    assert (found.scales == 1).all() and (found.minima is None or not found.minima.any())
    assert np.array_equal(found.values, found.numbers)
    with np.errstate(invalid="ignore"):  # grids read their scales with the codes
        assert np.array_equal(found.codes, kind.codes(data))


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_no_blocks_have_no_numbers(name: str) -> None:
    kind = BLOCK_TYPES[name]
    for data in (np.zeros((0, kind.nbytes), np.uint8), torch.zeros((0, kind.nbytes), dtype=torch.uint8)):
        parts, found = taken_apart(kind, data)
        assert tuple(parts["values"].shape) == tuple(found.codes.shape) == (0, kind.block)
        assert tuple(found.scales.shape) == (0, kind.groups)


def test_a_table_is_copied_once_for_a_device() -> None:
    table, index = np.arange(4, dtype=np.float32), torch.tensor([3, 0])
    assert like(table, index) is like(table, torch.zeros(1)) and like(table, table) is table
    assert look_up(table, index).tolist() == look_up(table, index.numpy()).tolist() == [3, 0]


def test_rows_of_either_kind_are_checked() -> None:
    data = torch.zeros((2, 36), dtype=torch.uint8)
    assert isinstance(unpack("q4_0", data, 64).codes, torch.Tensor)
    with pytest.raises(QuantvizError, match="take 36 bytes each in q4_0, 70 bytes do not"):
        unpack("q4_0", data[:, 1:], 64)
    with pytest.raises(QuantvizError, match="take 36 bytes each in q4_0"):
        unpack("q4_0", data.short(), 64)


def test_blocks_in_numpy_are_read_without_torch() -> None:
    code = (
        "import sys, numpy as np; from quantviz.block_types import BLOCK_TYPES\n"
        "for kind in BLOCK_TYPES.values(): kind.unpack(np.zeros((1, kind.nbytes), np.uint8)).values\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
