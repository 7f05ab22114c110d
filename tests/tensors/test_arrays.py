"""Whatever Python may hand over as weights or importance: the same result as a plain array, or one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import torch

import quantviz as qv
from quantviz import QuantvizError
from quantviz.evaluation.pairs import evaluate_pair
from quantviz.outliers.attribution import attribute
from quantviz.tensors import READ_AS_FLOAT32

X = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
X = X.astype(ml_dtypes.bfloat16).astype(np.float32)  # so that every float type but float8 holds the same weights
T = torch.from_numpy(X)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "quantize": lambda w, **k: qv.quantize(w, "int4-sym-b32", **k),
    "quantize, reference": lambda w, **k: qv.quantize(w, "int4-sym-b32", engine="reference", **k),
    "evaluate": lambda w, **k: qv.evaluate(w, "int4-sym-b32", **k),
    "evaluate, reference": lambda w, **k: qv.evaluate(w, "int4-sym-b32", device="reference", **k),
    "describe": lambda w: qv.describe(w),
    "compare": lambda w, **k: qv.compare(w, ["int4-sym-b32", "q4_0"], **k),
    "inspect_block": lambda w, **k: qv.inspect_block(w, "int4-sym-b32", 0, 0, **k),
    "attribute": lambda w, **k: attribute(w, "int4-sym-b32", **k),
    "evaluate_pair": lambda w, **k: evaluate_pair(X, w, **k),
}


class Named(torch.Tensor):
    """A class of somebody's own that changes nothing."""


class Wrapper(torch.Tensor):
    """One whose numbers only its own methods know, as torchao's and DTensor are."""

    @staticmethod
    def __new__(cls):
        return torch.Tensor._make_wrapper_subclass(cls, X.shape, dtype=torch.bfloat16)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise NotImplementedError(func)

    def dequantize(self):
        return T


def backwards(t: Any) -> Any:
    return t[::-1, ::-1].copy()[::-1, ::-1]


def mapped(tmp: Any) -> np.ndarray:
    np.save(tmp / "x.npy", X)
    return np.load(tmp / "x.npy", mmap_mode="r")


def unaligned() -> np.ndarray:
    raw = np.zeros(X.nbytes + 1, np.uint8)
    raw[1:] = X.reshape(-1).view(np.uint8)
    return raw[1:].view(np.float32).reshape(X.shape)


