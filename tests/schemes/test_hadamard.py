"""Paley's matrices are Hadamard's, sizes split as they should, and signs are the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.schemes.hadamard import MAX_ORDER, matrix, order, scale, signs

# Every order up to 512 that Paley's two constructions reach with a prime power; 4 and 8 are also Sylvester's.
ORDERS = (
    1, 4, 8, 12, 20, 24, 28, 32, 36, 44, 48, 52, 60, 68, 72, 76, 80, 84, 100, 104, 108, 124, 128, 132, 140, 148, 152,
    164, 168, 180, 192, 196, 200, 204, 212, 220, 224, 228, 240, 244, 252, 264, 272, 276, 284, 300, 308, 312, 316, 332,
    340, 344, 348, 360, 364, 368, 380, 384, 388, 396, 420, 432, 440, 444, 460, 464, 468, 480, 484, 488, 492, 500, 504,
)  # fmt: skip
# The length of rows of real layers, and how it splits.
SPLITS = {
    1: (1, 0), 2: (1, 1), 384: (12, 5), 768: (12, 6), 896: (28, 5), 1536: (12, 7), 4096: (1, 12), 4864: (76, 6),
    5120: (20, 8), 8960: (140, 6), 11008: (344, 5), 13824: (108, 7), 14336: (28, 9), 18944: (148, 7), 53248: (52, 10),
}  # fmt: skip


@pytest.mark.parametrize("m", ORDERS)
def test_rows_are_orthogonal(m: int) -> None:
    h = matrix(m).astype(np.int64)
    assert h.shape == (m, m) and (np.abs(h) == 1).all()
    np.testing.assert_array_equal(h @ h.T, m * np.eye(m, dtype=np.int64))


def test_no_other_order_is_offered() -> None:
    for m in set(range(1, MAX_ORDER + 1)) - set(ORDERS):
        with pytest.raises(QuantvizError, match=f"order {m};"):
            matrix(m)


@pytest.mark.parametrize("n", SPLITS)
def test_sizes_split_with_the_smallest_matrix(n: int) -> None:
    m, k = order(n)
    assert (m, k) == SPLITS[n]
    assert m * 2**k == n
    assert m == 1 or not any(n >> j in ORDERS for j in range(k + 1, n.bit_length()) if n % 2**j == 0)


@pytest.mark.parametrize(
    "n, reason",
    [
        (0, "at least 1"),
        (3, "multiple of 4"),
        (7, "multiple of 4"),
        (1_000_003, "multiple of 4"),
        (92, "order 92;"),
        (184, "order 92 or 184;"),
        (29_568, "order 924 or more"),
    ],
)
def test_impossible_sizes_are_refused_with_the_reason(n: int, reason: str) -> None:
    with pytest.raises(QuantvizError, match=reason) as caught:
        order(n)
    assert "rotate=hadamard" in str(caught.value)


def test_signs_are_the_same_everywhere() -> None:
    """The first 32 of seed 0: if they change, so does every rotated tensor."""
    assert np.packbits(signs(32) > 0).tobytes().hex() == "5ca2e415"


def test_signs_depend_on_their_position_and_seed_alone() -> None:
    np.testing.assert_array_equal(signs(5000, 3)[:100], signs(100, 3))
    assert (signs(5000, 3) != signs(5000, 4)).any()
    assert set(signs(5000).tolist()) == {-1.0, 1.0} and abs(signs(5000).mean()) < 0.06  # 4σ of a fair coin


def test_signs_are_not_those_of_a_random_tensor() -> None:
    """A tensor and its rotation may have the same seed; equal signs would gather all weights of a row in one."""
    import quantviz as qv

    w = qv.open_model("random:normal?rows=1&cols=4096&seed=0").load("weight")
    assert abs((np.sign(np.ravel(w)) * signs(4096)).mean()) < 0.07


def test_results_are_shared_and_so_read_only() -> None:
    for array in (signs(8), matrix(12)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_scale_is_the_nearest_float32() -> None:
    assert scale(4096) == 1 / 64 and scale(2) == np.float32(0.70710678118)
