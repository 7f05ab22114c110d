"""The figures of stored tensors and of mixes hold what they say, and carry words."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import figures
from quantviz.published.contents import contents
from quantviz.published.mixes import recipe
from tests.sources.builders import weights
from tests.sources.gguf_builder import write


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> dict:
    path = tmp_path_factory.mktemp("g") / "m.gguf"
    model = qv.open_model(write(path, {k: (weights(64, 512), k) for k in ("q4_k", "q8_0", "iq4_nl", "gguf_mxfp4")}))
    return {info.name: contents(model.open(info.name)) for info in model.tensors}


@pytest.mark.parametrize("name", ["q4_k", "q8_0", "iq4_nl", "gguf_mxfp4"])
def test_codes_add_up_in_the_order_of_their_values(stored, name):
    figure = figures.stored_codes(stored[name])
    bars = figure.data[0]
    assert sum(bars.y) == pytest.approx(1) and len(bars.x) == len(set(bars.x))
    book = dict(zip(stored[name].codes.tolist(), stored[name].numbers.tolist(), strict=True))
    values = [book[code] for code in bars.customdata]
    assert values == sorted(values)
    assert "The weights use" in figures.alt_text(figure)


def test_scales_and_minima_have_a_line_each(stored):
    assert len(figures.stored_scales(stored["q4_k"]).data) == 2
    figure = figures.stored_scales(stored["q8_0"])
    assert len(figure.data) == 1 and sum(figure.data[0].y[:-1]) == stored["q8_0"].groups
    assert f"{stored['q8_0'].groups:,} scales" in figures.alt_text(figure)


def test_the_map_of_a_mix_shows_every_matrix():
    r = recipe(qv.open_model("demo"), "q4_k_m")
    heat = figures.mix_map(r).data[0]
    assert list(heat.y)[0] == "token_embd" and "attn_v" in heat.y and list(heat.x) == [-1, 0, 1, 2, 3]
    bits = dict(zip(heat.y, np.array(heat.z), strict=True))
    assert bits["token_embd"][0] == 6.5625 and np.isnan(bits["token_embd"][1:]).all(), "it is in no layer"
    assert np.isnan(bits["attn_v"][0]) and bits["attn_v"][1:].tolist() == [4.5, 4.5, 6.5625, 6.5625]
    assert "q4_k for" in figures.alt_text(figures.mix_map(r))
