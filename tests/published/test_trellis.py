"""EXL3 beside its original: plain, worse by LDLQ, and what cannot be told; each verdict with its counter-example."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.checkpoints.readers.exl3 import Trellis
from quantviz.kernels.cpu.loops.trellis import nearest_states
from quantviz.published import trellis as module
from quantviz.published.beside import against_dict, in_short, sentence
from quantviz.published.plain import ALIKE, BETTER, EQUAL, WORSE
from quantviz.published.searched import spread
from tests.checkpoints.golden import load
from tests.published.encoding import (
    NAME,
    compared,
    exl3,
    factors,
    golden_compared,
    searched_in_16_bits,
    tiles_of,
    transformed,
)
from tests.published.packing import model
from tests.sources.builders import weights

GOLDEN = [case for file in ("exl3", "exl3_more") for case in load(file)[2]]


def encoded(t: np.ndarray, trellis: Trellis) -> np.ndarray:
    """The best states of [in / 16, out / 16, 256]."""
    numbers = trellis.numbers.astype(np.float32)
    flat = [nearest_states(x.astype(np.float32), numbers, trellis.bits) for x in t.reshape(-1, 256)]
    return np.reshape(flat, t.shape)


@pytest.mark.parametrize(
    "bits, codebook, shape", [(3, "", (128, 256)), (2, "mcg", (128, 128)), (4, "mul1", (256, 128))]
)
def test_the_best_way_through_the_trellis_is_plain(tmp_path, bits, codebook, shape) -> None:
    w, trellis = weights(*shape) * np.float32(0.02), Trellis(bits, codebook)
    suh, svh = factors(w)
    seen = tiles_of(transformed(w, suh, svh))
    states = encoded(seen, trellis)
    a = compared(tmp_path, w, exl3(NAME, states, suh, svh, trellis))
    p, tiles = a.plain, w.size // 256
    assert (p.verdict, p.units, p.of) == (EQUAL, min(tiles, 96), tiles) and p.nearest == p.count == 256 * p.units
    if not p.sampled:
        assert p.mse == pytest.approx(np.square(trellis.numbers[states] - seen).mean(), rel=1e-5)
    # of one size, inputs and outputs leave the error of weights that of what the quantizer saw
    assert a.evaluation.metrics["relative_l2_error"] ** 2 == pytest.approx(p.mse / np.square(seen).mean(), rel=0.1)
    assert f"This is plain quantization to EXL3 {bits} bits" in sentence(
        a
    ) and "Of the file's codes there, all are those that the search finds" in sentence(a)
    assert in_short(a) == "plain quantization" + " (sampled)" * p.sampled
    found = against_dict(a)["plain"]
    assert (found["verdict"], found["unit"], found["units"], found["of"]) == (
        EQUAL, "tiles of 16 × 16 weights", p.units, tiles,
    )  # fmt: skip


def test_passing_errors_on_is_worse_weight_by_weight(tmp_path) -> None:
    w, trellis = weights(128, 128) * np.float32(0.02), Trellis(3, "")
    suh, svh = factors(w)
    seen = tiles_of(transformed(w, suh, svh))
    states = np.empty(seen.shape, np.uint16)
    passed = np.zeros(seen.shape[1:])
    for i in range(len(seen)):  # to the next tile of the inputs, a third of it
        states[i] = encoded(seen[i] + passed, trellis)
        passed = 0.3 * (seen[i] - trellis.numbers[states[i]])
    a = compared(tmp_path, w, exl3(NAME, states, suh, svh, trellis))
    assert a.plain.verdict == WORSE and 1.03 * a.plain.plain_mse < a.plain.mse
    assert 1 / 8 < a.plain.nearest / a.plain.count < 1 / 2, "nothing was passed on to the first tiles"
    assert "Weight by weight it is worse than plain quantization to EXL3 3 bits" in sentence(a)
    assert "(LDLQ)" in sentence(a) and in_short(a) == "worse"


def test_some_other_codes_with_as_small_an_error_are_plain_and_said(tmp_path) -> None:
    w, trellis = weights(128, 128) * np.float32(0.02), Trellis(3, "")
    suh, svh = factors(w)
    seen = tiles_of(transformed(w, suh, svh))
    states = encoded(seen, trellis)
    states[0] = encoded(seen[0] + 0.01, trellis)
    a = compared(tmp_path, w, exl3(NAME, states, suh, svh, trellis))
    assert a.plain.verdict == EQUAL and 0.8 < a.plain.nearest / a.plain.count < 1
    assert "numbers of 16 bits" in sentence(a) and "LDLQ" not in sentence(a)


@pytest.mark.parametrize("bits", [3, 6])
def test_exllamav3s_own_search_in_16_bits_is_plain(tmp_path, monkeypatch, bits) -> None:
    monkeypatch.setattr(module, "TILES", 4)
    w, trellis = weights(128, 128) * np.float32(0.02), Trellis(bits, "mcg")
    suh, svh = factors(w)
    seen = tiles_of(transformed(w, suh, svh))
    states = encoded(seen, trellis)
    for row, columns in spread(8, 8, 4, 4):
        for i in columns:
            states[i, row] = searched_in_16_bits(seen[i, row], trellis)
    p = compared(tmp_path, w, exl3(NAME, states, suh, svh, trellis)).plain
    assert (p.verdict, p.units) == (EQUAL, 4) and p.mse == pytest.approx(p.plain_mse, rel=0.01)


@pytest.mark.parametrize("factor, verdict", [(1.005, ALIKE), (0.9, BETTER)])
def test_a_file_may_be_alike_or_better_than_the_search(tmp_path, monkeypatch, factor, verdict) -> None:
    monkeypatch.setattr(module, "_tiles", lambda x, y, row, columns: np.array([[factor, 1.0, 3.0]] * len(columns)))
    w, trellis = weights(128, 128) * np.float32(0.02), Trellis(1, "")
    suh, svh = factors(w)
    a = compared(tmp_path, w, exl3(NAME, encoded(tiles_of(transformed(w, suh, svh)), trellis), suh, svh, trellis))
    said = {ALIKE: "It loses as much as plain quantization", BETTER: "It is better than plain quantization"}[verdict]
    assert a.plain.verdict == verdict and said in sentence(a) and "neither search tries everything" in sentence(a)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_no_golden_file_is_nearer_than_the_search(tmp_path, case, monkeypatch) -> None:
    """Beside the very weights of the file, its own states are found; beside others, nothing better is in the file."""
    monkeypatch.setattr(module, "TILES", 8)
    for own, a in golden_compared(case, tmp_path):
        p, size = a.plain, a.evaluation.shape[0] * a.evaluation.shape[1]
        assert (p.units, p.of) == (8, size // 256) and p.plain_mse <= p.mse * 1.001
        assert not own or (p.verdict, p.nearest) == (EQUAL, p.count)


def test_an_output_of_zeros_is_left_out_and_a_factor_of_zero_is_refused(tmp_path) -> None:
    w, trellis = weights(128, 128) * np.float32(0.02), Trellis(2, "")
    suh, svh = factors(w)
    w[5], svh[5] = 0, 1
    states = encoded(tiles_of(transformed(w, suh, svh)), trellis)
    svh[5] = 0
    assert compared(tmp_path / "zero", w, exl3(NAME, states, suh, svh, trellis)).plain.verdict == EQUAL
    w[5, 7] = 1e-3
    a = compared(tmp_path / "other", w, exl3(NAME, states, suh, svh, trellis))
    assert a.plain is None and "divided by the suh and svh of EXL3 2 bits, is not finite" in sentence(a)


def test_part_of_a_transform_is_refused(tmp_path) -> None:
    w, trellis = weights(128, 128), Trellis(1, "")
    suh, svh = factors(w)
    states = np.zeros((8, 8, 256), np.uint16)
    y = model(tmp_path, exl3(NAME, states, suh, svh, trellis)).open(NAME, (0, 100))
    found, why = module.beside_trellis(y, y)
    assert found is None and "128 rows of EXL3 1 bit are transformed together" in why
