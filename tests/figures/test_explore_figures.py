"""The figures of Explore draw exactly what was counted, carry words, and stay small."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import figures
from quantviz.block_types import BLOCK_TYPES
from quantviz.evaluation.predicted import expected_errors
from quantviz.figures.block_types import block_layout, block_type_bits
from quantviz.figures.blocks import block_window, levels
from quantviz.figures.histograms import DRAWN_BINS, rebin

KEYS = ("int4-sym-tensor", "int4-sym-b64", "int4-asym-b32", "int3-offset-channel", "fp8_e4m3", "fp8_e4m3-b128x128",
        "nf4-b64", "ternary-tensor", "int1-sym-b64", "mxfp4", "nvfp4", "bf16", "fp32", "q4_0", "q8_0", "q4_k", "q6_k",
        "iq4_nl", "iq3_s", "q1_0", "tq2_0", "gguf_mxfp4", "int4-sym-tensor:keep=0.1%", "int4-offset-b64:keep=5%",
        "fp8_e4m3-b128x128:keep=1%,rotate=hadamard", "mxfp4:keep=1%", "int4-sym-channel:clip=mse,keep=1%",
        "nf4-b64:double=1", "int4-offset-b64:solver=hqq")  # fmt: skip
MOST_BYTES = 400_000  # of one figure as JSON: what travels to the browser at every change


@pytest.fixture(scope="module")
def w() -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((256, 1024), dtype=np.float32) * np.float32(0.02)
    x[3, 70] = 1.0
    return x


@pytest.mark.parametrize("key", KEYS)
def test_every_figure_draws(w, key):
    r = qv.evaluate(w, key)
    place = figures.worst_block(r.block_errors)
    expected = expected_errors(
        qv.tensors.as_stored(w), qv.Scheme.parse(key), r.statistics, r.code_counts, figures.error_bins(r)[0]
    )
    drawn = [
        figures.weights(r, qv.evaluate(w, "int8-sym-b64")),
        figures.weights(r, axis="linear", full=True),
        figures.errors(r, expected),
        figures.code_usage(r),
        figures.error_map(r, place),
        figures.block(qv.inspect_block(w, key, *place, statistics=r.statistics)),
    ]
    for figure in drawn:
        if figure is not None:
            assert figures.alt_text(figure)
            assert len(figure.to_json()) < MOST_BYTES


def test_rebinning_loses_no_weight(w):
    h = qv.evaluate(w, "int4-sym-b64").histograms["original"]
    for low, high in ((h.lo, h.hi), (-0.05, 0.05), (0.9, 1.0)):
        edges, counts, outside = rebin(h, low, high, DRAWN_BINS)
        assert counts.sum() + outside == h.total == w.size
        assert len(edges) == len(counts) + 1 <= DRAWN_BINS + 1
        assert edges[0] <= max(low, h.lo) + 1e-12 and edges[-1] >= min(high, h.hi) - 1e-12


def test_the_worst_block_holds_the_largest_error(w):
    r = qv.evaluate(w, "int4-sym-b64")
    assert r.block_errors[figures.worst_block(r.block_errors)] == r.block_errors.max()
    assert figures.worst_block(r.block_errors) == (3, 1)


def test_uniform_rounding_predicts_uniform_errors():
    w = np.random.default_rng(1).uniform(-1, 1, (256, 1024)).astype(np.float32)
    r = qv.evaluate(w, "int6-sym-tensor")
    edges, counts, _ = figures.error_bins(r)
    expected = expected_errors(qv.tensors.as_stored(w), qv.Scheme.parse(r.scheme), r.statistics, r.code_counts, edges)
    assert abs(expected.sum() - w.size) < 0.01 * w.size
    assert np.abs(expected - counts).max() < 0.25 * counts.max()


@pytest.mark.parametrize("name", ["q4_0", "q4_k", "q2_k", "iq3_s", "tq1_0", "gguf_nvfp4"])
def test_a_block_types_levels_are_those_of_each_group(w, name):
    block = qv.inspect_block(w, name, 3, 0)
    row, cols = block_window(block)
    across, lines = levels(block, cols)
    group = BLOCK_TYPES[name].group
    for j in range(cols.start, min(cols.stop, block.codes.shape[1]), 7):
        here = slice(None) if across is None else (across[:, 0] <= j) & (j < across[:, 1])
        assert np.isclose(lines[here], block.dequantized[row, j], rtol=1e-6, atol=1e-30).any(), (name, j, group)


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_a_layout_names_every_field_to_scale(name):
    kind = BLOCK_TYPES[name]
    fig = block_layout(kind)
    assert sum(sum(trace.x) for trace in fig.data) == kind.nbytes
    assert all(f.meaning in figures.alt_text(fig) for f in kind.fields)


def test_all_types_side_by_side_add_up_to_their_bits():
    fig = block_type_bits(BLOCK_TYPES.values())
    bits = dict.fromkeys(BLOCK_TYPES, 0.0)
    for trace in fig.data:
        for name, length in zip(trace.y, trace.x, strict=True):
            bits[name] += length
    assert bits == {name: pytest.approx(kind.bits_per_weight) for name, kind in BLOCK_TYPES.items()}


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("ref", "key"), [
    ("values:0.5", "int4-sym-tensor"), ("values:0.3,0.3;0.3,0.3", "int4-asym-b64"),
    ("values:-0.89,0.16,0.08,-0.13,0.16,-0.54", "int4-asym-tensor:scale=fp32"),
])  # fmt: skip
def test_weights_that_a_scheme_moves_beyond_all_others_are_drawn(ref, key, full):
    r = qv.evaluate(qv.open_model(ref).load("values"), key)
    before, after = figures.weights(r, axis="linear", full=full).data
    held = r.histograms["original"].total
    assert before.customdata[:-1].sum() == held and after.customdata[:-1].sum() == held


def test_a_single_block_has_no_map_and_two_have_one():
    for cols, key in ((64, "int4-sym-b64"), (128, "int4-sym-b64"), (128, "int4-sym-tensor")):
        r = qv.evaluate(np.random.default_rng(0).standard_normal((1, cols), dtype=np.float32), key)
        assert (figures.error_map(r) is None) == (r.block_errors.size == 1)


def test_places_of_a_small_map_are_whole_numbers():
    r = qv.evaluate(np.random.default_rng(0).standard_normal((2, 192), dtype=np.float32), "int4-sym-b64")
    axes = figures.error_map(r).layout
    assert axes.xaxis.tickvals == (0, 1, 2) and axes.yaxis.tickvals == (0, 1)
