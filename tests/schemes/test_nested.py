"""Double quantization is bitsandbytes' own, bit for bit: the map, codes, second-level scales, restored scales."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz.schemes.nested import GROUP, STEPS, _step, _table, dynamic_map, nest, nested_bits

from ..kernels.peers import bitsandbytes

SIZES = (1, 2, 255, 256, 257, 1000, 4096, 70_001)  # the last so large that torch sums it in several threads
RNG = np.random.default_rng(7)
SHAPES = {
    "block maxima": lambda n: np.abs(RNG.standard_normal((n, 64))).max(axis=1) * 0.02,
    "heavy tails": lambda n: np.exp(RNG.normal(0, 3, n)),
    "one outlier": lambda n: np.where(np.arange(n) == n // 2, 100.0, RNG.uniform(0.9, 1.1, n)),
    "with zeros": lambda n: np.where(RNG.random(n) < 0.3, 0.0, RNG.random(n)),
    "constant": lambda n: np.full(n, 0.3),
    "zeros": np.zeros,
    "large": lambda n: RNG.random(n) * 1e30,
    "tiny": lambda n: RNG.random(n) * 1e-30,
    "subnormal": lambda n: RNG.random(n) * 1e-40,
}


def theirs(absmax: np.ndarray) -> tuple[np.ndarray, np.float32, np.ndarray, np.ndarray]:
    """codes, offset, second-level and restored scales by bitsandbytes' functions, as quantize_4bit calls them."""
    bnb, scales = bitsandbytes(), torch.from_numpy(absmax)
    offset = scales.mean()
    codes, state = bnb.quantize_blockwise(scales - offset, blocksize=GROUP)
    restored = bnb.dequantize_blockwise(codes, state) + offset
    return codes.numpy(), np.float32(offset.item()), state.absmax.numpy(), restored.numpy()


def assert_same(absmax: np.ndarray) -> None:
    ours = nest(absmax)
    codes, offset, absmax2, restored = theirs(absmax)
    assert ours.offset == offset
    np.testing.assert_array_equal(ours.absmax2, absmax2)
    np.testing.assert_array_equal(ours.codes, codes)
    np.testing.assert_array_equal(ours.restored.view(np.uint32), restored.view(np.uint32))


def test_the_map_is_theirs() -> None:
    np.testing.assert_array_equal(dynamic_map(), bitsandbytes().create_dynamic_map().numpy())
    assert len(set(dynamic_map().tolist())) == 256 and (np.diff(dynamic_map()) > 0).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", SHAPES)
def test_same_bits(name: str, size: int) -> None:
    assert_same(SHAPES[name](size).astype(np.float32))


@given(st.lists(st.floats(0, 2.0**100, width=32), min_size=1, max_size=600))
def test_same_bits_whatever_the_scales(scales: list[float]) -> None:
    assert_same(np.array(scales, np.float32))


def test_same_codes_at_every_step_of_the_table() -> None:
    """Both sides of each of the 65,536 steps, in groups that hold a 1; without the mean, so through the codes alone."""
    edges = ((np.arange(STEPS) + 0.5) / (STEPS - 1) * 2 - 1).astype(np.float32).clip(-1, 1)
    either_side = [np.nextafter(edges, np.float32(end)) for end in (-2, 2)]
    points = np.concatenate([edges, *either_side]).clip(-1, 1)
    codes, _ = bitsandbytes().quantize_blockwise(torch.from_numpy(np.append(points, np.float32(1))), blocksize=1 << 18)
    np.testing.assert_array_equal(_table()[_step(points)], codes[:-1].numpy())


@pytest.mark.parametrize("format, quant_type", [("nf4", "nf4"), ("bnb_fp4", "fp4")])
@pytest.mark.parametrize("block", [64, 128])
@pytest.mark.parametrize("shape", [(1, 128), (12, 512), (300, 384)])
def test_weights_through_nested_scales(shape: tuple[int, int], block: int, format: str, quant_type: str) -> None:
    bnb = bitsandbytes()
    w = np.random.default_rng(3).standard_t(3, shape).astype(np.float32)
    packed, state = bnb.quantize_4bit(
        torch.from_numpy(w), blocksize=block, quant_type=quant_type, compress_statistics=True
    )
    q = qv.quantize(w, f"{format}-b{block}")
    nested = nest(q.scales)
    np.testing.assert_array_equal(nested.codes.ravel(), state.absmax.numpy())
    np.testing.assert_array_equal(nested.absmax2, state.state2.absmax.numpy())
    assert nested.offset == state.offset.item()
    values = q.scheme.fmt.values[q.codes] * nested.restored.repeat(block, axis=1)
    np.testing.assert_array_equal(values, bnb.dequantize_4bit(packed, state).numpy())


def test_restored_scales_keep_their_shape_and_are_near() -> None:
    scales = np.random.default_rng(0).uniform(0.5, 1.5, (30, 50)).astype(np.float32)
    n = nest(scales)
    assert n.codes.shape == n.restored.shape == scales.shape
    # The widest parts of the map are 0.9 / 64 of a second-level scale, which here is at most about 0.5.
    assert np.abs(n.restored - scales).max() <= 0.9 / 128 * float(n.absmax2.max()) * 1.01


def test_a_group_of_equal_scales_comes_back_exactly() -> None:
    np.testing.assert_array_equal(nest(np.full(300, 0.25, np.float32)).restored, np.float32(0.25))


@pytest.mark.parametrize("scales, bits", [(1, 72), (256, 2112), (257, 2152)])
def test_bits(scales: int, bits: int) -> None:
    assert nested_bits(scales) == bits
    n = nest(np.ones(scales, np.float32))
    assert n.codes.nbytes * 8 + n.absmax2.nbytes * 8 + n.offset.nbytes * 8 == bits
