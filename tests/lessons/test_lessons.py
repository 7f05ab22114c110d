"""What the chapters of Learn compute, and what claims 1 to 4 come to."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.figures import alt_text, lessons
from quantviz.formats import get
from quantviz.lessons import choosing, claims, floats, memory, mixes, outlier, rounding, shipped, speed
from quantviz.sources.synthetic import SyntheticSpec, generate
from quantviz.text.wording import size
from quantviz.throughput import Report

LAYER = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def layer():
    return qv.open_model("demo").open(LAYER)


def test_sizes_are_bits_times_weights():
    fp32, bf16, *_ = memory.sizes(2)
    assert (fp32.nbytes, bf16.nbytes) == (8e9, 4e9)
    assert memory.largest_that_fits("bf16", 15e9) == 7 and memory.largest_that_fits("fp32", 1e9) is None
    assert "fp32 8 GB" in alt_text(lessons.memory_bars(memory.sizes(2), 4 * 10**9))
    assert alt_text(lessons.memory_bars(memory.sizes(2), None))


def test_the_six_numbers_are_those_of_the_article():
    sym, asym = (rounding.rounded(rounding.SIX, f"int4-{s}-tensor:scale=fp32") for s in ("sym", "asym"))
    assert sym.codes == ("-7", "1", "1", "-1", "1", "-4") and sym.zero_point is None
    assert sym.metrics["mean_relative_error"] == pytest.approx(0.18003, abs=1e-5)
    assert asym.metrics["mean_relative_error"] == pytest.approx(0.08524, abs=1e-5) and len(asym.levels) == 16
    assert asym.made == pytest.approx((-0.91, 0.14, 0.07, -0.14, 0.14, -0.56))
    columns = rounding.averages([sym, asym])
    assert columns[asym.scheme][1] == pytest.approx(0.0510, abs=1e-4) and len(columns["formula"]) == 4
    assert "6 numbers under int4-asym-tensor:scale=fp32, 16 levels" in alt_text(lessons.rounding_line(asym))


@pytest.mark.parametrize("numbers", [[], [0.1] * 65])
def test_too_few_and_too_many_numbers_are_refused(numbers):
    with pytest.raises(QuantvizError, match="takes 1 to 64"):
        rounding.rounded(numbers, "int4-sym-tensor")


def test_all_zeros_are_drawn():
    r = rounding.rounded([0.0, 0.0], "int4-sym-tensor")
    assert r.made == (0.0, 0.0) and alt_text(lessons.rounding_line(r))


def test_an_outlier_spoils_its_neighbours_and_blocks_contain_it():
    near, far = outlier.pulled(4.0), outlier.pulled(40.0)
    whole, blocks = outlier.SCHEMES
    assert far.neighbours[whole] > near.neighbours[whole] > near.neighbours[blocks]
    assert far.zeroed[whole] > 100 > 60 > far.zeroed[blocks]
    others = [p.zeroed[blocks] - p.zeroed_near for p in (outlier.pulled(0.0), near, far)]
    assert len(set(others)) == 1 < far.zeroed_near < outlier.BLOCK and far.zeroed_near > near.zeroed_near
    assert alt_text(lessons.pulled(far)).startswith("128 weights, one 40 standard deviations out.")
    points = outlier.block_sizes()
    assert all(b.relative_error < a.relative_error and b.bits > a.bits for a, b in pairwise(points))
    assert "int4-sym-b64 has" in alt_text(lessons.block_curve(points, 64))


def test_the_largest_weight_of_a_block_lies_where_a_power_of_two_leaves_it():
    e2m1 = get("fp4_e2m1")
    blocks = generate(SyntheticSpec(rows=4096, cols=32)).reshape(-1, 32)
    scales = np.asarray(qv.quantize(blocks, "mxfp4").scales).reshape(-1)
    shares = np.abs(blocks).max(axis=1) / scales / e2m1.max
    least, most = floats.reach_of_a_power(e2m1)
    assert least <= shares.min() < 0.68 and 1.31 < shares.max() < most


def test_half_of_a_formats_values():
    assert floats.median_share(get("int8")) == pytest.approx(64 / 127, rel=0.02)
    assert floats.median_share(get("fp8_e4m3")) < 0.01


def test_claims_1_to_4_hold_with_their_figures(layer):
    verdicts = [claims.bytes_a_weight(), claims.near_zero(layer, LAYER), claims.six_numbers(), claims.blocks_contain()]
    assert [v.claim for v in verdicts] == [1, 2, 3, 4] and {v.finding for v in verdicts} == {"holds"}
    assert "18%" in verdicts[2].summary and "8.52%" in verdicts[2].summary
    assert alt_text(lessons.near_zero(qv.describe(layer), ("int8", "nf4"))).startswith("Weights of a layer from")


def test_a_claim_that_does_not_hold_is_told(monkeypatch):
    two = np.tile(np.array([-1.0, 1.0], np.float32), (4, 64))
    two[0, 0] = 1e6
    assert claims.near_zero(two, "x").finding == "does not hold"
    monkeypatch.setitem(claims._SAID, "int4-sym-tensor:scale=fp32", 0.2)
    assert claims.six_numbers().finding == "does not hold"


def test_speed_that_nobody_measured_cannot_be_told():
    assert speed.verdict(None).finding == "cannot tell" and speed.verdict(Report()).claim == 8
    found = speed.allowed("8b")
    assert {c.scheme for c in found} == set(speed.SCHEMES) and not any(c.measured for c in found)
    assert "devices; the most is" in alt_text(lessons.tokens_allowed(found))


def test_what_is_shipped_is_measured_on_a_layer(layer):
    found = {loss.name: loss for loss in shipped.losses(layer)}
    assert found["NVFP4"].relative_error < found["MXFP4"].relative_error
    assert all(math.isfinite(loss.sqnr_db) for loss in found.values()) and len(found) == len(shipped.SHIPPED)


def test_advice_is_the_finest_that_fits_or_the_smallest_that_stays_usable():
    close, fast = choosing.WISHES
    llama = next(iter(choosing.RUNTIMES))
    assert choosing.advise(8, 16, llama, close).chosen.name == "Q8_0"
    assert choosing.advise(8, 16, llama, fast).chosen.name == "IQ4_XS"
    small = choosing.advise(32, 16, llama, close)
    assert small.chosen.bits < 4 and "lose much" in " ".join(small.reasons)
    assert not small.chosen.usable and small.chosen.bits > 2.625  # of q2_k alone
    nothing = choosing.advise(70, 8, llama, close)
    assert nothing.chosen is None and nothing.reasons[0].startswith("Nothing fits")
    with pytest.raises(QuantvizError, match="Choose a program"):
        choosing.advise(8, 16, "nothing", close)


def test_mixes_have_the_bits_of_a_typical_model():
    """The sizes of Llama 3.1 8B's published GGUF files over its 8.03 billion weights, to a hundredth."""
    published = {"Q8_0": 8.5, "Q6_K": 6.56, "Q5_K_M": 5.70, "Q4_K_M": 4.89, "Q3_K_M": 4.0, "Q2_K": 3.16}
    found = {name: mixes.bits_of_mix(name) for name in published}
    assert found == pytest.approx(published, abs=0.015)
    llama = choosing.advise(8, 16, next(iter(choosing.RUNTIMES)), choosing.WISHES[0])
    assert {o.name: o.bits for o in llama.options}["Q4_K_M"] == found["Q4_K_M"]
    assert mixes.bits_of_mix("NVFP4A16") is None


def test_the_picture_is_coarser_with_one_scale_than_in_blocks():
    from quantviz.lessons.picture import painted

    (_, w, whole), (scheme, _, fine) = painted(0, "sym"), painted(16, "sym")
    assert scheme == "int2-sym-b16" and w.shape == whole.shape == fine.shape
    assert ((whole - w) ** 2).sum() > ((fine - w) ** 2).sum() > 0


def test_a_size_is_written_alike_in_its_row_and_in_the_reasons():
    for runtime in choosing.RUNTIMES:
        for wish in choosing.WISHES:
            found = choosing.advise(8, 6, runtime, wish)
            assert size(found.chosen.nbytes) in found.reasons[0]


def test_mxfp4_puts_the_largest_weight_of_a_block_where_the_answer_says(layer):
    w = layer.read().reshape(layer.shape)
    largest = np.abs(w.reshape(-1, 32)).max(axis=1) / qv.quantize(w, "mxfp4").scales.reshape(-1)
    assert largest.min() >= 4 and 6 < largest.max() < 8
