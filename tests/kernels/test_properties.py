"""What must hold of every quantizer, whatever the weights: found by hypothesis, on every engine."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantviz as qv
from quantviz.evaluation.comparison import refusal
from quantviz.formats import FORMATS, FloatFormat, IntFormat
from quantviz.kernels.results import Quantized
from quantviz.schemes import Scheme

from .hostile import with_options
from .test_engines import ONE_PER_RULE, RULES, needed, own

SETS_OF_OPTIONS = 3
RULE_NUMBER = {rule: number for number, rule in enumerate(RULES)}
CASTS = tuple(name for name, f in FORMATS.items() if isinstance(f, FloatFormat))


def weights(largest: float = 1e30, smallest: float = 0.0, min_cols: int = 1):
    """float32 tensors [1 to 4, up to 70]; magnitudes from `smallest` (but zero too) to `largest`."""
    limit = float(np.float32(largest))
    element = st.floats(-limit, limit, width=32, allow_subnormal=smallest == 0)
    if smallest:
        element = element.map(lambda v: v if abs(v) >= smallest else 0.0)
    shapes = st.tuples(st.integers(1, 4), st.integers(min_cols, 70))
    return hnp.arrays(np.float32, shapes, elements=element, fill=st.just(np.float32(0.01)))


def spread(parameter: np.ndarray, scheme: Scheme, shape: tuple[int, int]) -> np.ndarray:
    """A parameter of each group, repeated over the weights of the group."""
    g, (rows, cols) = scheme.granularity, shape
    return parameter.repeat(g.rows or rows, axis=0)[:rows].repeat(g.cols or cols, axis=1)[:, :cols]


def values_of(q: Quantized) -> np.ndarray:
    """DESIGN's formulas once more, in NumPy: what the stored parts stand for."""
    scheme, f = q.scheme, q.scheme.fmt
    if scheme.rule == "cast":
        return q.codes.view(np.float32) if f.bits == 32 else f.values[q.codes]
    scale = None if scheme.rule == "block type" else spread(q.scales, scheme, q.shape)
    match scheme.rule:
        case "asym":
            return (q.codes.astype(np.float32) - spread(q.zero_points, scheme, q.shape).astype(np.float32)) * scale
        case "offset":
            return spread(q.minima, scheme, q.shape) + q.codes.astype(np.float32) * scale
        case "scaled" | "codebook":
            return f.values[q.codes] * scale
        case "mx":
            level = q.codes.astype(np.float32) / 64 if isinstance(f.element, IntFormat) else f.element.values[q.codes]
            return level * scale
        case "block type":
            numbers = f.numbers[q.codes.astype(int) - f.first_code]
            cols = q.codes.shape[1]
            value = np.repeat(q.scales, f.group, axis=1)[:, :cols] * numbers
            return value if q.minima is None else value + np.repeat(q.minima, f.group, axis=1)[:, :cols]
        case "nvfp4":
            return f.element.values[q.codes] * (np.float32(q.tensor_scale) * scale)
    return q.codes.astype(np.float32) * scale


@pytest.mark.parametrize("rule", RULES)
@given(data=st.data())
def test_codes_are_in_range_and_values_are_what_the_stored_parts_say(rule: str, engine: str, data) -> None:
    x = data.draw(weights(min_cols=32))
    keys = [k + ":pad=1" * (rule == "block type") for k in RULES[rule]]
    key = data.draw(
        st.sampled_from([k for k in keys if refusal(Scheme.parse(k), x.shape, with_importance=True) is None])
    )
    try:
        q = qv.quantize(x, key, needed(key, x), engine=engine)
    except qv.QuantvizError as refused:
        assert rule == "block type" and "ggml stores infinity" in str(refused)  # fp16 ends at 65,504
        return
    low, high = q.scheme.code_range
    assert low <= int(q.codes.min()) and int(q.codes.max()) <= high
    np.testing.assert_array_equal(q.dequantize(), values_of(q))


@pytest.mark.parametrize("rule", RULES)
def test_the_error_measured_is_that_of_what_quantize_gives(rule: str, engine: str) -> None:
    x = np.random.default_rng(5).standard_normal((128, 256), dtype=np.float32)
    with_their_options = [k for one in ONE_PER_RULE if Scheme.parse(one).rule == rule for k in with_options(one)]
    # Each set of options meets some rules: all with all would take minutes to compile, and say no more.
    some = with_their_options[RULE_NUMBER[rule] % SETS_OF_OPTIONS :: SETS_OF_OPTIONS]
    for key in (*RULES[rule], *some):
        h = needed(key, x)
        error = qv.quantize(x, key, h, engine=engine).dequantize().astype(np.float64) - x
        measured = qv.evaluate(x, key, h, device=engine, detail="metrics").metrics["rmse"]
        assert measured == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6), key


