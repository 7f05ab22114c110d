"""Figures that pages make of long work, drawn of made-up results: kept like all figures, by this folder's fixture."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz.calibration.gptq_story import Story
from quantviz.checkpoints.layer import PackedField
from quantviz.evaluation.layer_output import Fed, LayerOutput
from quantviz.figures import alt_text, blocks, gptq, histograms, inputs, packed, planner, stored, throughput
from quantviz.planner import Rules, Times, plan
from quantviz.published.contents import Contents
from quantviz.statistics import Histogram
from quantviz.throughput import Card
from tests.planner.frames import made_up
from tests.planner.plans import TENSORS

N = 6
SPREAD = np.float32([0.5, -0.25, 0.75, 0.1, -1.0, 0.3])
BEFORE = np.float32(np.outer(np.linspace(1, 1.2, N), SPREAD))
STORY = Story(
    "int4-sym-b32:solver=gptq", 1234, np.arange(40, 40 + N), SPREAD, BEFORE, np.array([4, -2, 6, 1, -7, 2]),
    np.float32([0.5, -0.3, 0.8, 0.1, -1.1, 0.25]), np.array([4, -2, 5, 1, -7, 3]),
    np.float32(np.triu(BEFORE, 1) / 10), np.float32([0.1, 0.2, 0.3, 0.2, 0.1, 0.0]),
)  # fmt: skip


@pytest.mark.parametrize("k", [0, 3, N - 1])
def test_the_story_of_gptq(k):
    assert "Row 1,234" in alt_text(gptq.weights(STORY, k))
    assert f"Column {40 + k}" in alt_text(gptq.handed(STORY, k))
    assert "2 get another code" in alt_text(gptq.columns(STORY))


def output(cols: int, moved: str = "", scales: bool = False, shares: bool = True) -> LayerOutput:
    x = np.float32(np.outer(np.linspace(1, 3, 5), 1 + np.arange(cols) % 7))
    x[:, 3] *= 50
    x[:, 5] = 0
    importance = np.float32(np.square(x).mean(axis=0))
    carried = importance.astype(float) * np.where(np.arange(cols) % 2, 1.0, 0.3)
    return LayerOutput(
        "int4-sym-b64", Fed.of(x), Fed.of(x / np.float32(2)) if moved else Fed.of(x), moved,
        np.float32(1 + np.arange(cols) % 3) if scales else None, importance,
        carried / carried.sum() if shares else None,
    )  # fmt: skip


@pytest.mark.parametrize("found", [output(40), output(40, "rotated"), output(600, "divided", scales=True)])
def test_a_layers_inputs(found):
    assert "channels" in alt_text(inputs.channels(found)) and "as they come" in alt_text(inputs.tokens(found))
    assert alt_text(inputs.tokens(found, "after"))


@pytest.mark.parametrize("cols", [40, 1200])
def test_who_carries_the_error_of_the_output(cols):
    assert "has the most" in alt_text(inputs.carriers(output(cols)))
    assert inputs.carriers(output(cols, shares=False)) is None


SCHEMES = ("int2-asym-b32", "int4-sym-b32", "int8-sym-b32")
HEADS = {"model.embed_tokens.weight": (512, 256), "lm_head.weight": (512, 256)}


@pytest.mark.parametrize("rules", [Rules(), Rules(keep=("embed_tokens", "layers.1"))])
def test_a_plan(rules):
    made = plan(made_up(TENSORS | HEADS, SCHEMES), bits=8, rules=rules)
    assert "This plan has" in alt_text(planner.plan_front(made)) and "The plan:" in alt_text(planner.plan_map(made))


def test_a_plan_by_time():
    frame = made_up(TENSORS, SCHEMES)
    shapes = {(r, c) for r, c in frame[["rows", "cols"]].itertuples(index=False)}
    times = Times({(r, c, s): r * c * (at + 1) * 1e-9 for r, c in shapes for at, s in enumerate(SCHEMES)})
    made = plan(frame, ms=4.0, times=times)
    assert "milliseconds a token" in alt_text(planner.plan_front(made))


def test_the_layout_of_a_packed_format():
    fields = [
        PackedField("qweight", "int32", "[rows / 8, cols]", "eight codes", (0, 4, 1, 5, 2, 6, 3, 7)),
        PackedField("qzeros", "int32", "[groups, cols / 8]", "zero points", (0, 1, 2, 3)),
        PackedField("scales", "float16", "[groups, cols]", "a scale a group", ()),
    ]
    assert alt_text(packed.packed_layout(fields)).startswith("3 stored tensors.")


def test_what_a_file_stores():
    some = Histogram(0.001, 0.02, np.arange(40) % 7)
    contents = Contents("q4_1", 32, np.arange(16), np.arange(16.0) - 8, np.arange(16) * 3, some, some, some, 0, 120)
    for draw in (stored.stored_zeros, stored.stored_scales, stored.stored_codes):
        assert alt_text(draw(contents))


def test_which_columns_of_a_block_are_drawn(kept):
    for cols, at in ((8, 0), (8, 7), (64, 63), (65, 64), (300, 0), (300, 40), (300, 150), (300, 299), (4096, 4095)):
        w = np.zeros((2, cols), np.float32)
        w[1, at] = 1
        row, shown = blocks.block_window(qv.inspect_block(w, "int4-sym-channel", 1, 0))
        kept([cols, at, row, shown.start, shown.stop])


def test_notes_beside_figures(kept):
    w = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    far = w.copy()
    far[0, 0] = 40
    two = far.copy()
    two[9, 9] = -39
    kept([histograms.outside_note(qv.describe(tensor)) for tensor in (w * 0.1, far, two, np.ones((2, 2), np.float32))])
    card = Card("cpu", "A processor", "cpu", None, None, 1, 1, None, {})
    kept([throughput.rounds_note(c) for c in (None, card, Card(**{**vars(card), "copy_bytes_per_s": 1e9}))])
