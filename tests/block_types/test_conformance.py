"""The table of conformance that the page shows is true, and up to date."""

from __future__ import annotations

from quantviz.block_types import BLOCK_TYPES
from quantviz.block_types.conformance import conformance, conformance_rows

from .conformance import GGML, checks


def test_the_table_is_what_comparing_gives() -> None:
    """Where it does not: python -m tests.block_types.conformance, after a look at what changed."""
    assert conformance() == tuple(checks())


def test_every_row_of_every_type_is_equal() -> None:
    assert all(c.holds and c.rows for c in conformance())
    assert {row["verdict"] for row in conformance_rows()} == {"equal"}


def test_every_type_is_compared_with_ggml_in_every_way_it_has() -> None:
    for kind in BLOCK_TYPES.values():
        done = {c.what for c in conformance() if c.type == kind.name and c.source == GGML}
        want = {"weights"} | ({"bytes"} if not kind.needs_importance else set())
        assert done == want | ({"bytes with importance"} if kind.uses_importance else set())