@pytest.mark.parametrize("granularity", ["tensor", "channel", "b16"])
@pytest.mark.parametrize("symmetry", ["sym", "asym", "offset"])
@given(x=weights(min_cols=16), bits=st.integers(2, 8))
def test_integers_stay_within_half_a_step(
    x: np.ndarray, bits: int, symmetry: str, granularity: str, engine: str
) -> None:
    q = qv.quantize(x, f"int{bits}-{symmetry}-{granularity}:scale=fp32", engine=engine)
    step = spread(q.scales, q.scheme, q.shape).astype(np.float64)
    error = np.abs(q.dequantize().astype(np.float64) - x)
    # Besides half a step: rounding of the scale, of the quotient and of the value itself, all in float32.
    span = step * q.scheme.fmt.max_unsigned + (np.abs(x).max() if symmetry == "offset" else 0)
    assert (error <= step / 2 + span * 2.0**-22 + 2.0**-126).all()


# Schemes whose scale survives its own dequantized weights, so that a second pass must change nothing. (With a
# float32 scale, max / Q · Q / Q may end one unit in the last place away.)
IDEMPOTENT = (
    *CASTS, "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4", "mxint8",
    "nf4-b16", "nf4-b32:scale=fp16", "bnb_fp4-b16", "int1-sym-channel", "int2-sym-b16", "int4-sym-b16",
    "int8-sym-tensor", "int4-sym-channel:scale=bf16",
)  # fmt: skip


@pytest.mark.parametrize("key", IDEMPOTENT)
@given(x=weights(largest=1e3, smallest=1e-2, min_cols=32))
def test_quantizing_again_changes_nothing(x: np.ndarray, key: str, engine: str) -> None:
    once = qv.quantize(x, key, engine=engine).dequantize()
    np.testing.assert_array_equal(qv.quantize(once, key, engine=engine).dequantize(), once)


@pytest.mark.parametrize("name", CASTS)
@given(
    x=hnp.arrays(np.float32, st.integers(2, 60), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_casts_are_monotone_and_odd(x: np.ndarray, name: str, engine: str) -> None:
    x = np.sort(x)
    y = qv.quantize(x, name, engine=engine).dequantize()
    assert (np.diff(y.astype(np.float64)) >= 0).all()
    np.testing.assert_array_equal(qv.quantize(-x, name, engine=engine).dequantize(), -y)


@pytest.mark.parametrize("rule", RULES)
def test_zeros_stay_exact_zeros(rule: str, engine: str) -> None:
    for key in RULES[rule]:
        for zero in (0.0, -0.0):
            x = np.full((128, 256), zero, np.float32)
            q = qv.quantize(x, key, needed(key, x), engine=engine)
            assert not q.dequantize().any() and not own(q.notices), key
            has_zero = rule != "mx" and key != "gguf_mxfp4"  # E8M0 has none: the scale is 2^-127
            if q.scales is not None and has_zero:
                assert not q.scales.any() or rule == "nvfp4", key


@pytest.mark.parametrize("key", [k for k in qv.catalogue() if k.endswith("-b32")] + ["mxfp4", "mxint8"])
def test_a_block_of_zeros_beside_weights_stays_exact_zeros(key: str, engine: str) -> None:
    x = np.random.default_rng(0).standard_normal((4, 96), dtype=np.float32)
    x[1, 32:64] = 0
    y = qv.quantize(x, key, engine=engine).dequantize()
    assert not y[1, 32:64].any() and y[1, :32].any()


def test_one_outlier_takes_its_whole_block_and_no_other(engine: str) -> None:
    x = np.full((1, 64), 0.4, np.float32)
    x[0, 5] = 10
    y = qv.quantize(x, "int4-sym-b32:scale=fp32", engine=engine).dequantize()
    assert y[0, 5] == 10 and not np.delete(y[0, :32], 5).any()
    np.testing.assert_allclose(y[0, 32:], 0.4, rtol=1e-6)


@pytest.mark.parametrize("key", ["int4-sym-b32", "int4-asym-b32", "int4-offset-b32", "int1-sym-b32", "ternary-channel"])
def test_a_scale_that_fp16_cannot_hold_gives_zeros_and_says_so(key: str, engine: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 64), dtype=np.float32) * np.float32(1e-10)
    q = qv.quantize(x, key, engine=engine)
    assert not q.dequantize().any()
    assert len(q.notices) == 1 and "fp16" in q.notices[0] and "scale=fp32" in q.notices[0]
    assert qv.evaluate(x, key, device=engine).notices == q.notices
    kept = qv.quantize(x, f"{key}:scale=fp32", engine=engine)
    assert kept.dequantize().any() and not kept.notices


@pytest.mark.parametrize("key", ["int4-sym-b32", "int4-asym-b32", "nf4-b64:scale=fp16"])
def test_a_scale_beyond_fp16_is_cut_and_says_so(key: str, engine: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 64), dtype=np.float32) * np.float32(1e10)
    q = qv.quantize(x, key, engine=engine)
    assert np.isfinite(q.dequantize()).all()
    assert (q.scales == np.finfo(np.float16).max).all() and "exceeded" in q.notices[0]


def test_minus_zero_survives_a_cast(engine: str) -> None:
    y = qv.quantize(np.array([-0.0, -1e-30, 0.0], np.float32), "fp8_e4m3", engine=engine).dequantize()
    np.testing.assert_array_equal(np.signbit(y), [True, True, False])
