"""What a survey counts, beside the same in NumPy, every weight held against every level."""

from __future__ import annotations

import numpy as np
import pytest

from quantviz.checkpoints.decoded import Decoded
from quantviz.checkpoints.layer import Layer, Unpacked
from quantviz.published.survey import survey
from quantviz.tensors import as_stored
from tests.published.test_plain_kinds import BYTES, E2M1, FP8, Elements, W

FOUR = np.arange(16, dtype=np.float32)


def layer(levels: np.ndarray, parts: Unpacked, first_code: int) -> Decoded:
    made = Layer(W.shape, "made up", {}, lambda *_: None, levels, first_code)
    return Decoded(Elements(parts), "float32", W.shape, "w", layer=made)


@pytest.mark.parametrize("levels, first_code, zeros, minima, ordered", [
    (FOUR, 0, True, False, False), (FOUR, 0, True, False, True), (FOUR, 0, False, True, False),
    (BYTES, -128, False, False, False), (E2M1, 0, False, False, False), (FP8, 0, False, False, True),
    (np.array([-3, -1, 0.5, 2, 7], np.float32), 0, False, False, False),
])  # fmt: skip
def test_counts_are_those_of_every_weight_beside_every_level(levels, first_code, zeros, minima, ordered):
    rng = np.random.default_rng(len(levels))
    rows, cols = W.shape
    scales = (rng.random((rows, 8)) * 0.02 + 1e-3).astype(np.float32)
    scales[3, 2] = 0
    finite = np.flatnonzero(np.isfinite(levels))
    place = rng.choice(finite[:-1], W.shape)
    group = rng.permutation(np.repeat(np.arange(8), 32)) if ordered else np.repeat(np.arange(8), 32)
    parts = Unpacked(
        place + first_code, scales, rng.integers(0, 15, scales.shape).astype(np.float32) if zeros else None,
        rng.standard_normal(scales.shape).astype(np.float32) if minima else None, 32, group if ordered else None,
        numbers=levels[place],
    )  # fmt: skip
    found = survey(as_stored(W), layer(levels, parts, first_code), 1, ())
    scale, zero, least = (
        np.float64(0) if part is None else part.astype(np.float64)[:, group]
        for part in (scales, parts.zeros, parts.minima)
    )
    told = levels[finite].astype(np.float64)
    off = np.abs((levels[place] - zero) * scale + least - W)
    every = np.abs((told[:, None, None] - zero) * scale + least - W[None]).min(axis=0)
    clear = np.abs(off - every) > 1e-5 * (np.abs(W) + scale)
    assert found.count == W.size and found.used.tolist() == np.isin(np.arange(len(levels)), place).tolist()
    assert abs((~clear).sum() - found.nearest) < 3  # ties
    assert found.squared_error == pytest.approx(np.square(off).sum(), rel=1e-12)
    less = levels[place] - zero
    assert (found.least, found.most) == (less.min(), less.max())
