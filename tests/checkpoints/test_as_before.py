"""How every golden layer is read, part by part: as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
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


@pytest.mark.parametrize("file", files())
def test_what_travels_for_some_rows_as_before(file: str, kept: Callable) -> None:
    for case in kinds(file, of_bits=False):
        model = opened(case)
        info, travelled = model.info(case.weight), []
        for rows in (None, (0, 1), (info.rows // 2 - 1, info.rows // 2 + 1), (info.rows - 1, info.rows)):
            done: list[tuple[int, int]] = []
            stored = model.open(case.weight, rows, lambda *now: done.append(now))  # noqa: B023
            travelled.append([done, stored.rows, stored.shape, stored.input_axes, stored.nbytes, stored.first_row])
            assert sorted(done) == done
        kept(travelled)


@pytest.mark.parametrize("file", files())
def test_any_rows_and_weights_are_those_of_the_whole(file: str) -> None:
    for case in kinds(file, of_bits=False):
        model = opened(case)
        stored = model.open(case.weight)
        rows = stored.numpy().reshape(stored.rows, stored.cols)
        for first, last in (
            (0, 1),
            (1, 3),
            (stored.rows // 2 - 1, stored.rows // 2 + 1),
            (stored.rows - 2, stored.rows),
        ):
            part = model.open(case.weight, (first, last))
            assert np.array_equal(part.numpy(), rows[first:last])
            assert np.array_equal(part.read(1, stored.cols + 1), rows[first:last].reshape(-1)[1 : stored.cols + 1])
            assert np.array_equal(stored.row_range(first, last).read(), rows[first:last].reshape(-1))
