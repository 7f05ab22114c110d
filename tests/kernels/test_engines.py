"""Every engine gives the codes, parameters and values of `reference` on every scheme, and measures alike."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz.evaluation.comparison import refusal
from quantviz.kernels import cpu
from quantviz.kernels.arrays import in_arrays_of
from quantviz.kernels.bins import Bins
from quantviz.kernels.engines import verbs
from quantviz.kernels.reference.blocks import BORROWED
from quantviz.kernels.results import Quantized
from quantviz.schemes import Scheme
from quantviz.tensors import as_stored

from .inputs import INPUTS, SUBNORMAL

# Relative difference of a metric between the engines: they add the same float32 terms in different orders.
METRIC_TOLERANCE = 1e-5
# Σ e² of a group is kept in float32.
BLOCK_TOLERANCE = 1e-5
# Percentiles are read inside a logarithmic bin from equal counts, so they differ only by float64 rounding.
PERCENTILE_TOLERANCE = 1e-12

# One scheme a rule, and more where a rule branches; each is tried with every scale type and stored dtype.
ONE_PER_RULE = (
    "fp8_e4m3", "fp16", "int4-sym-b32", "int8-sym-channel", "int1-sym-b32", "int4-asym-b32", "int3-asym-tensor",
    "int4-offset-b32", "int2-offset-channel", "ternary-channel", "fp8_e4m3-b128x128", "fp4_e2m1-b32", "nf4-b64",
    "bnb_fp4-b32", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp4", "mxint8", "nvfp4", "fp8_e4m3fnuz",
    "fp8_e5m2fnuz-b32", "int4-sym-b32:range=full", "mxfp4:rule=even", "mxint8:rule=ceil", "mxfp8_e5m2:rule=rceil",
    "mxfp6_e3m2:rule=nearest", "nvfp4:tensor=none", "nvfp4:sixes=4", "int4-offset-b32:edge=1", "q4_0:pad=1",
    "q4_k:pad=1", "iq2_s:pad=1",
)  # fmt: skip
SCALES = ("fp32", "fp16", "bf16")
# The whole catalogue: rule -> keys.
RULES = {rule: [k for k in qv.catalogue() if Scheme.parse(k).rule == rule]
         for rule in sorted({Scheme.parse(k).rule for k in qv.catalogue()})}  # fmt: skip


@cache
def shaped(shape: tuple[int, ...]) -> np.ndarray:
    """Normal weights with a few large ones, zeros of both signs, and one row in six of tiny ones."""
    rng = np.random.default_rng(list(shape))
    x = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
    pick = rng.random(shape)
    x[pick < 0.004] *= np.float32(30)
    x[pick > 0.97] = 0.0
    x[pick > 0.985] = -0.0
    if len(shape) > 1:
        x[::6] *= np.float32(1e-6)
    return x


SHAPES = {
    "ragged rows": (37, 300),
    "one-dimensional": (1000,),
    "three-dimensional": (3, 5, 272),
    "one row": (1, 4097),
    "tall and narrow": (611, 17),
    "shorter than a block": (9, 15),
    "tiles ragged both ways": (269, 300),
    "rows of a power of two": (256, 512),
}
STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def fits(scheme: Scheme, x: np.ndarray) -> bool:
    return refusal(scheme, x.shape, with_importance=True) is None


def fitting(key: str, x: np.ndarray) -> str:
    """The key; of a block type whose blocks do not divide the rows, with padding."""
    s = Scheme.parse(key)
    return f"{key}:pad=1" if s.rule == "block type" and not s.pad and x.shape[-1] % s.fmt.block else key


def needed(key: str, x: np.ndarray) -> np.ndarray | None:
    """Importance for the types that cannot do without."""
    if not Scheme.parse(key).needs_importance:
        return None
    return np.random.default_rng(7).random(x.shape[-1], dtype=np.float32)


def own(notices: tuple[str, ...]) -> tuple[str, ...]:
    """Without what the reference engine alone says."""
    return tuple(n for n in notices if n != BORROWED)


def assert_same(ours: Quantized, theirs: Quantized, where: str) -> None:
    """Equal to the bit in every field."""
    for name in ("codes", "scales", "zero_points", "minima", "data"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert (a is None) == (b is None), f"{name}, {where}"
        if a is not None:
            assert a.dtype == b.dtype, f"{name}, {where}: {a.dtype} and {b.dtype}"
            np.testing.assert_array_equal(a, b, err_msg=f"{name}, {where}")
    assert (ours.tensor_scale, ours.shape) == (theirs.tensor_scale, theirs.shape), where
    assert ours.notices == own(theirs.notices), where
    a, b = (np.nan_to_num(np.asarray(q.dequantize()), nan=-1, posinf=None, neginf=None) for q in (ours, theirs))
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32), err_msg=f"dequantized, {where}")


def quantize_on_both(x, key: str, engine: str, where: str) -> None:
    key = fitting(key, x)
    ours, theirs = (quantized_or_refused(x, key, which) for which in (engine, "reference"))
    assert ours[1] == theirs[1], where
    assert_same(ours[0], theirs[0], where)


def quantized_or_refused(x, key: str, engine: str) -> tuple[Quantized, str]:
    """What an engine makes of the weights, and the sentence that refuses it where a scale is beyond its type."""
    try:
        return qv.quantize(x, key, needed(key, x), engine=engine), ""
    except qv.QuantvizError as refused:
        assert "weights too large for" in str(refused), key
        use = verbs(engine)
        q = use.quantize(use.take(x), Scheme.parse(key), needed(key, x))
        return in_arrays_of(x, q.shaped(x.shape)), str(refused)


@pytest.mark.parametrize("rule", RULES)
def test_same_codes_on_every_shape(rule: str, fast_engine: str) -> None:
    for key in RULES[rule]:
        for what, shape in SHAPES.items():
            if rule == "block type" or fits(Scheme.parse(key), shaped(shape)):
                quantize_on_both(shaped(shape), key, fast_engine, f"{key}, {what}")


@pytest.mark.parametrize("name", [*INPUTS, "subnormal"])
def test_same_codes_on_hard_weights(name: str, fast_engine: str) -> None:
    x = SUBNORMAL if name == "subnormal" else INPUTS[name]
    for key in qv.catalogue():
        if fits(Scheme.parse(key), x):
            quantize_on_both(x, key, fast_engine, key)


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("key", ONE_PER_RULE)
def test_same_codes_from_every_stored_dtype_with_every_scale_type(key: str, dtype: str, fast_engine: str) -> None:
    x = torch.from_numpy(shaped((269, 300))).to(STORED[dtype])
    keys = {key} if Scheme.parse(key).scale is None else {f"{key}:scale={scale}" for scale in SCALES}
    for k in keys:
        ours, theirs = qv.quantize(x, k, engine=fast_engine), qv.quantize(x, k, engine="reference")
        assert all(isinstance(q.codes, torch.Tensor) for q in (ours, theirs)), "a torch tensor in gives torch out"
        assert torch.equal(ours.codes.to(torch.int64), theirs.codes.to(torch.int64)), k
        assert torch.equal(ours.dequantize(), theirs.dequantize()), k


def assert_measures_same(x, key: str, engine: str, where: str, **options) -> None:
    key = fitting(key, x)
    options = {"importance": needed(key, x)} | options
    ours = qv.evaluate(x, key, device=engine, **options)
    theirs = qv.evaluate(x, key, device="reference", **options)
    assert ours.metrics.keys() == theirs.metrics.keys(), where
    for name, value in theirs.metrics.items():
        tolerance = PERCENTILE_TOLERANCE if name.startswith("abs_error_p") else METRIC_TOLERANCE
        np.testing.assert_allclose(ours.metrics[name], value, rtol=tolerance, atol=1e-45, err_msg=f"{name}, {where}")
    for name in ("scheme", "shape", "dtype"):
        assert getattr(ours, name) == getattr(theirs, name), where
    assert ours.notices == own(theirs.notices), where
    if theirs.histograms is None:
        assert ours.histograms is None and ours.code_counts is None and ours.block_errors is None
        return
    for name, h in theirs.histograms.items():
        np.testing.assert_array_equal(ours.histograms[name].counts, h.counts, err_msg=f"{name}, {where}")
        assert (ours.histograms[name].below, ours.histograms[name].above) == (h.below, h.above), f"{name}, {where}"
        assert h.total == theirs.statistics.count, f"{name}, {where}"
    if theirs.code_counts is not None:
        np.testing.assert_array_equal(ours.code_counts, theirs.code_counts, err_msg=where)
        assert theirs.code_counts.sum() == theirs.statistics.count
    assert ours.block_errors.shape == theirs.block_errors.shape, where
    np.testing.assert_allclose(ours.block_errors, theirs.block_errors, rtol=BLOCK_TOLERANCE, atol=1e-30, err_msg=where)


@pytest.mark.parametrize("rule", RULES)
def test_same_measurements(rule: str, fast_engine: str) -> None:
    for key in RULES[rule]:
        for what in ("ragged rows", "one-dimensional", "tiles ragged both ways"):
            x = shaped(SHAPES[what])
            if rule == "block type" or fits(Scheme.parse(key), x):
                assert_measures_same(x, key, fast_engine, f"{key}, {what}")
                assert_measures_same(x, key, fast_engine, f"{key}, {what}", detail="metrics")


@pytest.mark.parametrize("key", ONE_PER_RULE)
@pytest.mark.parametrize("dtype", STORED)
def test_same_measurements_from_every_stored_dtype(key: str, dtype: str, fast_engine: str) -> None:
    assert_measures_same(torch.from_numpy(shaped((269, 300))).to(STORED[dtype]), key, fast_engine, dtype)


@pytest.mark.parametrize("key", ONE_PER_RULE)
def test_same_measurements_over_many_pieces(key: str, fast_engine: str) -> None:
    """More weights than an engine takes at once, an odd number of rows, with importance."""
    x = shaped((1031, 640))
    importance = np.random.default_rng(9).random(640, dtype=np.float32)
    assert_measures_same(x, key, fast_engine, "pieces", importance=importance)


@pytest.mark.parametrize("key", ["int4-sym-b32", "nf4-b64", "mxfp4", "fp8_e4m3", "q4_0", "q4_k:pad=1"])
def test_progress_reaches_the_end_and_may_stop_the_work(key: str, fast_engine: str) -> None:
    x, seen = shaped((1031, 640)), []
    qv.evaluate(x, key, device=fast_engine, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (x.size, x.size) and seen == sorted(seen)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        qv.evaluate(x, key, device=fast_engine, progress=stop)


def test_any_number_of_bins_counts_every_weight() -> None:
    x, f4 = as_stored(shaped((60, 160))), np.float32
    for key in ("int4-sym-b32", "q4_k:pad=1"):
        found = cpu.measure(x, Scheme.parse(key), (Bins(f4(-1), f4(1), 3000), Bins(f4(-1), f4(1), 7000)))
        assert (len(found.counts.dequantized), len(found.counts.error)) == (3002, 7002)
        assert found.counts.dequantized.sum() == found.counts.error.sum() == x.size


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e38, 3.4e38])
@pytest.mark.filterwarnings("error")
def test_every_weight_is_counted_at_the_ends_of_float32(size: float, engine: str) -> None:
    x = (np.random.default_rng(0).uniform(-1, 1, (64, 256)) * size).astype(np.float32)
    for key in ("fp8_e4m3", "ternary-tensor", "int2-sym-tensor:scale=fp32", "nf4-b64:scale=fp32", "mxfp4"):
        for found in qv.evaluate(x, key, device=engine).histograms.values():
            assert math.isfinite(found.lo) and math.isfinite(found.hi) and found.lo < found.hi, key
            assert found.counts.sum() + found.below + found.above == x.size, key
