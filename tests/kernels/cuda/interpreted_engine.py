"""The engine cuda against `reference`, bit for bit, in Triton's interpreter: run by test_in_interpreter.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz import QuantvizError
from quantviz.kernels import cuda, engines, reference
from quantviz.kernels.arrays import TorchTensor
from quantviz.kernels.cpu import describe
from quantviz.kernels.cuda import job
from quantviz.schemes import Scheme
from quantviz.tensors import StoredTensor, as_stored

from ..inputs import INPUTS, SUBNORMAL
from ..test_engines import ONE_PER_RULE, assert_same, fits, shaped
from .checks import same_codes, same_measure, same_sums

DEVICE = "cpu"
# [132, 128]; blocks and channels do not mix them
ALL_HARD = np.ascontiguousarray(np.concatenate([*INPUTS.values(), SUBNORMAL])[:, 192:320])
OPTIONS = (
    "int4-sym-b64:clip=mse", "int3-asym-b32:clip=99", "int4-sym-tensor:clip=mse", "mxfp4:rotate=hadamard",
    "nvfp4:keep=1%", "nf4-b64:double=1,clip=mse,keep=1%", "int4-offset-b64:solver=hqq", "fp8_e4m3:keep=3%",
)  # fmt: skip


def small(key: str) -> np.ndarray:
    """Ragged weights, no larger than the scheme needs: an interpreter is slow."""
    return shaped((9, 290)) if fits(Scheme.parse(key), shaped((9, 290))) else shaped((130, 150))


def test_same_codes_on_the_whole_catalogue() -> None:
    for key in qv.catalogue():
        x = small(key)
        importance = np.arange(1, x.shape[1] + 1, dtype=np.float32) if Scheme.parse(key).needs_importance else None
        same_codes(torch.from_numpy(x), key, DEVICE, importance)


@pytest.mark.parametrize("key", [k for k in ONE_PER_RULE if "nvfp4" not in k and "tensor" not in k])
def test_same_codes_on_hard_weights(key: str) -> None:
    same_codes(torch.from_numpy(ALL_HARD), key, DEVICE)


@pytest.mark.parametrize("name", ["zero_blocks", "wide", "tiny", "large", "ties"])
def test_same_codes_on_hard_weights_under_one_scale_for_all(name: str) -> None:
    for key in ("nvfp4", "nvfp4:sixes=4", "int4-asym-tensor"):
        same_codes(torch.from_numpy(INPUTS[name]), key, DEVICE)


@pytest.mark.parametrize("key", ONE_PER_RULE)
def test_same_codes_from_every_dtype_with_every_scale_type(key: str) -> None:
    x = torch.from_numpy(small(key))
    for dtype, scale in ((torch.bfloat16, "fp32"), (torch.float16, "bf16")):  # fp16 is the default of most
        same_codes(x.to(dtype), key if Scheme.parse(key).scale is None else f"{key}:scale={scale}", DEVICE)


@pytest.mark.parametrize("key", ["int1-sym-tensor", "int4-offset-channel", "int4-asym-b40x140", "nvfp4"])
def test_groups_larger_than_a_tile_and_many_programs(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "INTERPRETED_TILE", 4096)
    monkeypatch.setattr(job, "LARGEST_TILE", 2048)
    monkeypatch.setattr("quantviz.kernels.cuda.measuring.LARGEST_MEASURED", 2048)
    x = torch.from_numpy(shaped((60, 150)))
    same_codes(x, key, DEVICE)
    same_measure(x, key, DEVICE, np.random.default_rng(0).random(150, np.float32))


def test_a_tensor_of_several_axes_and_one_of_one() -> None:
    for shape in ((3, 5, 80), (1000,)):
        same_codes(torch.from_numpy(shaped(shape)), "int4-asym-b32", DEVICE)


@pytest.mark.parametrize("key", ONE_PER_RULE)
def test_measures_the_same(key: str) -> None:
    x = torch.from_numpy(small(key))
    same_measure(x, key, DEVICE, np.random.default_rng(0).random(x.shape[1], np.float32))
    statistics = describe(as_stored(x))
    theirs = reference.measure(x, Scheme.parse(key), None)
    same_sums(cuda.measure(x, Scheme.parse(key), statistics=statistics), theirs, f"{key}, with statistics")


@pytest.mark.parametrize("name", ["tiny", "large", "wide"])
def test_measures_the_same_where_squares_leave_float32(name: str) -> None:
    for key in ("int4-asym-b32", "fp8_e4m3-b128"):
        same_measure(torch.from_numpy(INPUTS[name]), key, DEVICE)


@pytest.mark.parametrize("key", OPTIONS)
def test_options_give_the_same(key: str) -> None:
    x = torch.from_numpy(shaped((9, 384)))
    importance = np.random.default_rng(1).random(384, np.float32)
    same_codes(x, key, DEVICE, importance if "clip=mse" in key else None)
    same_measure(x, key, DEVICE, importance)


def test_sums_are_the_same_every_time() -> None:
    x = torch.from_numpy(shaped((64, 512)))
    a, b = (cuda.measure(x, Scheme.parse("int4-sym-b32")).sums for _ in range(2))
    assert a == b


# -- as people call it -------------------------------------------------------------------------


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine had a device: the kernels run in the interpreter on the CPU's tensors."""
    monkeypatch.setattr(engines, "cuda_problem", lambda: None)
    monkeypatch.setattr(engines, "cuda_device", lambda: torch.device("cpu"))


