"""Packing for the GPU's linear kernels: the layouts, the bits, the bytes, and what is refused. Runs on any machine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantviz.errors import QuantvizError
from quantviz.kernels.cuda.linear.layouts import LAYOUTS, flush_steps, layout_of
from quantviz.kernels.cuda.linear.packing import PackedWeights, pack, pack_quantized, refusal
from quantviz.schemes import Scheme, catalogue

from .inputs import COLS, EVERY_CODE, KEYS, every_code, quantized


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.kind}{layout.bits}")
def test_a_layout_uses_every_bit_once(layout) -> None:
    places = [place for pair in layout.places for bits in pair for place in bits]
    assert sorted(places) == [(plane, bit) for plane in range(layout.planes) for bit in range(32)]
    assert layout.run * layout.bits == layout.planes * 128


def unpacked(p: PackedWeights) -> np.ndarray:
    """The codes back from the words, bit by bit as the layout says, without the offset of signed ones: [rows, cols]."""
    rows, cols = p.shape
    words = p.words.numpy().view(np.uint32).reshape(rows, p.layout.planes, -1, 4)
    codes = np.zeros((rows, words.shape[2] * p.layout.run), np.int64)
    for k in range(p.layout.run):
        step, column, half = k // 8, k % 8 // 2, k % 2
        for j, (plane, bit) in enumerate(p.layout.places[step][half]):
            codes[:, k :: p.layout.run] |= (words[:, plane, :, column] >> np.uint32(bit) & 1).astype(np.int64) << j
    return codes[:, :cols]


@pytest.mark.parametrize("key", EVERY_CODE)
def test_words_hold_the_codes(key: str) -> None:
    q = every_code(key, 384)
    p = pack_quantized(q, "cpu")
    np.testing.assert_array_equal(unpacked(p) - p.zero, q.codes)


@pytest.mark.parametrize("key", KEYS)
def test_scales_and_zero_points_are_the_schemes_own(key: str) -> None:
    q = quantized(key)
    p = pack_quantized(q, "cpu")
    stored = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32, "e4m3": torch.float8_e4m3fn,
              "e8m0": torch.float8_e8m0fnu}[p.scale_type]  # fmt: skip
    grid = q.scales.shape
    np.testing.assert_array_equal(p.scales.view(stored).float().numpy()[:, : grid[1]], q.scales)
    assert (p.zeros is None) == (q.zero_points is None)
    if p.zeros is not None:
        np.testing.assert_array_equal(p.zeros.numpy()[:, : grid[1]], q.zero_points)
    assert p.largest >= np.abs(q.dequantize()).max()


def test_bytes_are_those_of_the_bits() -> None:
    """Without padding: the codes' bits and the scales' own, and zero points a byte each. nvfp4's scale of the tensor
    is no array."""
    w = np.random.default_rng(0).standard_normal((16, 512), dtype=np.float32)
    for key, extra in (("int4-sym-b32", 0), ("int3-sym-b128", 0), ("int8-sym-channel", 0), ("mxfp4", 0), ("nf4-b64", 0),
                       ("int8-asym-b64", 0), ("int4-asym-b64", 0.5), ("nvfp4", -4 / 512)):  # fmt: skip
        groups = 16 * 512 // (Scheme.parse(key).granularity.cols or 512)
        assert pack(w, key, device="cpu").nbytes == Scheme.parse(key).bits_stored((16, 512)) / 8 + extra * groups, key


def test_packing_from_torch_and_from_what_is_quantized_is_the_same() -> None:
    w = torch.randn((24, COLS), generator=torch.Generator().manual_seed(1))
    ours, theirs = pack(w, "int4-asym-b32", device="cpu"), pack(w.numpy(), "int4-asym-b32", device="cpu")
    by_reference = pack(w, "int4-asym-b32", device="cpu", engine="reference")
    for other in (theirs, by_reference):
        assert torch.equal(ours.words, other.words) and torch.equal(ours.scales, other.scales)
        assert torch.equal(ours.zeros, other.zeros)
    assert (ours.device, ours.bits, ours.shape) == ("cpu", 4, (24, COLS))


def test_every_scheme_of_the_catalogue_packs_or_says_why_not() -> None:
    for key in catalogue():
        reason = refusal(Scheme.parse(key), 256, 512)
        assert reason is None or (reason.endswith(".") and "\n" not in reason and key in reason), key


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("int5-sym-b64", "no GPU kernel that multiplies int5-sym-b64; int8, int4"),
        ("int4-offset-b64", "no GPU kernel that multiplies int4-offset-b64"),
        ("fp8_e4m3", "no GPU kernel that multiplies fp8_e4m3"),
        ("int1-sym-b64", "no GPU kernel"),
        ("mxint8", "no GPU kernel"),
        ("int4-sym-b48", "take blocks of 16, 32, 64 or another multiple of 32 in int4, and channel, not int4-sym-b48"),
        ("int2-sym-b100", "take blocks of 16, 32, 64, 128 or another multiple of 64"),
        ("nf4-b64:double=1", "no nested scales"),
        ("int4-sym-b64:rotate=hadamard", "no rotated weights"),
        ("int4-sym-b64:keep=0.1%", "none that are kept apart"),
    ],
)
def test_what_is_refused(key: str, reason: str) -> None:
    with pytest.raises(QuantvizError, match=reason):
        pack(np.ones((8, 256), np.float32), key, device="cpu")


def test_weights_have_to_be_a_matrix() -> None:
    with pytest.raises(QuantvizError, match=r"weights \[rows, cols\], and these have shape \[8\]"):
        pack(np.ones(8, np.float32), "int4-sym-channel", device="cpu")


@pytest.mark.parametrize(
    ("key", "steps"),
    [("int4-sym-b16", 2), ("int4-sym-b32", 4), ("int4-sym-b96", 4), ("int3-sym-b32", 4), ("int2-sym-b64", 8)],
)
def test_a_sum_takes_its_scale_where_a_block_ends(key: str, steps: int) -> None:
    scheme = Scheme.parse(key)
    assert flush_steps(layout_of(scheme), scheme.granularity.cols) == steps
