"""Which places of a tensor are searched, and what a search finds there: as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantviz.published import searched, vectors
from tests.checkpoints.in_memory import told
from tests.published.encoding import NAME, aqlm, compared


@pytest.mark.parametrize("rows, cols", [(1, 1), (4, 100), (16, 16), (100, 3), (7, 1000)])
def test_places(rows: int, cols: int, kept: Callable) -> None:
    for count, lines in ((1, 1), (6, 2), (6, 5), (96, 96), (400, 7), (1 << 20, 3)):
        found = searched.spread(rows, cols, count, lines)
        kept([[row for row, _ in found][:12], told(np.concatenate([columns for _, columns in found]))])


def test_numbers_that_can_be_squared() -> None:
    for most, can in ((0, True), (9.9e14, True), (1e15, False), (-1e15, False), (np.nan, False), (np.inf, False)):
        assert searched.can_be_squared(np.array([1, most])) == can


@pytest.mark.parametrize("count, size", [(1, 8), (2, 4), (3, 4)])
def test_the_nearest_sums(count: int, size: int, kept: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(count)
    books, x = rng.standard_normal((count, size, 6)).astype(np.float32), rng.standard_normal((20, 6)) * 1.5
    codes = rng.integers(0, size, (20, count))
    for at_once in (1 << 22, 1, 3 * size):
        monkeypatch.setattr(vectors, "_AT_ONCE", at_once)
        done: list[tuple[int, int]] = []
        found = vectors.nearest(x, books, codes, lambda *now: done.append(now))  # noqa: B023
        kept([told(found), done, told(vectors.sums(books, found))])
    assert np.array_equal(vectors.nearest(x, books, found), found)


@pytest.mark.parametrize("products", [1, 3000, 1 << 32])
def test_a_sample_of_groups(products: int, tmp_path: Path, kept: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    books = rng.standard_normal((2, 8, 2, 4)).astype(np.float16)
    codes, scales = rng.integers(0, 8, (12, 8, 2)), rng.random(12).astype(np.float16)
    made = sum(books[n].astype(np.float32)[codes[:, :, n]] for n in range(2)) * scales[:, None, None, None]
    w = made.astype(np.float32).swapaxes(1, 2).reshape(24, 32) + rng.standard_normal((24, 32)).astype(np.float32) / 2
    scales[3] = 0
    monkeypatch.setattr(vectors, "PRODUCTS", products)
    monkeypatch.setattr(vectors, "LINES", 5)
    p = compared(tmp_path, w, aqlm(NAME, codes, books, scales)).plain
    kept([p.verdict, p.mse, p.plain_mse, p.nearest, p.count, p.units, p.of, searched.searched_sentence(p, "AQLM")])
