"""AQLM beside its original: nearest vectors or not, beside every choice there is; and what cannot be told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quantviz.published import vectors as module
from quantviz.published.beside import against_dict, in_short, sentence
from quantviz.published.plain import ALIKE, EQUAL, WORSE
from tests.checkpoints.golden import load
from tests.published.encoding import NAME, aqlm, compared, golden_compared
from tests.published.packing import model
from tests.sources.builders import weights


def made(count: int, vectors: int, height: int = 1, width: int = 8):
    """(weights, codebooks, scales, the targets of each group, the sums of every choice of codes and that choice)"""
    rng = np.random.default_rng(count)
    books = rng.standard_normal((count, vectors, height, width)).astype(np.float16)
    w = weights(24, 64) * np.float32(0.02)
    scales = (0.02 / np.sqrt(count) * (1 + rng.random(24 // height))).astype(np.float16)
    groups = w.reshape(24 // height, height, -1, width).swapaxes(1, 2).reshape(24 // height, -1, height * width)
    choices = np.array(list(itertools.product(range(vectors), repeat=count)))
    sums = sum(books[n].reshape(vectors, -1).astype(np.float64)[choices[:, n]] for n in range(count))
    return w, books, scales, groups / scales.astype(np.float64)[:, None, None], (choices, sums)


def best(targets: np.ndarray, every: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    choices, sums = every
    return choices[np.square(targets[:, :, None] - sums).sum(axis=3).argmin(axis=2)]


@pytest.mark.parametrize("count, vectors, height, width", [(1, 64, 1, 8), (2, 16, 1, 8), (2, 16, 4, 4), (3, 8, 1, 16)])
def test_the_nearest_sums_are_plain(tmp_path, count, vectors, height, width) -> None:
    w, books, scales, targets, every = made(count, vectors, height, width)
    a = compared(tmp_path, w, aqlm(NAME, best(targets, every), books, scales))
    groups = w.size // height // width
    p = a.plain
    assert (p.verdict, p.nearest, p.count, p.units, p.of) == (EQUAL, count * groups, count * groups, groups, groups)
    assert p.mse == p.plain_mse == pytest.approx(a.evaluation.metrics["mse"], rel=1e-5)
    assert "This is plain quantization to AQLM" in sentence(a) and in_short(a) == "plain quantization"


def test_one_codebook_searched_gives_the_nearest_of_all(tmp_path) -> None:
    w, books, scales, targets, every = made(1, 64)
    codes = best(targets, every)
    moved = codes.copy()
    moved[:, ::8] ^= 1
    a = compared(tmp_path, w, aqlm(NAME, moved, books, scales))
    plain = compared(tmp_path / "plain", w, aqlm(NAME, codes, books, scales))
    assert (a.plain.verdict, a.plain.nearest, a.plain.count) == (WORSE, 0.875 * codes.size, codes.size)
    assert a.plain.plain_mse == pytest.approx(plain.plain.mse, rel=1e-9) and a.plain.mse > a.plain.plain_mse
    assert a.plain.mse == pytest.approx(a.evaluation.metrics["mse"], rel=1e-5)
    said = sentence(a)
    assert "Weight by weight it is worse than plain quantization to AQLM 1x6 g8" in said
    assert (
        "Of the file's codes there, 87.5% are" in said
        and "for a smaller error of the layer's output" in said
        and in_short(a) == "worse"
    )
    found = against_dict(a)["plain"]
    assert (found["unit"], found["units"], found["of"]) == ("groups of weights", 192, 192)


def test_a_few_others_lose_as_much(tmp_path) -> None:
    w, books, scales, targets, every = made(1, 64)
    codes = best(targets, every)
    second = np.square(targets[:, :, None] - every[1]).sum(axis=3).argsort(axis=2)[:, :, 1:2]
    codes[:2, 0] = second[:2, 0]
    a = compared(tmp_path, w, aqlm(NAME, codes, books, scales))
    assert a.plain.verdict == ALIKE and a.plain.nearest == a.plain.count - 2
    assert "It loses as much as plain quantization" in sentence(a) and "sample" not in sentence(a)


def test_several_codebooks_never_grow_an_error_and_end_where_no_change_helps() -> None:
    rng = np.random.default_rng(0)
    books = rng.standard_normal((3, 16, 8)).astype(np.float32)
    x, codes = rng.standard_normal((200, 8)) * 1.7, rng.integers(0, 16, (200, 3))
    found = module.nearest(x, books, codes)
    before, after = (np.square(x - module.sums(books, each)).sum(axis=1) for each in (codes, found))
    assert (after <= before).all() and after.sum() < 0.7 * before.sum()
    for n in range(3):
        for vector in range(16):
            changed = found.copy()
            changed[:, n] = vector
            assert (np.square(x - module.sums(books, changed)).sum(axis=1) >= after * (1 - 1e-5)).all()


def test_many_groups_are_sampled_and_said(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "PRODUCTS", 64 * 8 * 40)
    monkeypatch.setattr(module, "LINES", 10)
    w, books, scales, targets, every = made(1, 64)
    a = compared(tmp_path, w, aqlm(NAME, best(targets, every), books, scales))
    assert (a.plain.verdict, a.plain.units, a.plain.of) == (EQUAL, 40, 192)
    assert (
        "On a sample, 40 of its 192 groups of weights" in sentence(a) and in_short(a) == "plain quantization (sampled)"
    )


@pytest.mark.parametrize("case", load("aqlm")[2], ids=lambda case: case.name)
def test_golden_files_beside_their_own_weights_and_beside_others(tmp_path, case) -> None:
    for own, a in golden_compared(case, tmp_path):
        p = a.plain
        assert p.plain_mse <= p.mse and p.verdict == (EQUAL if p.nearest == p.count else WORSE)
        assert not own or p.nearest == p.count


def test_scales_of_zero_leave_any_code_the_nearest_and_tiny_ones_are_refused(tmp_path) -> None:
    w, books, scales, targets, every = made(2, 16)
    codes = best(targets, every)
    scales[3], codes[3] = 0, 7
    assert compared(tmp_path / "zero", w, aqlm(NAME, codes, books, scales)).plain.verdict == EQUAL
    w, scales = w * np.float32(1e12), scales.copy()
    scales[3] = 6e-8
    original, file = model(tmp_path / "a", {NAME: w}), model(tmp_path / "b", aqlm(NAME, codes, books, scales))
    found, why = module.beside_vectors(original.open(NAME), file.open(NAME))
    assert found is None and "divided by the scales of AQLM 2x4 g8, is not finite" in why


def test_part_of_what_shares_codes_is_refused(tmp_path) -> None:
    w, books, scales, targets, every = made(2, 16, 4, 4)
    file = model(tmp_path, aqlm(NAME, best(targets, every), books, scales))
    found, why = module.beside_vectors(None, file.open(NAME, (2, 22)))
    assert found is None and "4 rows of AQLM 2x4 g16 share their codes" in why
