"""What each block type says of itself, and into what its blocks are taken apart: as before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quantviz.block_types import BLOCK_TYPES, BlockType, block_type, check_rows, iq_grids, original_name, unpack
from quantviz.block_types.base import from_zero
from quantviz.errors import QuantvizError
from tests.checkpoints.in_memory import told

each = pytest.mark.parametrize("kind", BLOCK_TYPES.values(), ids=BLOCK_TYPES)


def blocks(kind: BlockType, count: int = 3) -> np.ndarray:
    """Random ones whose numbers of 16 bits are neither large nor infinite."""
    return np.random.default_rng(0).integers(0, 0x7B, (count, kind.nbytes), np.uint8)


@each
def test_what_a_type_says_of_itself(kind: BlockType, kept: Callable) -> None:
    names = ("number", "block", "nbytes", "group", "groups", "bits", "first_code", "together", "margin",
             "needs_importance", "uses_importance", "is_even", "ends", "bits_per_weight")  # fmt: skip
    kept({name: getattr(kind, name) for name in names} | {"unit": kind.unit.hex()})
    kept([kind.row_bytes(1536), [kind.padded(n) for n in (1, 256, 257)]])
    kept([" ".join((f.name, str(f.offset), str(f.size), f.role)) for f in kind.fields])
    kept([told(kind.numbers), *map(told, kind.unscaling), original_name(kind.name), kind.source[-30:], len(kind.rule)])


@each
def test_what_blocks_are_taken_apart_into(kind: BlockType, kept: Callable) -> None:
    found = kind.unpack(blocks(kind))
    parts = {"codes": found.codes, "numbers": found.numbers, "scales": found.scales, "minima": found.minima}
    kept({name: told(x) for name, x in (parts | found.stored | {"values": found.values}).items()})


@each
def test_rows_of_other_lengths_and_bytes_are_refused(kind: BlockType, kept: Callable) -> None:
    said = []
    for cols in (0, 1, kind.block - 1, kind.block + 1, 2 * kind.block):
        for rows in (blocks(kind, 2), blocks(kind, 2).reshape(1, -1), blocks(kind, 2).astype(np.int8)):
            for refuses in (lambda: check_rows(kind, rows, cols), lambda: unpack(kind.name, rows, cols)):  # noqa: B023
                try:
                    refuses()
                except QuantvizError as refused:
                    said.append(str(refused))
    kept([len(said), list(dict.fromkeys(said))])


def test_tables_of_grids(kept: Callable) -> None:
    for name in ("iq1_s", "iq2_s", "iq2_xs", "iq2_xxs", "iq3_s", "iq3_xxs"):
        grid = iq_grids.grid(name)
        kept([name, grid.group, grid.width, told(grid.words), told(grid.values), told(grid.levels)])
    kept([told(iq_grids.even_signs()), iq_grids.uneven_levels(), float(iq_grids.DELTA), told(from_zero(4)())])
    with pytest.raises(QuantvizError) as refused:
        block_type("q4_q")
    kept(str(refused.value))
