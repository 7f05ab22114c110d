"""The rotation is orthonormal, the same bits on both engines, and what H · (signs · x) / √n says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quantviz.errors import QuantvizError
from quantviz.kernels import rotation as reference
from quantviz.kernels.cpu.loops import rotation as compiled
from quantviz.schemes.hadamard import matrix, order, signs

from .inputs import INPUTS, SUBNORMAL

POWERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 32_768)
OTHERS = (4 * 3, 20, 24, 28, 36, 40, 56, 96, 384, 392, 768, 1536, 4864, 11_008, 13_824, 14_336)
SIZES = (*POWERS, *OTHERS)

# Every one of log2(m)·2 + k additions a weight, and the product, may be off by half a unit in the last place, 2^-24
# of the value; they mostly cancel, but as a bound they add up. There and back is twice that.
UNIT = 2.0**-24


def tolerance(n: int) -> float:
    """Relative to the norm of a row: the largest error that rounding explains, one way."""
    m, k = order(n)
    return (m / 4 + 4 + k + 2) * UNIT


def cpu(name: str) -> Callable[..., np.ndarray]:
    def run(x: np.ndarray, **options) -> np.ndarray:
        into = np.empty_like(x)
        getattr(compiled, name)(x, into, **options)
        return into

    return run


def torched(name: str) -> Callable[..., np.ndarray]:
    return lambda x, **options: getattr(reference, name)(torch.from_numpy(x), **options).numpy()


ENGINES = {
    "cpu": (cpu("rotate"), cpu("unrotate")),
    "reference": (torched("rotate"), torched("unrotate")),
}


def rows_of(n: int, rows: int | None = None) -> np.ndarray:
    """A few normal rows with an outlier in each, more of them where rows are short."""
    rows = rows or max(2, min(150, 20_000 // n))
    x = np.random.default_rng(n).standard_normal((rows, n), dtype=np.float32)
    x[np.arange(rows), np.arange(rows) * 7 % n] *= 50
    return x


def norms(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x.astype(np.float64), axis=1)


def hadamard(n: int) -> np.ndarray:
    """Hm ⊗ [[1, 1], [1, -1]] ⊗ [[1, 1], [1, -1]] ⊗ ..., written out, float64."""
    m, k = order(n)
    h = matrix(m).astype(np.float64)
    for _ in range(k):
        h = np.kron(h, [[1, 1], [1, -1]])
    return h


@pytest.mark.parametrize("n", SIZES)
def test_both_engines_give_the_same_bits(n: int) -> None:
    x = rows_of(n)
    for ours, theirs in zip(ENGINES["cpu"], ENGINES["reference"], strict=True):
        np.testing.assert_array_equal(ours(x).view(np.uint32), theirs(x).view(np.uint32))


@pytest.mark.parametrize("name", INPUTS)
def test_same_bits_whatever_the_weights(name: str) -> None:
    """Zeros of both signs and magnitudes forty orders apart, in 512 = 2^9 and 384 = 12 · 2^5 columns."""
    for x in (INPUTS[name], np.ascontiguousarray(INPUTS[name][:, :384]), SUBNORMAL):
        for ours, theirs in zip(ENGINES["cpu"], ENGINES["reference"], strict=True):
            np.testing.assert_array_equal(ours(x).view(np.uint32), theirs(x).view(np.uint32))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [n for n in SIZES if n <= 1536])
def test_it_is_the_product_with_the_matrix(n: int, engine: str) -> None:
    rotate, unrotate = ENGINES[engine]
    x, h = rows_of(n), hadamard(n)
    d = signs(n).astype(np.float64)
    atol = tolerance(n) * norms(x).max()
    np.testing.assert_allclose(rotate(x), (x * d) @ h.T / np.sqrt(n), rtol=0, atol=atol)
    np.testing.assert_allclose(unrotate(x), d * (x @ h / np.sqrt(n)), rtol=0, atol=atol)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", SIZES)
def test_norms_stay_and_the_way_back_is_exact_but_for_rounding(n: int, engine: str) -> None:
    rotate, unrotate = ENGINES[engine]
    x = rows_of(n)
    y = rotate(x)
    np.testing.assert_allclose(norms(y), norms(x), rtol=tolerance(n))
    distance = norms(unrotate(y).astype(np.float64) - x)
    assert (distance <= 2 * tolerance(n) * norms(x)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_outlier_is_spread_over_its_row(engine: str) -> None:
    x = np.zeros((1, 4096), np.float32)
    x[0, 1234] = 64
    y = ENGINES[engine][0](x)
    np.testing.assert_array_equal(np.abs(y), 1)


@given(n=st.sampled_from([16, 48, 80, 256]), rows=st.integers(1, 40), seed=st.integers(0, 2**64 - 1))
def test_rows_do_not_touch_each_other(n: int, rows: int, seed: int) -> None:
    """However many rows are taken at a time, each comes out as it does alone."""
    x = rows_of(n, 40)
    together = ENGINES["cpu"][0](x[:rows], seed=seed)
    alone = ENGINES["cpu"][0](x[rows - 1 : rows], seed=seed)
    np.testing.assert_array_equal(together[-1:], alone)
    np.testing.assert_array_equal(ENGINES["reference"][0](x[:rows], seed=seed), together)


@pytest.mark.parametrize("n", [64, 384, 20])
def test_in_place(n: int) -> None:
    x = rows_of(n)
    for name in ("rotate", "unrotate"):
        expected, own = cpu(name)(x), x.copy()
        getattr(compiled, name)(own, own)
        np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [7, 92, 29_568])
def test_impossible_sizes_are_refused(n: int, engine: str) -> None:
    for function in ENGINES[engine]:
        with pytest.raises(QuantvizError, match="rotate=hadamard"):
            function(np.zeros((1, n), np.float32))
