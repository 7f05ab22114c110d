"""Every reader against the library of its format: the same weights, read whole and in parts, and every bit counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from tests.checkpoints.conformance import as_the_library
from tests.checkpoints.golden import Case, files, load

CASES = [pytest.param(case, id=f"{file}-{case.name}") for file in files() for case in load(file)[2]]


@pytest.mark.parametrize("case", CASES)
def test_a_packed_layer_is_what_its_library_reads(tmp_path: Path, case: Case) -> None:
    model = qv.open_model(case.write(tmp_path))
    info = model.info(case.weight)
    found = model.load(case.weight)
    assert found.dtype == np.float32 and found.shape == info.shape == case.expected.shape
    assert as_the_library(case, found)
    assert info.nbytes == case.nbytes and info.bits_per_weight == 8 * case.nbytes / case.expected.size
    stored = model.open(case.weight)
    assert stored.bits_per_weight == info.bits_per_weight and stored.stored_as == info.dtype
    rows = found.reshape(-1, found.shape[-1])
    rng = np.random.default_rng(0)
    for first, last in np.sort(rng.integers(0, len(rows) + 1, (3, 2)), axis=1).tolist():
        if first < last:
            assert np.array_equal(model.load(case.weight, rows=(first, last)), rows[first:last])
            assert np.array_equal(stored.row_range(first, last).numpy(), rows[first:last])
            taken = stored.unpacked(first, last)
            assert np.array_equal(taken.values(), rows[first:last])
    for start, stop in np.sort(rng.integers(0, rows.size + 1, (3, 2)), axis=1).tolist():
        assert np.array_equal(stored.read(start, stop), rows.reshape(-1)[start:stop])
    weights = [other.name for other in model.tensors if other.holds_weights]
    assert weights == [case.weight] or set(weights) == {case.weight, case.weight.removesuffix("weight") + "bias"}
    levels = stored.layer.levels
    if levels is not None and taken.codes is not None:
        assert levels[taken.codes.astype(int) - stored.layer.first_code].shape == taken.codes.shape
