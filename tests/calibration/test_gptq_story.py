"""The story of GPTQ: it ends at the codes that quantize gives, and what a column hands on is what others take on."""

from __future__ import annotations

import numpy as np
import pytest

import quantviz as qv
from quantviz import Calibration, QuantvizError
from quantviz.calibration.gptq_story import gptq_story, turn_sentences
from quantviz.calibration.synthetic import synthetic_inputs


def layer() -> tuple[np.ndarray, Calibration]:
    w = np.random.default_rng(5).standard_normal((16, 160), dtype=np.float32)
    return w, Calibration.of(synthetic_inputs(160, 700, outlier_share=0.02, correlation=0.7))


def test_it_ends_at_the_codes_that_quantize_gives() -> None:
    w, c = layer()
    for key in ("int4-asym-b64:solver=gptq", "int4-sym-b32:solver=gptq,order=act,damp=5%", "nf4-b64:solver=gptq",
                "mxfp4:rotate=hadamard,solver=gptq", "int4-sym-b32:solver=gptq,act=int8-token,smooth=0.5",
                "int4-sym-b16x16:solver=gptq"):  # fmt: skip
        plain, fast = (qv.quantize(w, key, calibration=c, engine=engine).codes for engine in ("reference", "cpu"))
        for row, cols in ((3, (32, 64)), (15, (64, 160))):
            told = gptq_story(w, key, c, row, cols)
            assert sorted(told.columns) == list(range(*cols))
            assert np.array_equal(told.codes, plain[row, told.columns]), key
            assert (told.codes == fast[row, told.columns]).mean() > 0.95, key


def test_what_is_handed_on_is_what_is_taken_on() -> None:
    w, c = layer()
    told = gptq_story(w, "int4-asym-b64:solver=gptq", c, 7, (64, 128))
    for k in range(63):  # columns stand as they are taken, so nothing comes in between
        assert np.array_equal(told.before[k + 1, k + 1 :], told.before[k, k + 1 :] + told.passed[k, k + 1 :])
        assert not told.passed[k, : k + 1].any()
    assert told.before[-1, :-1] == pytest.approx(told.values[:-1], abs=1e-5)
    assert np.array_equal(told.original, w[7, 64:128]) and told.taken_on[0] != 0  # of the columns before the block
    step = float(qv.quantize(w, "int4-asym-b64").scales[7, 1])
    inside = (told.codes > 0) & (told.codes < 15)  # at the ends of the range errors may be larger
    assert np.abs(told.errors[inside]).max() <= 0.5001 * step
    plain = Calibration(np.ones(160, np.float32), np.eye(160, dtype=np.float32), 160)
    alone = gptq_story(w, "int4-asym-b64:solver=gptq", plain, 7, (64, 128))
    assert not alone.passed.any() and not alone.taken_on.any() and np.array_equal(alone.codes, alone.nearest)


def test_it_is_told_and_drawn_turn_by_turn() -> None:
    w, c = layer()
    told = gptq_story(w, "int4-asym-b64:solver=gptq", c, 7, (0, 64))
    for k in (0, 20, 63):
        text = " ".join(turn_sentences(told, k))
        assert text.startswith(f"Column {k} comes to its turn ") and ("as it was" in text) == (k == 0)
        assert ("behind it in the block" in text) == (k < 63)
        drawn = qv.figures.gptq.weights(told, k)
        assert [len(trace.x) for trace in drawn.data] == [64, k, 63 - k, 1, 1]
        bars = qv.figures.gptq.handed(told, k).data[0]
        assert bars.y[k] == told.errors[k] and np.array_equal(bars.y[k + 1 :], told.passed[k, k + 1 :])
        assert qv.figures.alt_text(drawn).endswith(".")
    assert np.array_equal(qv.figures.gptq.columns(told).data[0].y, told.taken_on)


def test_what_has_no_story_is_refused_and_it_can_be_stopped() -> None:
    w, c = layer()
    with pytest.raises(QuantvizError, match="int4-sym-b32 passes no errors on; give a scheme with solver=gptq"):
        gptq_story(w, "int4-sym-b32", c, 0, (0, 32))
    for row, cols in ((16, (0, 32)), (0, (150, 170)), (0, (5, 5)), (0, (0, 160))):
        with pytest.raises(QuantvizError, match="the tensor has 16 rows of 160, and a story at most 128 columns"):
            gptq_story(w, "int4-sym-b32:solver=gptq", c, row, cols)

    class Stop(Exception):
        pass

    def stop(*_: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        gptq_story(w, "int4-sym-b32:solver=gptq", c, 0, (0, 32), progress=stop)
