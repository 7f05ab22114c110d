"""The definition of every rule, in numbers: what the readable engine makes of small tensors, as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from quantviz import Scheme
from quantviz.block_types import BLOCK_TYPES
from quantviz.errors import QuantvizError
from quantviz.kernels import engines, linear, reference, searching
from quantviz.kernels.arrays import TorchTensor, as_numpy, in_arrays_of
from quantviz.kernels.bins import Bins, error_bins, value_bins
from quantviz.kernels.overflow import BACK, ROTATING, beyond_float32, refuse_sums, refuse_values
from quantviz.kernels.reference import blocks
from quantviz.kernels.reference.rules import encode_float, over, power_of_two, store_minimum
from quantviz.kernels.results import Extremes, Quantized, scale_notices
from quantviz.kernels.rotation import rotate, unrotate
from quantviz.metrics import Sums
from tests.checkpoints.in_memory import told

HEADS = ("int4-sym-tensor", "int8-sym-channel", "int3-sym-b8", "int2-sym-b2x8", "int1-sym-b8", "int4-asym-b8",
         "int8-asym-tensor", "int4-offset-b8", "int4-offset-channel:scale=bf16", "int4-offset-b8:edge=1", "ternary-b8",
         "fp32", "bf16", "fp8_e4m3", "fp8_e5m2-channel", "fp8_e4m3fnuz-b8", "fp6_e2m3-b8", "fp4_e2m1-b8", "nf4-b8",
         "bnb_fp4-b16", "nf4-b8:double=1", "mxfp4", "mxfp6_e3m2", "mxfp8_e4m3", "mxint8", "nvfp4")  # fmt: skip
OPTIONS = ("int4-sym-b8:clip=mse", "int4-asym-b8:clip=mse", "int4-offset-b8:clip=99", "fp4_e2m1-b8:clip=90",
           "nf4-b8:clip=95", "int4-offset-b8:solver=hqq", "int4-sym-b8:rotate=hadamard", "int4-sym-b8:keep=3%",
           "int8-sym-b8:keep=0.3%,rotate=hadamard", "int4-sym-b8:range=full", "mxfp4:rule=even", "mxfp4:rule=ceil",
           "mxfp4:rule=rceil", "mxint8:rule=nearest", "mxfp8_e5m2:rule=even", "nvfp4:sixes=4", "nvfp4:tensor=none",
           "int4-sym-b8:scale=fp32", "int2-asym-b8:scale=bf16")  # fmt: skip


def tensors() -> dict[str, np.ndarray]:
    """Normal numbers; such with outliers, zeros and one sign; very small, very large and subnormal ones."""
    w = np.random.default_rng(0).standard_normal((5, 28), np.float32)
    odd = w.copy()
    odd[0], odd[1], odd[2, ::3], odd[3, 7] = 0, np.abs(odd[1]), -0.0, 60
    return {"normal": w, "odd": odd, "small": w * np.float32(1e-9), "large": w * np.float32(1e6),
            "least": w * np.float32(1e-39)}  # fmt: skip


def made(w: np.ndarray, key: str, importance: np.ndarray | None = None) -> list:
    """Codes and parameters, what they stand for, and the measures of that."""
    x, scheme = torch.from_numpy(w.copy()), Scheme.parse(key)
    try:
        q = reference.quantize(x, scheme, importance)
    except QuantvizError as refused:
        return [str(refused)]
    y = reference.dequantize(q)
    bins = (
        value_bins(float(w.min()), float(w.max())),
        error_bins(float(np.square(w, dtype=np.float64).mean()) / 50, 3.0),
    )
    found = reference.measure(x, scheme, bins, importance)
    arrays = (q.codes, q.scales, q.zero_points, q.minima, q.kept_index, q.kept_values, y)
    c = found.counts
    counts = (c.dequantized, c.error, c.abs_error_log, c.codes, c.block_rmse) if c else ()
    return [
        [told(a) for a in arrays], q.tensor_scale, q.notices, q.nbytes, q.bits_per_weight, asdict(found.sums),
        [told(a) for a in counts], c and [c.zeroed, c.clipped, c.least_error], found.notices,
    ]  # fmt: skip


def weighed(found: list) -> list:
    """The same in fewer words: the measures, and of arrays their sums."""
    if len(found) == 1:
        return found
    sums = {key: float(f"{value:.6g}") for key, value in found[5].items() if value is not None}
    shapes = " ".join(a[0] for a in (*found[0], *found[6]) if a)
    return [
        shapes,
        [a[1] for a in found[0] if a],
        found[2:5],
        [*sums.values()],
        [a[1] for a in found[6] if a],
        found[7],
    ]


@pytest.mark.parametrize("key", HEADS + OPTIONS)
def test_what_a_scheme_makes_of_weights(key: str, kept: Callable) -> None:
    importance = np.linspace(0, 2, 28)
    for name, w in tensors().items():
        if name in ("normal", "odd") or key in HEADS:
            kept(weighed(made(w, key)))
    if "clip=mse" in key:
        kept(weighed(made(w, key, importance)))


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_what_blocks_of_any_bytes_are_measured_as(name: str, kept: Callable) -> None:
    kind = BLOCK_TYPES[name]
    cols, rng = max(kind.block, 64) + 9, np.random.default_rng(0)
    padded = kind.padded(cols)
    data = rng.integers(0, 0x50, (3, kind.row_bytes(padded)), np.uint8)
    found = kind.unpack(torch.from_numpy(data).reshape(-1, kind.nbytes))
    codes, scales = found.codes.reshape(3, -1)[:, :cols], found.scales.reshape(3, -1)
    minima = None if found.minima is None else found.minima.reshape(3, -1)
    q = Quantized(Scheme.parse(f"{name}:pad=1"), (3, cols), codes, scales, minima=minima, data=torch.from_numpy(data))
    y = reference.dequantize(q)
    size = float(y.abs().mean())
    x = y + torch.from_numpy(rng.standard_normal((3, cols), np.float32)) * size
    bins = Bins(np.float32(-4 * size), np.float32(4 * size), 64), Bins(np.float32(-size), np.float32(size), 32)
    for importance in (None, np.linspace(0, 2, cols)):
        measures = blocks.measured(x, q, y, bins, importance)
        c = measures.counts
        kept([{key: value and float(f"{value:.6g}") for key, value in asdict(measures.sums).items()}, told(y),
              [told(a) for a in (c.dequantized, c.error, c.codes, c.block_rmse)], c.zeroed, c.clipped])  # fmt: skip
    assert blocks.measured(x, q, y, None, None).counts is None


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "fp8_e4m3fnuz", "fp4_e2m1"])
def test_codes_of_floats(name: str, kept: Callable) -> None:
    x = np.array([0, -0.0, 1e-45, -1e-9, 2**-9, 0.1, 0.25, 0.75, 1, 1.5, -2.5, 5, 7, 240, 464, -500, 65519, 1e30])
    kept(encode_float(torch.from_numpy(x.astype(np.float32)), Scheme.parse(name).fmt).tolist())


def test_small_steps_of_the_rules(kept: Callable) -> None:
    kept([power_of_two(torch.tensor([-1022, -1, 0, 52, 1023])).tolist(), told(over(torch.tensor([1.0, 3.0]), 7.0))])
    minima = torch.tensor([-1e6, 1e6, 0.1, float("inf")])
    kept([store_minimum(minima, Scheme.parse(f"int4-offset-b8:scale={s}")).tolist() for s in ("fp16", "bf16", "fp32")])
    ranks = [searching.percentile_rank(Fraction(p), np.array([1, 3, 100, 1001])) for p in ("99.9", "50", "100", "1/3")]
    kept([ranks, [float(s) for s in searching.COARSE_SHRINKS], len(searching.NEARER_SHRINKS), searching.HOPELESS])
    kept([[float(n) for n in row] for row in searching.NEARER_SHRINKS])
    kept([searching.HQQ_EXPONENT, searching.HQQ_BETA, searching.HQQ_ITERATIONS])


@pytest.mark.parametrize("n", [1, 2, 4, 12, 28, 64, 80])
def test_rotations(n: int, kept: Callable) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, n), np.float32))
    kept([told(rotate(x)), told(rotate(x, 3)), told(unrotate(x))])
    assert torch.allclose(unrotate(rotate(x)), x, atol=1e-5)


def test_bins(kept: Callable) -> None:
    for low, high in ((-1, 3), (2, 2), (0, 0), (1, 1 + 2**-20), (-3.4e38, 3.4e38), (1e-45, 2e-45), (-5, -4)):
        b = value_bins(low, high)
        kept([float(b.lo), float(b.hi), b.count, float(b.inverse_width)])
    for mean, largest in ((1, 2), (0, 2), (1e-20, 1e3), (1e76, 1)):
        b = error_bins(mean, largest)
        kept([float(b.lo), float(b.hi), b.count])
    values = np.array([np.nan, -np.inf, -1.001, -1, -0.5, 0, 0.999, 1, 1.001, np.inf], np.float32)
    kept(Bins(np.float32(-1), np.float32(1), 7).places(values).tolist())
    kept([Extremes(-3, 2, 1).max_abs, Extremes(-3, 4, 1).max_abs])


# -- sentences ---------------------------------------------------------------------------------------

OVERFLOWING = ("int4-sym-b8", "int4-asym-b8", "int4-offset-b8:scale=bf16", "int8-sym-b8:scale=bf16", "int1-asym-b8",
               "int4-sym-b8:rotate=hadamard", "nf4-b8", "bnb_fp4-b8", "fp8_e4m3-b8:scale=bf16", "mxint8", "mxfp4",
               "q4_0", "q4_k", "gguf_mxfp4", "nvfp4", "fp16", "ternary-b8:scale=bf16",
               "int7-asym-b8:scale=bf16")  # fmt: skip


@pytest.mark.parametrize("key", OVERFLOWING)
def test_what_is_said_of_weights_that_are_too_large(key: str, kept: Callable) -> None:
    scheme = Scheme.parse(key)
    kept([str(beyond_float32(name, scheme, what)) for name, what in (("", None), ("w", ROTATING), ("w", BACK))])
    said = []
    for value in (1.0, np.inf, np.nan):
        try:
            refuse_sums(replace(Sums(), squared=value), "w", scheme)
        except QuantvizError:
            said.append(value)
    kept(len(said))


@pytest.mark.parametrize("key", ["int4-sym-b8", "int4-asym-b8", "int4-offset-b8", "int4-sym-b8:rotate=hadamard",
                                 "nf4-b8", "fp8_e4m3-b8"])  # fmt: skip
def test_values_that_may_be_beyond_float32_are_looked_at(
    key: str, kept: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def dequantize(q: Quantized) -> np.ndarray:
        looked.append(q)
        return np.array([np.inf if len(looked) % 2 else 1.0])

    monkeypatch.setattr(Quantized, "dequantize", dequantize)
    found = []
    for scale in (1.0, 7e35, 2e37, 4.8e37, 4.9e37, -4.9e37, 3.4e38, np.inf):
        for more in ({}, {"minima": np.array([-3.3e38])}, {"tensor_scale": -16.0}):
            before = len(looked)
            q = Quantized(Scheme.parse(key), (1, 8), np.zeros((1, 8)), np.array([[scale]]), **more)
            try:
                refuse_values(q, "w")
                found.append(f"{len(looked) - before}")
            except QuantvizError:
                found.append("refused")
    kept(" ".join(found))


def test_scales_that_vanished_or_saturated(kept: Callable) -> None:
    for key in ("int4-sym-b8", "nvfp4:tensor=none", "int4-sym-b8:scale=bf16"):
        kept([scale_notices(Scheme.parse(key), v, s) for v in (0, 1, 2) for s in (0, 1, 1000)])
    with pytest.raises(QuantvizError) as refused:
        Quantized(Scheme.parse("int4-sym-b8"), (1, 8), np.zeros((1, 8))).tobytes()
    kept(str(refused.value))
    for device in ("tpu", "CPU"):
        with pytest.raises(QuantvizError) as refused:
            linear.pack(np.zeros((1, 8), np.float32), "int4-sym-b8", device)
        kept(str(refused.value))
    with pytest.raises(QuantvizError) as refused:
        engines.check_engine("gpu")
    kept(str(refused.value))


def test_arrays_of_torch_and_numpy() -> None:
    w = torch.arange(6, dtype=torch.float64).reshape(2, 3)
    stored = TorchTensor.of(w)
    assert TorchTensor.of(w.numpy()) is None and stored.shape == (2, 3) and stored.is_wide
    assert stored.read(1, 3).tolist() == [1, 2] and stored.read_exactly(4).dtype == np.float64
    q = reference.quantize(w.float(), Scheme.parse("int4-asym-b8:keep=20%"))
    there = as_numpy(q)
    for name in ("codes", "scales", "zero_points", "kept_index", "kept_values"):
        assert isinstance(getattr(there, name), np.ndarray), name
        assert isinstance(getattr(in_arrays_of(w, there), name), torch.Tensor), name
        assert isinstance(getattr(in_arrays_of(w.numpy(), q), name), np.ndarray), name
