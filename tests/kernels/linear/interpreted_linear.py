"""The GPU's linear kernels under Triton's interpreter: every format, shape and number of tokens, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantviz.errors import QuantvizError
from quantviz.kernels import quantize
from quantviz.kernels.cuda.linear import linear as triton_linear
from quantviz.kernels.cuda.linear.linear import decode_step, dequantized, linear, tolerance
from quantviz.kernels.cuda.linear.packing import pack, pack_quantized

from ..inputs import INPUTS
from .inputs import COLS, EVERY_CODE, KEYS, every_code, quantized
from .ptx import emulate

DTYPES = (torch.float16, torch.bfloat16)
BATCHES = {torch.float16: (1, 3, 7), torch.bfloat16: (2, 4, 33)}
# A sum that holds no more than this is exact in float32, and so is every part of it.
EXACT = 2**24


@pytest.fixture
def ptx(monkeypatch: pytest.MonkeyPatch):
    """The kernels take their inline assembly, which NumPy runs."""
    monkeypatch.setattr(triton_linear, "ptx", lambda device: True)
    with emulate() as seen:
        yield seen


def activations(batch: int, dtype: torch.dtype, cols: int = COLS) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(batch).standard_normal((batch, cols), dtype=np.float32)).to(dtype)


def assert_close(y: torch.Tensor, x: torch.Tensor, w: np.ndarray, allowed: float) -> None:
    """‖y - ŷ‖ / ‖ŷ‖ of every token, ŷ in float64."""
    exact = x.double() @ torch.from_numpy(np.asarray(w, np.float64)).T
    error = (y.double() - exact).norm(dim=1) / exact.norm(dim=1)
    assert bool((error <= allowed).all()), f"{error.max():.2e} where {allowed:.2e} is allowed"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("key", KEYS)
def test_dequantized_in_memory_is_every_weight_rounded_once(key: str, dtype: torch.dtype) -> None:
    q = quantized(key)
    w = torch.from_numpy(q.dequantize()).to(dtype)
    assert torch.equal(dequantized(pack_quantized(q, "cpu"), dtype), w)


@pytest.mark.parametrize("key", EVERY_CODE)
def test_every_code_in_every_place(key: str) -> None:
    q = every_code(key, 384)
    w = torch.from_numpy(q.dequantize())
    assert torch.equal(dequantized(pack_quantized(q, "cpu"), torch.float16), w.to(torch.float16))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("key", KEYS)
def test_products_against_float64(key: str, dtype: torch.dtype) -> None:
    q = quantized(key)
    packed, w = pack_quantized(q, "cpu"), q.dequantize()
    for batch in BATCHES[dtype]:
        x = activations(batch, dtype)
        y = linear(x, packed)
        assert y.dtype == dtype and y.shape == (batch, len(w))
        assert_close(y, x, w, tolerance(packed, dtype, batch))


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("key", EVERY_CODE)
def test_the_inline_assembly_gives_the_same_bits(key: str, batch: int, ptx: list[str], monkeypatch) -> None:
    packed = pack_quantized(every_code(key, 128), "cpu")
    x = activations(batch, torch.float16, packed.shape[1])
    by_assembly = linear(x, packed)
    assert ptx
    monkeypatch.setattr(triton_linear, "ptx", lambda device: False)
    assert torch.equal(by_assembly.view(torch.int16), linear(x, packed).view(torch.int16))


@pytest.mark.parametrize("key", ["int8-asym-b32", "nf4-b32", "bnb_fp4-b32", "mxfp4"])
def test_the_inline_assembly_takes_out_single_weights(key: str, ptx: list[str]) -> None:
    """Four tokens that are 1 in one place each, the places going through a whole run: the weights themselves."""
    q = every_code(key, 32)
    packed, w = pack_quantized(q, "cpu"), torch.from_numpy(q.dequantize())
    if key.startswith("nf4"):  # its levels are float16 numbers here
        w = w.to(torch.float16)
    for first in range(0, packed.layout.run, 4):
        x = torch.zeros((4, packed.shape[1]), dtype=torch.float16)
        x[range(4), range(first, first + 4)] = 1
        assert torch.equal(linear(x, packed), w[:, first : first + 4].T.to(torch.float16))


@pytest.mark.parametrize("key", ["int8-asym-b32", "int4-sym-b32", "int3-asym-b128", "int2-asym-b64", "fp4_e2m1-b32"])
@pytest.mark.parametrize("batch", [1, 4, 32])
def test_whole_numbers_multiply_exactly(key: str, batch: int) -> None:
    """Whole codes under scales of 1 and activations of -1, 0 and 1: nothing rounds before the result."""
    q = every_code(key, 128)
    packed, w = pack_quantized(q, "cpu"), torch.from_numpy(q.dequantize()).double()
    x = torch.from_numpy(np.random.default_rng(3).integers(-1, 2, (batch, packed.shape[1]))).to(torch.bfloat16)
    exact = x.double() @ w.T
    assert exact.abs().max() < EXACT
    assert torch.equal(linear(x, packed), exact.to(torch.bfloat16))


def test_large_activations_do_not_overflow_on_the_way() -> None:
    """Products of float16's range times codes of 8 bits, which cancel: float16 sums would have been infinite."""
    packed = pack(np.tile(np.linspace(1, 2, 32, dtype=np.float32), (8, 8)), "int8-sym-b32:scale=fp32", device="cpu")
    x = torch.full((2, 256), 60000.0, dtype=torch.float16)
    x[:, 32:64] = -60000.0
    x[:, 64:] = 0
    assert torch.equal(linear(x, packed), torch.zeros((2, 8), dtype=torch.float16))