@pytest.mark.usefixtures("pretend")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8"])
def test_evaluates_and_quantizes_every_stored_dtype(dtype: str) -> None:
    x = (torch.from_numpy(shaped((9, 290))) * 40).to(getattr(torch, dtype))
    if dtype == "int8":  # weights only as a file's tensor; what Python hands over in it is codes
        x = StoredTensor(x.numpy().reshape(-1), dtype, (9, 290))
    else:
        x[0, 0] = 0.0
    ours, theirs = (qv.evaluate(x, "int4-asym-b64", device=device) for device in ("cuda", "reference"))
    engine = "cuda (reference: float64)" if dtype == "float64" else "cuda"  # errors are held against float64
    assert (ours.engine, ours.dtype) == (engine, dtype)
    assert ours.metrics.keys() == theirs.metrics.keys()
    for name, value in theirs.metrics.items():
        np.testing.assert_allclose(ours.metrics[name], value, rtol=1e-5, err_msg=name)
    np.testing.assert_array_equal(ours.histograms["error"].counts, theirs.histograms["error"].counts)
    assert_same(*(qv.quantize(as_stored(x), "int4-asym-b64", engine=e) for e in ("cuda", "reference")), dtype)


@pytest.mark.usefixtures("pretend")
def test_a_result_says_what_was_left_to_reference() -> None:
    x = shaped((9, 256))
    for options, engine in (("", "cuda"), (":clip=mse,keep=1%", "cuda (reference: clip, keep)")):
        assert qv.evaluate(x, f"int4-sym-b64{options}", device="cuda", detail="metrics").engine == engine


@pytest.mark.usefixtures("pretend")
def test_a_tensor_is_uploaded_once_for_many_schemes() -> None:
    stored = as_stored(shaped((9, 256)))
    assert cuda.on_device(stored) is cuda.on_device(stored)
    other = as_stored(shaped((10, 256)))
    assert cuda.on_device(other).shape == (10, 256)


@pytest.mark.usefixtures("pretend")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_weights_are_refused_with_their_place(bad: float) -> None:
    x = shaped((9, 256)).copy()
    x[3, 7] = bad
    for detail in ("full", "metrics"):
        with pytest.raises(QuantvizError, match=r"the first at \[3, 7\]"):
            qv.evaluate(x, "int4-asym-b64", device="cuda", detail=detail)
    with pytest.raises(QuantvizError, match=r"the first at \[3, 7\]"):
        qv.quantize(x, "nf4-b64", engine="cuda")


@pytest.mark.parametrize("shape", [(9, 290), (50,)])
def test_a_tensor_on_the_device_is_described_there(shape: tuple[int, ...]) -> None:
    x = shaped(shape)
    tensor = torch.from_numpy(x)
    ours = cuda.describe(TorchTensor(tensor.reshape(-1), "float32", x.shape))
    theirs = describe(as_stored(x))
    for name in ("shape", "count", "zeros", "min", "max"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name in ("mean", "std", "mean_abs", "sum_squares", "excess_kurtosis"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=1e-18)
    np.testing.assert_array_equal(ours.histogram.counts, theirs.histogram.counts)
    np.testing.assert_array_equal(ours.largest_index, theirs.largest_index)
    np.testing.assert_array_equal(ours.largest_value, theirs.largest_value)
