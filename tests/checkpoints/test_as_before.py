"""How every golden layer is read, part by part: as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.checkpoints.golden import Case, files, load
from tests.checkpoints.in_memory import opened, seen


def kinds(file: str, of_bits: bool) -> Iterator[Case]:
    """The first of each kind of layer in a file; of_bits: whether other bits are another kind."""
    before = set()
    for case in load(file)[2]:
        stored = opened(case).open(case.weight)
        bits = stored.stored_as.split()[1] if of_bits else "config.json" in case.config
        kind = tuple(f.part for f in stored.layer.fields), tuple(stored.layer.parts), bits
        if kind not in before:
            before.add(kind)
            yield case


@pytest.mark.parametrize("file", files())
def test_a_layer_is_read_part_by_part_as_before(file: str, kept: Callable) -> None:
    kept({case.name: seen(opened(case).open(case.weight)) for case in kinds(file, of_bits=True)})
