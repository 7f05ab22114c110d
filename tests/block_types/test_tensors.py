"""Block types through the public interface: ggml's bytes, measurements that NumPy confirms, refusals in a sentence."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz import QuantvizError
from quantviz.block_types import BLOCK_TYPES, unpack
from quantviz.inspection.worked import arithmetic, block_rows, rule_text
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows
from quantviz.kernels.cpu.blocks import tensor as blocks_tensor
from quantviz.kernels.cpu.blocks.numbers import unscaled
from quantviz.kernels.cpu.rules import constants as rules
from quantviz.outliers.attribution import attribute

from ..kernels.cuda.block_inputs import two_peaks, zeros_of_both_signs
from ..kernels.inputs import INPUTS
from .golden import ggml_name, golden

ALL = tuple(BLOCK_TYPES)
WAYS = [
    (n, w) for n, t in BLOCK_TYPES.items() for w in (False, True)
    if (w or not t.needs_importance) and (not w or t.uses_importance)
]  # fmt: skip
SOME = ("q4_0", "q5_1", "q8_0", "q2_k", "q6_k", "iq4_xs", "iq3_s", "iq2_xxs", "iq1_m", "tq1_0", "gguf_nvfp4")


def weights(rows: int = 24, cols: int = 512) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)
    x[1, 5], x[2, :300] = 0.5, 0
    return x


def channels(cols: int = 512) -> np.ndarray:
    return np.random.default_rng(1).random(cols, dtype=np.float32) + np.float32(0.1)


def needed(name: str, cols: int = 512) -> np.ndarray | None:
    return channels(cols) if BLOCK_TYPES[name].needs_importance else None


@pytest.mark.parametrize(("name", "weighted"), WAYS)
def test_bytes_are_ggmls_through_the_public_interface(name: str, weighted: bool) -> None:
    g = golden("ggml_blocks.npz")
    key = ggml_name(name) + "_imatrix" * weighted
    q = qv.quantize(g["x"], name, importance=g["importance"] if weighted else None)
    assert q.tobytes() == g[key + "/bytes"].tobytes()
    assert q.nbytes == len(q.tobytes()) and q.bits_per_weight == BLOCK_TYPES[name].bits_per_weight
    np.testing.assert_array_equal(q.dequantize(), g[key + "/dequantized"])


@pytest.mark.parametrize("name", ALL)
def test_stored_parts_make_the_weights(name: str) -> None:
    kind, x = BLOCK_TYPES[name], weights()
    q = qv.quantize(x, name, needed(name))
    assert q.codes.shape == x.shape and q.scales.shape == (len(x), 512 // kind.group) and q.zero_points is None
    value = np.repeat(q.scales, kind.group, axis=1) * kind.numbers[q.codes.astype(int) - kind.first_code]
    if q.minima is not None:
        value += np.repeat(q.minima, kind.group, axis=1)
    np.testing.assert_array_equal(value, q.dequantize())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_what_is_measured_is_what_numpy_finds(name: str, weighted: bool) -> None:
    kind, x = BLOCK_TYPES[name], weights()
    h = channels() if weighted or kind.needs_importance else None
    r = qv.evaluate(x, name, h)
    q = qv.quantize(x, name, h)
    X, E = x.astype(np.float64), q.dequantize().astype(np.float64) - x
    m = r.metrics
    np.testing.assert_allclose(m["mse"], (E**2).mean(), rtol=1e-6)
    np.testing.assert_allclose(m["sqnr_db"], 10 * np.log10((X**2).sum() / (E**2).sum()), rtol=1e-6)
    np.testing.assert_allclose(m["mean_relative_error"], (np.abs(E[X != 0]) / np.abs(X[X != 0])).mean(), rtol=1e-5)
    np.testing.assert_allclose(m["max_abs_error"], np.abs(E).max(), rtol=1e-6)
    np.testing.assert_allclose(m["zeroed_fraction"], (q.dequantize() == 0)[x != 0].mean())
    scales = np.repeat(np.abs(q.scales.astype(np.float64)), kind.group, axis=1)
    steps = np.divide(E, scales, out=np.zeros_like(E), where=scales > 0)
    np.testing.assert_allclose(m["rmse_over_scale"], np.sqrt((steps**2).mean()), rtol=1e-5)
    if h is not None:
        np.testing.assert_allclose(m["weighted_mse"], (E**2 * h).sum() / (h.astype(float).sum() * len(x)), rtol=1e-6)
    assert m["bits_per_weight"] == kind.bits_per_weight
    first = kind.first_code
    np.testing.assert_array_equal(
        r.code_counts, np.bincount(q.codes.reshape(-1).astype(int) - first, minlength=1 << kind.bits)
    )
    by_block = np.sqrt((E**2).reshape(len(x), -1, kind.block).mean(axis=2))
    np.testing.assert_allclose(r.block_errors, by_block, rtol=1e-5, atol=1e-12)
    assert all(hist.total == x.size for hist in r.histograms.values())
    brief = qv.evaluate(x, name, h, detail="metrics").metrics
    assert brief == {key: value for key, value in m.items() if key in brief}


def measured(x: np.ndarray, name: str) -> qv.Evaluation | str:
    try:
        return qv.evaluate(x, name)
    except QuantvizError as refused:
        return str(refused)


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
@pytest.mark.parametrize("hard", [*INPUTS, "two peaks", "signed zeros"])
def test_a_rule_for_one_weight_measures_what_the_bytes_hold(name: str, hard: str, monkeypatch) -> None:
    x = {"two peaks": two_peaks, "signed zeros": zeros_of_both_signs}.get(hard, lambda: INPUTS[hard])()
    x = np.ascontiguousarray(x[:, : x.shape[1] // 32 * 32])
    by_rule = measured(x, name)
    with monkeypatch.context() as m:
        m.setattr(rules, "has_rule", lambda scheme: False)
        on_bytes = measured(x, name)
    if isinstance(on_bytes, str):
        assert by_rule == on_bytes
        return
    np.testing.assert_array_equal(by_rule.code_counts, on_bytes.code_counts)
    assert by_rule.notices == on_bytes.notices and by_rule.metrics.keys() == on_bytes.metrics.keys()
    for metric, value in on_bytes.metrics.items():
        np.testing.assert_allclose(by_rule.metrics[metric], value, rtol=1e-6, atol=1e-40, err_msg=metric)
    for kind, histogram in on_bytes.histograms.items():
        np.testing.assert_array_equal(by_rule.histograms[kind].counts, histogram.counts, err_msg=kind)
    np.testing.assert_allclose(by_rule.block_errors, on_bytes.block_errors, rtol=1e-6, atol=1e-40)


@pytest.mark.parametrize("name", SOME)
def test_padding_is_zeros_that_are_counted(name: str) -> None:
    x, h = weights(cols=300), needed(name, 300)
    with pytest.raises(QuantvizError, match=f"multiple of {BLOCK_TYPES[name].block}.*{name}:pad=1 fills each up"):
        qv.quantize(x, name, h)
    q = qv.quantize(x, f"{name}:pad=1", h)
    cols = -(-300 // BLOCK_TYPES[name].block) * BLOCK_TYPES[name].block
    filled = np.pad(x, ((0, 0), (0, cols - 300)))
    want = quantize_rows(name, filled, None if h is None else np.pad(h, (0, cols - 300)))
    assert q.tobytes() == want.tobytes() and q.codes.shape == x.shape
    np.testing.assert_array_equal(q.dequantize(), dequantize_rows(name, want, cols)[:, :300])
    assert q.bits_per_weight == pytest.approx(BLOCK_TYPES[name].bits_per_weight * cols / 300)
    assert qv.evaluate(x, f"{name}:pad=1", h).block_errors.shape == (24, cols // BLOCK_TYPES[name].block)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("cols", [512, 700])
def test_pieces_join_without_a_seam(name: str, cols: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, key = weights(cols=cols), f"{name}:pad=1"
    for h in (needed(name, cols), channels(cols)):
        whole, counted = qv.quantize(x, key, h).tobytes(), qv.evaluate(x, key, h)
        with monkeypatch.context() as m:
            m.setattr(blocks_tensor, "PIECE", 256)
            assert qv.quantize(x, key, h).tobytes() == whole
            again = qv.evaluate(x, key, h)
        np.testing.assert_array_equal(again.code_counts, counted.code_counts)
        np.testing.assert_allclose(again.metrics["mse"], counted.metrics["mse"], rtol=1e-6)
        np.testing.assert_allclose(again.block_errors, counted.block_errors, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("shape", [(512,), (2, 3, 256), (1, 70000)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).standard_normal(shape, dtype=np.float32)
    for name in ("q4_0", "q4_k"):
        q = qv.quantize(x, f"{name}:pad=1")
        assert q.codes.shape == q.dequantize().shape == shape
        e = q.dequantize().astype(np.float64) - x
        np.testing.assert_allclose(qv.evaluate(x, f"{name}:pad=1").metrics["mse"], (e**2).mean(), rtol=1e-6)


def test_torch_in_torch_out() -> None:
    x = torch.from_numpy(weights()).to(torch.bfloat16)
    q = qv.quantize(x, "q4_k")
    assert isinstance(q.codes, torch.Tensor) and isinstance(q.dequantize(), torch.Tensor)
    assert q.tobytes() == qv.quantize(x.float().numpy(), "q4_k").tobytes()
    assert qv.quantize(x, "q4_k", engine="reference").tobytes() == q.tobytes()


@pytest.mark.parametrize("name", ALL)
def test_codes_are_counted_by_the_numbers_they_stand_for(name: str) -> None:
    kind = BLOCK_TYPES[name]
    data = np.random.default_rng(3).integers(0, 256, (64, kind.nbytes), dtype=np.uint8)
    alone = unscaled(kind, data, np.empty_like(data))
    with np.errstate(all="ignore"):
        numbers = unpack(name, data, kind.block).numbers
    np.testing.assert_array_equal(dequantize_rows(name, alone, kind.block), numbers)


@pytest.mark.parametrize("name", ["iq2_xs", "iq2_xxs", "iq1_s", "iq1_m"])
def test_types_that_demand_importance_refuse_without_it(name: str) -> None:
    for run in (qv.quantize, qv.evaluate, lambda x, key: qv.inspect_block(x, key, 0, 0)):
        with pytest.raises(QuantvizError, match=f"{name} cannot be quantized without importance") as caught:
            run(weights(), name)
        assert "\n" not in str(caught.value)
    frame = qv.compare(weights(), ["q4_0", name])
    assert "without importance" in frame.notices[1] and np.isnan(frame.sqnr_db[1])
    assert qv.compare(weights(), ["q4_0", name], channels()).sqnr_db.notna().all()


def test_what_has_no_layout_has_no_bytes() -> None:
    with pytest.raises(QuantvizError, match="int4-sym-b64 is no packed layout"):
        qv.quantize(weights(), "int4-sym-b64").tobytes()


def test_what_cannot_be_stored_is_said(engine: str) -> None:
    x = weights()
    tiny = qv.quantize(x * np.float32(1e-10), "q4_0", engine=engine)
    assert not tiny.dequantize().any() and "too small for q4_0 to store" in tiny.notices[0]
    assert qv.evaluate(x * np.float32(1e-10), "q4_0", device=engine).notices == tiny.notices
    for refusing in (partial(qv.quantize, engine=engine), partial(qv.evaluate, device=engine)):
        with pytest.raises(QuantvizError, match="too large for q4_0.*65,504"):
            refusing(x * np.float32(1e10), "q4_0")


@pytest.mark.parametrize("run", [qv.quantize, qv.evaluate])
def test_nan_is_refused_with_its_place(run) -> None:
    x = weights()
    x[2, 37] = np.nan
    with pytest.raises(QuantvizError, match=r"1 NaN value, the first at \[2, 37\]"):
        run(x, "q4_k")


@pytest.mark.parametrize("name", ALL)
def test_a_block_spelled_out(name: str) -> None:
    kind, x = BLOCK_TYPES[name], weights(cols=700)
    for h in (needed(name, 700), channels(700)):
        y = qv.quantize(x, f"{name}:pad=1", h).dequantize()
        last = 700 // kind.block  # filled up: only what is there is shown
        for col in (0, last):
            block = qv.inspect_block(x, f"{name}:pad=1", 1, col, importance=h)
            part = slice(*block.cols)
            assert part == slice(col * kind.block, min((col + 1) * kind.block, 700))
            np.testing.assert_array_equal(block.original, x[1:2, part])
            np.testing.assert_array_equal(block.dequantized, y[1:2, part])
            assert len(arithmetic(block)) == block.codes.size
            rows = block_rows(block)
            assert ("scale" in rows) == (kind.groups > 1)
            assert len({len(column) for column in rows.values()}) == 1
        assert rule_text(block).startswith("weight = ")
    with pytest.raises(QuantvizError, match="There is no block"):
        qv.inspect_block(x, f"{name}:pad=1", 0, last + 1, importance=h)


def test_arithmetic_reads_as_it_computes() -> None:
    x = np.linspace(-1, 1, 256, dtype=np.float32)[None]
    first = {
        name: arithmetic(qv.inspect_block(x, name, 0, 0))[0] for name in ("q4_0", "q4_1", "q4_k", "iq4_nl", "q8_0")
    }
    assert first["q4_0"] == "(0 − 8) × 0.125 = −1"
    assert first["q4_1"] == "−1 + 0 × 0.0162048 = −1"
    assert first["q8_0"].startswith("−127 × 0.00787")
    assert "0 → −127 × " in first["iq4_nl"] or "15 → 113 × " in first["iq4_nl"]
    assert first["q4_k"].count("+") == 1 and " × " in first["q4_k"]


def test_who_carries_the_error_adds_up() -> None:
    x = weights()
    a = attribute(x, "q4_k")
    assert a.bands[:, 1].sum() == pytest.approx(qv.evaluate(x, "q4_k").metrics["mse"] * x.size, rel=1e-6)
    assert a.block_rmse.shape == (24, 2)
