"""What is counted together comes apart again: both bins of an error, and codes in pairs."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from quantviz.kernels.bins import LOG_BIN_SHIFT, LOG_BINS, Bins
from quantviz.kernels.cpu.loops import counts
from quantviz.kernels.cpu.loops.tables import Tables, edges_of

f4 = np.float32
LARGEST = np.finfo(f4).max


@numba.njit
def count(x, y, value_bins, error_bins, index, values, cells):
    return counts.count(x, y, len(x), value_bins, error_bins, index, values, cells)


@numba.njit
def tally_codes(index, table):
    counts.tally_codes(index, len(index), table)


def errors_near(bins: Bins) -> np.ndarray:
    """Errors at every edge of a bin and beside it, of every magnitude, both zeros, and beyond both ends."""
    rng = np.random.default_rng(3)
    edges = (float(bins.lo) + np.arange(bins.count + 1) / float(bins.inverse_width)).astype(f4)
    edges = np.concatenate([edges, np.nextafter(edges, f4(np.inf)), np.nextafter(edges, f4(-np.inf))])
    starts = (np.arange(0, LOG_BINS - (1 << (23 - LOG_BIN_SHIFT)), 3, dtype=np.int32) << LOG_BIN_SHIFT).view(f4)
    normal = (rng.standard_normal(5001) * (float(bins.hi) - float(bins.lo)) / 6).astype(f4)
    return np.concatenate([edges, starts, -starts, np.nextafter(starts, f4(0)), normal, f4([0, -0.0, LARGEST])])


@pytest.mark.parametrize(
    "bins",
    [Bins(f4(-1), f4(1), 512), Bins(f4(-1e-30), f4(1e-30), 512), Bins(f4(-1e38), f4(1e38), 512),
     Bins(f4(0.25), f4(0.5), 7), Bins(f4(-3), f4(-1), 1), Bins(f4(-2), f4(11), 3000)],
    ids=str,
)  # fmt: skip
def test_bins_of_errors_come_apart(bins: Bins) -> None:
    error = errors_near(bins)
    x, table = np.zeros_like(error), Tables.of((bins, bins), 0)
    zeroed, least = count(x, error, *edges_of((bins, bins)), np.empty(8192, np.uint32), table.values, table.cells)
    values, errors, logs, _ = Tables.added([table], (bins, bins), 0)
    with np.errstate(over="ignore"):
        position = np.floor((error - bins.lo) * bins.inverse_width)
    expected = np.bincount(np.clip(position, -1, bins.count).astype(int) + 1, minlength=bins.count + 2)
    assert zeroed == 0  # a weight of zero cannot become one
    assert least == np.abs(error).min()
    assert np.array_equal(errors, expected)
    assert np.array_equal(values, expected)
    assert np.array_equal(logs, np.bincount(np.abs(error).view(np.int32) >> LOG_BIN_SHIFT, minlength=LOG_BINS))


@pytest.mark.parametrize("codes", [2, 3, 15, 16, 17, 256])
@pytest.mark.parametrize("weights", [1, 2, 31, 4096])
def test_codes_counted_in_pairs_are_all_counted(codes: int, weights: int) -> None:
    bins, index = Bins(f4(-1), f4(1), 8), np.random.default_rng(codes).integers(0, codes, weights).astype(np.uint32)
    table = Tables.of((bins, bins), codes)
    tally_codes(index.copy(), table.codes)
    assert np.array_equal(Tables.added([table], (bins, bins), codes)[-1], np.bincount(index, minlength=codes))
