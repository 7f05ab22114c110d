"""Plain casts are ml_dtypes' and torch's, bit for bit: every code, every tie, every neighbour of either."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz.formats import FORMATS

from .inputs import INPUTS, SUBNORMAL
from .peers import ML_DTYPES

TORCH_FLOAT8 = {"fp8_e4m3": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2}


def overflow(name: str) -> float:
    """The magnitude from which rounding to nearest would leave the finite values: half a step past the largest."""
    f = FORMATS[name]
    return f.max + 2.0 ** (f.emax - f.mantissa_bits) / 2


def hard_values(name: str) -> np.ndarray:
    """Every finite value of the format, every midpoint, and the float32 neighbours of both, all of them in range."""
    finite = np.unique(FORMATS[name].values[np.isfinite(FORMATS[name].values)])
    middle = ((finite[:-1].astype(np.float64) + finite[1:]) / 2).astype(np.float32)
    points = np.concatenate([finite, middle, np.array([0.0, -0.0, 1e-45, -1e-45], np.float32)])
    random = np.random.default_rng(5).standard_normal(4096) * np.exp(np.random.default_rng(6).normal(0, 4, 4096))
    x = np.concatenate(
        [points, np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(-np.inf)),
         random.astype(np.float32), SUBNORMAL.ravel(), INPUTS["tiny"].ravel()]
    )  # fmt: skip
    return x[np.abs(x.astype(np.float64)) < overflow(name)]


def bits(array: np.ndarray) -> np.ndarray:
    """Bit patterns; ml_dtypes keeps a code of four or six bits in the low bits of a byte."""
    return array.view({1: np.uint8, 2: np.uint16, 4: np.uint32}[array.itemsize])


@pytest.mark.parametrize("name", ML_DTYPES)
def test_codes_and_values_are_ml_dtypes(name: str, engine: str) -> None:
    x = hard_values(name)
    expected = x.astype(ML_DTYPES[name])
    q = qv.quantize(x, name, engine=engine)
    np.testing.assert_array_equal(q.codes, bits(expected))
    np.testing.assert_array_equal(bits(q.dequantize()), bits(expected.astype(np.float32)))


@pytest.mark.parametrize("name", ML_DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_beyond_the_largest_value_a_cast_saturates(name: str, sign: int, engine: str) -> None:
    """Where ml_dtypes gives infinity or NaN, quantviz gives the largest finite value."""
    largest = np.float32(FORMATS[name].max)
    at = np.float32(min(overflow(name), np.finfo(np.float32).max))
    x = np.array([largest, np.nextafter(largest, np.float32(np.inf)), np.nextafter(at, np.float32(0)), at], np.float32)
    x = sign * np.append(x[np.isfinite(x)], np.finfo(np.float32).max)
    np.testing.assert_array_equal(qv.quantize(x, name, engine=engine).dequantize(), np.full_like(x, sign * largest))


@pytest.mark.parametrize("name", TORCH_FLOAT8)
def test_codes_are_torchs_float8(name: str, engine: str) -> None:
    x = hard_values(name)
    expected = torch.from_numpy(x).to(TORCH_FLOAT8[name])
    q = qv.quantize(x, name, engine=engine)
    np.testing.assert_array_equal(q.codes, expected.view(torch.uint8).numpy())
    np.testing.assert_array_equal(q.dequantize(), expected.float().numpy())


def test_fp32_changes_nothing(engine: str) -> None:
    x = np.concatenate([INPUTS["wide"].ravel(), SUBNORMAL.ravel(), np.array([-0.0], np.float32)])
    q = qv.quantize(x, "fp32", engine=engine)
    np.testing.assert_array_equal(q.codes, x.view(np.uint32))
    np.testing.assert_array_equal(bits(q.dequantize()), bits(x))
