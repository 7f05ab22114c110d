"""Small tensors on the number line, and pictures: what is drawn is what was computed."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

import quantviz as qv
from quantviz import figures
from quantviz.figures.small import codes_and_levels, lanes

SIX = np.float32([[-0.89, 0.16, 0.08, -0.13, 0.16, -0.54]])
KEYS = ("int4-sym-tensor:scale=fp32", "int4-asym-tensor:scale=fp32", "int3-offset-channel", "nf4-b64", "mxfp4", "q4_0",
        "fp8_e4m3", "bf16", "fp32", "ternary-tensor", "int1-sym-b64")  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_every_weight_lands_on_the_level_of_its_code(key):
    w = SIX if key != "q4_0" else np.tile(SIX, (1, 16))[:, :32]
    block = qv.inspect_block(w, key, 0, 0)
    codes, levels = codes_and_levels(block)
    assert (np.diff(levels) >= 0).all() and len(codes) == len(levels)
    if len(levels):
        after = block.dequantized.reshape(-1).astype(np.float64)
        assert np.abs(after[:, None] - levels).min(1).max() < 1e-6
    figure = figures.weights_on_lines([block])
    drawn = [t for t in figure.data if t.mode.startswith("markers") and t.customdata is not None]
    assert np.float32(drawn[0].x).tolist() == w.reshape(-1).tolist()
    assert np.float32(drawn[1].x).tolist() == block.dequantized.reshape(-1).tolist()
    assert "becomes" in figures.alt_text(figure)


def test_the_codes_of_the_article_are_written_under_their_levels():
    codes, levels = codes_and_levels(qv.inspect_block(SIX, "int4-asym-tensor:scale=fp32", 0, 0))
    assert codes[0] == "0" and codes[-1] == "15"
    assert levels[0] == pytest.approx(-0.91) and levels[13] == 0 and levels[-1] == pytest.approx(0.14)


def test_blocks_have_lines_of_their_own_up_to_a_limit():
    w = np.tile(SIX, (10, 1)) * np.arange(1, 11, dtype=np.float32)[:, None]
    blocks = [qv.inspect_block(w, "int4-sym-b32", row, 0) for row in range(10)]
    figure = figures.weights_on_lines(blocks)
    assert len(figure.layout.yaxis.ticktext) == figures.MOST_LINES
    assert "The other 9 blocks likewise" in figures.alt_text(figure)
    assert figures.weights_on_lines([qv.inspect_block(np.zeros((1, 3), np.float32), "int4-sym-b32", 0, 0)])


def test_weights_that_are_close_stand_over_one_another():
    x = np.zeros(10)
    assert lanes(x, 0.1).max() == 3 and (lanes(np.arange(5.0), 0.5) == 0).all()


def test_a_picture_is_drawn_pixel_by_pixel():
    w = qv.open_model("picture:").load("picture")
    figure = figures.picture_pair(w, qv.quantize(w, "int4-sym-b32").dequantize(), "int4-sym-b32")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(figure.data[0].source.split(",")[1]))))
    assert (pixels == np.rint((w + 0.5) * 255)).all()
    assert "256 × 256 pixels" in figures.alt_text(figure)
    grid = figures.picture_grid(w, [(f"int{bits}-sym-b32", w) for bits in range(2, 9)] * 2)
    assert len(grid.data) == 12 and grid.data[5].x0 > grid.data[4].x0 == 0 < grid.data[4].y0
    assert "after int2-sym-b32, int3-sym-b32" in figures.alt_text(grid)
    large = np.zeros((1300, 20), np.float32)
    assert figures.picture_pair(large, large, "fp16").data[1].dy == 3
