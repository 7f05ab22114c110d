"""The iq types: bytes and weights are ggml's own, grids are the gguf package's, and what its quirks ask for.

data/ggml_iq_rows.npz was made as golden.py says of the other files: `x` float32 [72, 256], twelve kinds of rows (sizes
from 1e-18 to 1e4, mostly zeros, ties, zeros of both signs, parts of next to nothing, one sign only, constants …);
`importance` float32 [256], one in seven 0 and a part all 0; bytes as there; and `extreme/TYPE/bytes` of those `/rows`
of ggml_extreme_rows.npz that ggml does not stop at: weights beyond 1e13 can overflow its sums, and its assertions fail.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

from quantviz.block_types import BLOCK_TYPES, iq_grids, unpack
from quantviz.errors import QuantvizError
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows
from quantviz.kernels.cpu.blocks.iq.iq4 import LEVELS, MIDPOINTS
from quantviz.kernels.cpu.blocks.iq.lattice import SHELLS, lattice

from .golden import ggml_name, golden, same_bits

IQ = ("iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs", "iq1_s", "iq1_m")
DEMANDING = ("iq2_xs", "iq2_xxs", "iq1_s", "iq1_m")
WAYS = [(n, w) for n in IQ for w in (False, True) if w or n not in DEMANDING]
BITS = dict(zip(IQ, (4.5, 4.25, 3.4375, 3.0625, 2.5625, 2.3125, 2.0625, 1.5625, 1.75), strict=True))


def normal(rows: int, cols: int = 512) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((rows, cols), dtype=np.float32)


def random_importance(cols: int = 512) -> np.ndarray:
    return np.random.default_rng(6).random(cols, dtype=np.float32)


@pytest.mark.parametrize("file", ["ggml_blocks.npz", "ggml_iq_rows.npz"])
@pytest.mark.parametrize(("name", "weighted"), WAYS)
def test_bytes_equal_ggmls(name: str, weighted: bool, file: str) -> None:
    g = golden(file)
    want = g[ggml_name(name) + "_imatrix" * weighted + "/bytes"]
    got = quantize_rows(name, g["x"], g["importance"] if weighted else None)
    assert np.flatnonzero((got != want).any(axis=1)).tolist() == []


@pytest.mark.parametrize(("name", "weighted"), WAYS)
def test_bytes_equal_ggmls_on_extreme_rows(name: str, weighted: bool) -> None:
    g, extreme = golden("ggml_iq_rows.npz"), golden("ggml_extreme_rows.npz")
    key = f"extreme/{ggml_name(name)}{'_imatrix' * weighted}"
    rows, want = g[key + "/rows"], g[key + "/bytes"]
    assert len(rows) > 200
    got = quantize_rows(name, extreme["x"], extreme["importance"] if weighted else None)[rows]
    assert rows[(got != want).any(axis=1)].tolist() == []


@pytest.mark.parametrize(("name", "weighted"), WAYS)
def test_weights_equal_ggmls_to_the_last_bit(name: str, weighted: bool) -> None:
    key = ggml_name(name) + "_imatrix" * weighted
    data, want = golden("ggml_blocks.npz")[key + "/bytes"], golden("ggml_blocks.npz")[key + "/dequantized"]
    assert np.array_equal(dequantize_rows(name, data, 1024).view(np.int32), want.view(np.int32))
    assert np.array_equal(unpack(name, data, 1024).values.reshape(want.shape).view(np.int32), want.view(np.int32))


@pytest.mark.parametrize("name", IQ)
def test_any_bytes_are_read_as_the_gguf_package_reads_them(name: str) -> None:
    kind, number = BLOCK_TYPES[name], GGMLQuantizationType[name.upper()]
    assert GGML_QUANT_SIZES[number] == (kind.block, kind.nbytes)
    data = np.random.default_rng(12).integers(0, 256, (300, kind.row_bytes(1024)), dtype=np.uint8)
    with np.errstate(all="ignore"):
        want = quants.dequantize(data, number)
    assert same_bits(dequantize_rows(name, data, 1024), want)
    with np.errstate(all="ignore"):
        assert same_bits(unpack(name, data, 1024).values.reshape(want.shape), want)


@pytest.mark.parametrize("name", IQ)
def test_a_type_describes_itself(name: str) -> None:
    kind = BLOCK_TYPES[name]
    ends = np.cumsum([part.size for part in kind.fields])
    assert [part.offset for part in kind.fields] == [0, *ends[:-1]] and ends[-1] == kind.nbytes
    assert kind.bits_per_weight == BITS[name]
    assert kind.needs_importance == (name in DEMANDING) and kind.uses_importance
    assert kind.rule.endswith(".") and all(part.meaning for part in kind.fields)


@pytest.mark.parametrize("name", IQ)
def test_codes_stand_for_numbers(name: str) -> None:
    u = unpack(name, quantize_rows(name, normal(3), random_importance()), 512)
    for code in np.unique(u.codes):
        assert len(np.unique(u.numbers[u.codes == code])) == 1
    assert u.codes.shape == u.numbers.shape and u.codes.dtype == np.int32 and u.codes.min() >= 0
    assert all(len(part) == len(u.codes) for part in u.stored.values())


@pytest.mark.parametrize("name", DEMANDING)
def test_importance_is_demanded(name: str) -> None:
    with pytest.raises(QuantvizError, match=f"{name} cannot be quantized without importance"):
        quantize_rows(name, normal(1))


@pytest.mark.parametrize(("name", "weighted"), WAYS)
def test_a_row_does_not_care_for_its_neighbours(name: str, weighted: bool) -> None:
    x, importance = normal(5, 768), random_importance(768) if weighted else None
    together = quantize_rows(name, x, importance)
    assert np.array_equal(together, np.concatenate([quantize_rows(name, row[None], importance) for row in x]))


@pytest.mark.parametrize("name", IQ)
def test_zeros_stay_zeros(name: str) -> None:
    data = quantize_rows(name, np.zeros((2, 512), np.float32), random_importance())
    assert not dequantize_rows(name, data, 512).any()


def test_three_threads_at_once_give_the_same_bytes() -> None:
    x, importance, got = normal(4), random_importance(), []
    threads = [threading.Thread(target=lambda: got.append(quantize_rows("iq2_s", x, importance))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 3 and all(np.array_equal(g, quantize_rows("iq2_s", x, importance)) for g in got)


def test_more_bits_err_less() -> None:
    x, importance = normal(16, 1024), np.ones(1024, np.float32)
    errors = [
        np.square(dequantize_rows(n, quantize_rows(n, x, importance), 1024) - x).sum()
        for n in sorted(IQ, key=BITS.__getitem__)
    ]
    assert errors == sorted(errors, reverse=True)


def test_midpoints_decide_as_ggmls_two_differences_do() -> None:
    """ggml compares x - lower with upper - x; the kernel compares x with the midpoint. Near it, every float agrees."""
    for lower, upper, middle in zip(LEVELS[:-1], LEVELS[1:], MIDPOINTS, strict=True):
        steps = np.arange(-2000, 2001, dtype=np.float32)
        x = middle + steps * np.spacing(np.float32(abs(middle)) * np.float32(0.5))
        assert x.dtype == np.float32
        assert np.array_equal(x >= middle, ~(x - lower < upper - x))


@pytest.mark.parametrize("name", SHELLS)
def test_neighbours_are_the_nearest_points_in_order(name: str) -> None:
    """Against a sort of all distances, for some words off the grid."""
    g, (where, near) = iq_grids.grid(name), lattice(name)
    assert np.array_equal(where[g.words], np.arange(len(g.words)))
    some = np.random.default_rng(3).integers(0, g.levels.max() + 1, (400, g.group))
    for levels in some:
        word = int((levels << g.width * np.arange(g.group)).sum())
        if where[word] >= 0:
            assert np.array_equal(g.levels[where[word]], levels)
            continue
        distance = np.square(g.levels - levels).sum(axis=1)
        reach = np.unique(distance)[SHELLS[name] - 1]
        order = np.lexsort((np.arange(len(distance)), distance))
        want = g.words[order[: int((distance <= reach).sum())]]
        begins = -1 - where[word]
        found = near[begins + 1 : begins + 1 + near[begins]]
        assert np.array_equal(found[: len(want)], want) and (found[len(want) :] == want[0]).all()


def test_iq3_s_writes_on_in_the_place_of_what_it_skips() -> None:
    """ggml's pointer stays where it is at a part of zeros, so that later weights are read where they do not belong."""
    x = normal(1, 256)
    x[0, :32] = 0
    data = quantize_rows("iq3_s", x)
    moved = quantize_rows("iq3_s", np.roll(x, -32, axis=1))
    assert np.array_equal(data[0, 2 : 2 + 56], moved[0, 2 : 2 + 56]) and not data[0, 58:66].any()
    assert data[0, 66] == 0 and np.array_equal(data[0, 67:74], moved[0, 66:73])
