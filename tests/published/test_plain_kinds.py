"""Every kind of code that a packed format may have, beside the scheme that rounds to it plainly."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints.decoded import Decoded
from quantviz.checkpoints.layer import Layer, Part, Unpacked
from quantviz.formats import FORMATS
from quantviz.published.plain import EQUAL, beside_plain, plain_sentence
from quantviz.published.scale_rules import Extremes, powers_of_two
from quantviz.sources import TensorInfo
from quantviz.tensors import as_stored
from quantviz.tensors.float8 import float8_values
from tests.sources.builders import weights

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
NF4 = np.array(FORMATS["nf4"].levels, np.float32)
TWOS = np.concatenate([np.arange(8), np.arange(-8, 0)]).astype(np.float32)  # what codes in two's complement stand for
BYTES = np.arange(-128, 128, dtype=np.float32)


class Elements:
    """What a decoded tensor reads from."""

    def __init__(self, parts: Unpacked) -> None:
        self.parts = parts

    def unpacked(self, first: int, last: int) -> Unpacked:
        return self.parts.rows(first, last)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.parts.values().reshape(-1)[part]


def tensor(levels, scales, width, w, dtype="float32", first_code=0, every=1, **more) -> Decoded:
    """`w` rounded to the nearest level, given scales [rows, groups]."""
    rows, cols = w.shape
    spread = np.repeat(scales, width, axis=1)[:, :cols] if scales.shape[1] > 1 else scales
    minima = more.get("minima")
    t = (w - (np.repeat(minima, width, axis=1) if minima is not None else 0)) / spread
    place = np.abs(np.where(np.isnan(levels), np.inf, levels)[None, None] - t[:, :, None]).argmin(axis=2)
    parts = Unpacked(place + first_code, scales.astype(np.float32), width=width, numbers=levels[place], **more)
    info = TensorInfo("s", (1,) if dtype == "one" else scales.shape, "float32" if dtype == "one" else dtype, 4)
    layer = Layer(w.shape, "made up", {"scales": Part(info, every)}, lambda *_: None, levels, first_code)
    return Decoded(Elements(parts), "float32", w.shape, "w", layer=layer, stored_bits=4.5)


def largest(w, width):
    return np.abs(w.reshape(len(w), -1, width)).max(axis=2)


W = weights(64, 256)
SIZES = largest(W, 32)
OCP = np.exp2(np.floor(np.log2(SIZES)) - 2)
LOW = W.reshape(64, -1, 64).min(axis=2)
SPAN = W.reshape(64, -1, 64).max(axis=2) - LOW
FAR = np.where(np.abs(LOW) > LOW + SPAN, LOW, LOW + SPAN)  # the end of larger magnitude
EDGE = FAR / np.maximum(np.round(np.abs(FAR) / (SPAN / 15)), 1) * -1, FAR
FP8 = float8_values("float8_e4m3fn")


@pytest.mark.parametrize("made, scheme, rule", [
    (lambda: tensor(NF4, largest(W, 64), 64, W), "nf4-b64", "the largest weight / 1"),
    (lambda: tensor(BYTES, largest(W, 256) / 127, 256, W, first_code=-128), "int8-sym-channel:scale=fp32",
     "the largest weight / 127"),
    (lambda: tensor(E2M1, OCP, 32, W, "uint8"), "mxfp4", "OCP's: the power of two below the largest weight"),
    (lambda: tensor(E2M1, largest(W, 16) / 6, 16, W), "nvfp4", "the largest weight / 6"),
    (lambda: tensor(FP8, np.full((64, 1), np.abs(W).max() / 448), 256, W, "one"), "fp8_e4m3-tensor",
     "the largest weight / 448"),
    (lambda: tensor(FP8, largest(W, 256) / 448, 256, W), "fp8_e4m3-channel", "the largest weight / 448"),
    (lambda: tensor(np.arange(16, dtype=np.float32), SPAN / 15, 64, W, minima=LOW), "int4-offset-b64:scale=fp32",
     "the range of the weights / 15"),
    (lambda: tensor(np.arange(16, dtype=np.float32), EDGE[0], 64, W, minima=EDGE[1]),
     "int4-offset-b64:scale=fp32,edge=1", "MLX's: the weight of largest magnitude is a level, and 0 another"),
    (lambda: tensor(E2M1, np.exp2(np.ceil(np.log2(SIZES / 6))), 32, W, "uint8"), "mxfp4:rule=rceil",
     "the power of two with which nothing is clipped"),
    (lambda: tensor(np.arange(-8, 8, dtype=np.float32), SIZES / 7.5, 32, W, first_code=-8),
     "int4-sym-b32:scale=fp32,range=full", "the largest weight / 7.5"),
    (lambda: tensor(TWOS, SIZES / 7, 32, W), "int4-sym-b32:scale=fp32", "the largest weight / 7"),
])  # fmt: skip
def test_each_kind_of_code_has_its_scheme_and_rule(made, scheme, rule):
    y = made()
    found, why = beside_plain(as_stored(W), y)
    assert why == "" and (found.scheme, found.rule, found.verdict) == (qv.Scheme.parse(scheme).key, rule, EQUAL)
    assert found.nearest == found.count == W.size
    assert found.mse == pytest.approx(np.square(y.data.parts.values().astype(np.float64) - W).mean(), rel=1e-5)
    assert "This is plain rounding in made up" in plain_sentence(found, y.stored_as)


def test_a_format_without_a_scheme_is_told_by_its_codes_alone():
    levels = np.array([-3, -1, 0.5, 2], np.float32)
    y = tensor(levels, largest(W, 32) / 2.2, 32, W)
    found, _ = beside_plain(as_stored(W), y)
    assert (found.verdict, found.scheme, found.rule) == ("", "", "") and found.all_nearest
    assert "Nothing here rounds plainly to made up" in plain_sentence(found, "made up")


def test_no_scheme_has_groups_of_weights_that_lie_apart():
    scales = np.full(W.shape, np.abs(W).max() / 7, np.float32)
    y = tensor(TWOS, scales, 1, W)
    found, _ = beside_plain(as_stored(W), y)
    assert found.scheme == "" and found.all_nearest


def test_groups_in_the_order_of_activations():
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(8), 32))
    scales = np.stack([np.abs(W[:, order == g]).max(axis=1) for g in range(8)], axis=1).astype(np.float32) / 7
    codes = np.rint(W / scales[:, order]) + 8
    parts = Unpacked(codes.astype(int), scales, np.full(scales.shape, 8, np.float32), width=32, columns=order)
    info = TensorInfo("s", scales.shape, "float16", 4)
    layer = Layer(W.shape, "x", {"scales": Part(info)}, lambda *_: None, np.arange(16, dtype=np.float32))
    found, _ = beside_plain(as_stored(W), Decoded(Elements(parts), "float32", W.shape, "w", layer=layer))
    assert (found.verdict, found.rule) == (EQUAL, "the largest weight / 7")


def test_values_without_codes_are_told_as_such():
    layer = Layer(W.shape, "EXL3 4 bits", {}, lambda *_: None)
    found, why = beside_plain(as_stored(W), Decoded(None, "float32", W.shape, "w", layer=layer))
    assert found is None and why == "the codes of EXL3 4 bits stand for no numbers of their own"


def test_powers_of_two_by_each_rule():
    sizes = np.array([4.0, 5.9, 6.1, 7.1, 7.9])
    names = {rule.name: rule.scale(Extremes(-sizes, sizes)).tolist() for rule in powers_of_two(6.0)}
    below, even, above, nearest = names.values()
    assert below == [1, 1, 1, 1, 1] and above == [1, 1, 2, 2, 2]
    assert even == [1, 1, 1, 2, 2] and nearest == [0.5, 1, 1, 1, 1]  # 7 and more round to 8 with one bit of mantissa