@pytest.mark.parametrize("name", INPUTS)
def test_hard_weights(name: str) -> None:
    for key in ("int4-asym-b32:scale=fp32", "nf4-b64", "nvfp4"):
        q = quantize(INPUTS[name], key)
        packed, w = pack_quantized(q, "cpu"), q.dequantize()
        x = activations(2, torch.bfloat16, w.shape[1])
        assert_close(linear(x, packed), x, w, tolerance(packed, torch.bfloat16, 2))


def test_tokens_do_not_touch_each_other() -> None:
    """NaN in one token stays there, also where the row ends within a run."""
    packed = pack_quantized(quantized("int4-asym-b64"), "cpu")
    for batch in (3, 7):
        x = activations(batch, torch.float16)
        clean = linear(x, packed)
        x[1] = torch.nan
        y = linear(x, packed)
        assert bool(y[1].isnan().all())
        rest = [i for i in range(batch) if i != 1]
        assert torch.equal(y[rest], clean[rest])
    assert bool(linear(x.bfloat16(), packed)[1].isnan().all())


def test_one_vector_an_own_result_and_a_chain_of_layers() -> None:
    packed = pack_quantized(quantized("mxfp4"), "cpu")
    x = activations(1, torch.bfloat16)
    y = linear(x, packed)
    assert torch.equal(linear(x[0], packed), y[0]) and linear(x[0], packed).shape == (packed.shape[0],)
    outs = [torch.empty((1, packed.shape[0]), dtype=torch.bfloat16) for _ in range(3)]
    decode_step([(x, packed, out) for out in outs])
    assert all(torch.equal(out, y) for out in outs)
    assert linear(x, packed, out=outs[0]).data_ptr() == outs[0].data_ptr()
    copy = packed.clone()
    assert torch.equal(linear(x, copy), y) and copy.words.data_ptr() != packed.words.data_ptr()


def test_what_is_refused() -> None:
    packed = pack_quantized(quantized("int4-sym-b32"), "cpu")
    half = torch.float16
    for x, message in (
        (torch.zeros((0, COLS), dtype=half), "the batch is 0; give at least 1"),
        (torch.zeros((2, 32), dtype=half), r"have shape \[2, 32\], and this layer takes rows of 300"),
        (torch.zeros((1, 1, COLS), dtype=half), "have shape"),
        (torch.zeros((2, COLS)), "float16 or bfloat16, not float32"),
        (np.zeros((2, COLS), np.float16), "not ndarray"),
    ):
        with pytest.raises(QuantvizError, match=message):
            linear(x, packed)
    with pytest.raises(QuantvizError, match="`out`"):
        linear(torch.zeros((2, COLS), dtype=half), packed, out=torch.zeros((2, 3), dtype=half))
    with pytest.raises(QuantvizError, match="`out` has to be contiguous and float16"):
        linear(torch.zeros((2, COLS), dtype=half), packed, out=torch.zeros((2, packed.shape[0])))
    large = pack(INPUTS["large"], "int4-sym-b32:scale=fp32", device="cpu")
    with pytest.raises(QuantvizError, match="need them in float16, which ends at 65,504; use bfloat16"):
        linear(torch.zeros((5, large.shape[1]), dtype=half), large)