GOOD: dict[str, Callable[[Any], Any]] = {
    "float64": lambda _: X.astype(np.float64),
    "bfloat16 of ml_dtypes": lambda _: X.astype(ml_dtypes.bfloat16),
    "big-endian": lambda _: X.astype(">f4"),
    "Fortran order": lambda _: np.asfortranarray(X),
    "negative strides": lambda _: backwards(X),
    "unaligned": lambda _: unaligned(),
    "read-only": lambda _: np.frombuffer(X.tobytes(), np.float32).reshape(X.shape),
    "memory-mapped": mapped,
    "matrix": lambda _: np.asmatrix(X),
    "masked, nothing hidden": lambda _: np.ma.array(X, mask=np.zeros_like(X, bool)),
    "lists": lambda _: X.tolist(),
    "a list of rows": lambda _: list(X),
    "DataFrame": lambda _: pd.DataFrame(X),
    "an object with __array__": lambda _: pd.DataFrame(X).to_numpy().view(np.ndarray),
    "torch": lambda _: T,
    "torch, with a gradient": lambda _: T.clone().requires_grad_(),
    "torch, of a graph": lambda _: T.clone().requires_grad_() * 1,
    "Parameter": lambda _: torch.nn.Parameter(T.clone()),
    "bfloat16": lambda _: T.bfloat16(),
    "float64 of torch": lambda _: T.double(),
    "transposed": lambda _: T.T.contiguous().T,
    "expanded": lambda _: T.clone()[None].expand(1, 4, 64)[0],
    "negative bit": lambda _: torch.complex(T, -T).conj().imag,
    "a class that changes nothing": lambda _: T.as_subclass(Named),
}

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (lambda: T.to_sparse(), r"sparse_coo; x\.to_dense\(\)"),
    "sparse rows": (lambda: T.to_sparse_csr(), r"sparse_csr; x\.to_dense\(\)"),
    "nested": (lambda: torch.nested.nested_tensor([T, T]), r"several tensors in one"),
    "meta": (lambda: T.to("meta"), "no numbers; load it first"),
    "quantized by torch": (lambda: torch.quantize_per_tensor(T, 0.1, 0, torch.qint8), r"qint8; x\.dequantize\(\)"),
    "complex of torch": (lambda: T.to(torch.complex64), "dtype complex64 holds no weights"),
    "codes": (lambda: torch.ones(4, 64, dtype=torch.uint8), "dtype uint8 holds codes.*dequantized"),
    "codes in a Parameter": (lambda: torch.nn.Parameter(torch.ones(4, 32, dtype=torch.uint8), False), "holds codes"),
    "codes of NumPy": (lambda: np.ones((4, 64), np.int8), "dtype int8 holds codes"),
    "a wrapper": (Wrapper, r"Wrapper of tests, whose numbers only tests knows; x\.dequantize\(\)"),
    "not there yet": (lambda: torch.nn.Linear(1, 1) and torch.nn.LazyLinear(3).weight, "has no numbers yet"),
    "complex": (lambda: X.astype(np.complex64), "dtype complex64 holds no weights"),
    "whole numbers": (lambda: X.astype(np.int64), "dtype int64 holds no weights; give one of float64, float32"),
    "objects": (lambda: X.astype(object), "of type ndarray and dtype object"),
    "None": (lambda: None, "of type NoneType"),
    "text": (lambda: "demo", "is a text, 'demo'.*open_model"),
    "texts": (lambda: np.array([["a", "b"]]), "holds no weights"),
    "ragged lists": (lambda: [[1.0, 2.0], [3.0]], "no array of numbers.*lists of one length"),
    "masked": (lambda: np.ma.masked_greater(X, 1), r"masked values; x\.filled\(0\)"),
    "named fields": (lambda: np.zeros(4, [("a", "f4"), ("b", "f4")]), "holds no weights|no array of numbers"),
    "long double": (lambda: X.astype(np.longdouble), "holds no weights"),
    "dates": (lambda: np.array(["2026-01-01"], "M8[D]"), "holds no weights"),
    "mixed DataFrame": (lambda: pd.DataFrame({"a": ["x"], "b": [1.0]}), "of type DataFrame and dtype object"),
    "a layer": (lambda: torch.nn.Linear(4, 4), "of type Linear"),
    "what is quantized already": (lambda: qv.quantize(X, "int4-sym-b32"), r"of type Quantized.*x\.dequantize\(\)"),
    "a dictionary": (lambda: {"w": X}, "of type dict"),
    "zero-dimensional": (lambda: torch.tensor(1.0), "zero-dimensional"),
    "empty": (lambda: torch.zeros(0, 4), "empty"),
    "__array__ that fails": (
        lambda: SimpleNamespace(__array__=None, __array_interface__="no"), "no array of numbers"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("what", GOOD)
def test_it_counts_as_the_plain_array(what: str, name: str, tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of np.matrix
        w = GOOD[what](tmp_path)
    got, want = FUNCTIONS[name](w), FUNCTIONS[name](X)
    if isinstance(got, pd.DataFrame):
        pd.testing.assert_series_equal(got["rmse"], want["rmse"])
    elif hasattr(got, "dequantize"):
        np.testing.assert_array_equal(np.asarray(got.dequantize()), want.dequantize())
    elif hasattr(got, "metrics"):
        # The errors of float64 weights are added up in float64 throughout, those of others in short float32 runs.
        assert got.metrics["rmse"] == pytest.approx(want.metrics["rmse"], rel=1e-7)
    elif hasattr(got, "mean_abs"):
        assert (got.mean_abs, got.min) == (want.mean_abs, want.min)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("what", BAD)
def test_it_is_refused_in_a_sentence(what: str, name: str) -> None:
    make, match = BAD[what]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch on nested, sparse, quantized and lazy tensors
        w = make()
    with pytest.raises(QuantvizError, match=match) as refused:
        FUNCTIONS[name](w)
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


def test_packed_weights_of_bitsandbytes_and_torchao_are_refused_by_their_names() -> None:
    bnb = pytest.importorskip("bitsandbytes")
    packed, state = bnb.functional.quantize_4bit(T, quant_type="nf4")
    four = bnb.nn.Params4bit(packed, requires_grad=False, quant_state=state)
    eight = bnb.nn.Int8Params(torch.ones(4, 64, dtype=torch.int8), requires_grad=False)
    for w, match in ((four, "Params4bit of bitsandbytes.*uint8 codes.*dequantize_4bit"), (eight, "Int8Params of bits")):
        for run in FUNCTIONS.values():
            with pytest.raises(QuantvizError, match=match):
                run(w)
    not_yet = bnb.nn.Params4bit(T.clone(), requires_grad=False)
    assert qv.evaluate(not_yet, "int4-sym-b32").metrics["rmse"] == qv.evaluate(X, "int4-sym-b32").metrics["rmse"]


def test_a_tensor_that_torchao_quantized_is_refused_by_its_name() -> None:
    quantization = pytest.importorskip("torchao.quantization")
    layer = torch.nn.Sequential(torch.nn.Linear(64, 64, bias=False)).bfloat16()
    quantization.quantize_(layer, quantization.Int8WeightOnlyConfig())
    for run in FUNCTIONS.values():
        with pytest.raises(QuantvizError, match=r"of torchao, whose numbers only torchao knows; x\.dequantize\(\)"):
            run(layer[0].weight)


def test_float64_is_read_as_float32_and_says_so() -> None:
    for w in (X.astype(np.float64), T.double()):
        assert qv.evaluate(w, "fp32").notices == (READ_AS_FLOAT32,)
    assert not qv.evaluate(X, "fp32").notices


H = np.linspace(0.5, 2, 64).astype(ml_dtypes.bfloat16).astype(np.float32)
IMPORTANCE: dict[str, Any] = {
    "bfloat16": torch.from_numpy(H).bfloat16(), "with a gradient": torch.from_numpy(H).clone().requires_grad_(),
    "list": H.tolist(), "column": H[:, None], "float64": H.astype(np.float64), "big-endian": H.astype(">f4"),
    "Series": pd.Series(H), "Parameter": torch.nn.Parameter(torch.from_numpy(H).clone()),
}  # fmt: skip
BAD_IMPORTANCE: dict[str, tuple[Any, str]] = {
    "wrong length": (H[:63], "63 values, and a row of this tensor 64"), "matrix": (np.outer(H, H), "4,096 values"),
    "masked": (np.ma.masked_greater(H, 1.9), "The importance has . masked value"),
    "complex": (H.astype(np.complex64), "The importance has the dtype complex64"),
    "text": ("imatrix.gguf", "The importance is a text"), "objects": ([None] * 64, "The importance is of type list"),
    "sparse": (torch.from_numpy(H).to_sparse(), "The importance is not stored densely"),
    "meta": (torch.from_numpy(H).to("meta"), "The importance lies on the meta device"),
    "ragged": ([[1.0], [1.0, 2.0]], "The importance is no array of numbers"),
    "NaN": (np.full(64, np.nan), "Importance must be finite"), "beyond float32": (np.full(64, 1e300), "must be finite"),
    "names": (np.array(["a"] * 64), "The importance has the dtype <U1"), "negative": (-H, "not negative"),
}  # fmt: skip
WEIGHED = {name: run for name, run in FUNCTIONS.items() if name != "describe"}


@pytest.mark.parametrize("what", IMPORTANCE)
def test_importance_of_any_kind_counts_alike(what: str) -> None:
    run = partial(qv.evaluate, X, "int4-sym-b32:clip=mse")
    assert run(IMPORTANCE[what]).metrics == run(H).metrics


@pytest.mark.parametrize("what", BAD_IMPORTANCE)
def test_importance_that_is_none_is_refused_in_a_sentence(what: str) -> None:
    given, match = BAD_IMPORTANCE[what]
    for run in WEIGHED.values():
        with pytest.raises(QuantvizError, match=match):
            run(X, importance=given)
