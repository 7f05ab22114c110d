"""The GPU's linear kernels on a GPU: right within their tolerance, the same bits again, captured in a CUDA graph."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton")

from quantviz.errors import QuantvizError  # noqa: E402
from quantviz.kernels.cuda.linear.linear import decode_step, dequantized, linear, tolerance  # noqa: E402
from quantviz.kernels.cuda.linear.packing import pack, pack_quantized  # noqa: E402

from .inputs import COLS, EVERY_CODE, KEYS, every_code, quantized  # noqa: E402

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
BATCHES = {torch.float16: (1, 3, 17), torch.bfloat16: (2, 4, 33)}  # every kernel with either type


def error(y: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> float:
    exact = x.double() @ w.double().T
    return float(((y.double() - exact).norm(dim=1) / exact.norm(dim=1)).max())


@on_gpu
@pytest.mark.parametrize("dtype", BATCHES)
@pytest.mark.parametrize("key", KEYS[::2])
def test_products_against_float64(key: str, dtype: torch.dtype) -> None:
    q = quantized(key)
    packed, w = pack_quantized(q, "cuda"), torch.from_numpy(q.dequantize()).cuda()
    assert torch.equal(dequantized(packed, dtype), w.to(dtype))
    for batch in BATCHES[dtype]:
        x = torch.randn((batch, COLS), device="cuda").to(dtype)
        assert error(linear(x, packed), x, w) <= tolerance(packed, dtype, batch), batch


@on_gpu
@pytest.mark.parametrize("key", EVERY_CODE)
def test_every_code_in_every_place(key: str) -> None:
    """One activation of 1 takes out a column of weights, by the instructions of the GPU."""
    q = every_code(key, 384)
    packed, w = pack_quantized(q, "cuda"), torch.from_numpy(q.dequantize()).to("cuda", torch.float16)
    x = torch.eye(384, dtype=torch.float16, device="cuda")
    for first in range(0, 384, 4):
        assert torch.equal(linear(x[first : first + 4].contiguous(), packed), w[:, first : first + 4].T)


@on_gpu
@pytest.mark.parametrize("shape", [(4096, 4096), (1024, 14336), (11008, 4096)])
def test_large_layers(shape: tuple[int, int]) -> None:
    w = torch.randn(shape, device="cuda") * 0.02
    for key in ("int4-asym-b64", "int8-sym-channel", "nf4-b64", "nvfp4"):
        packed = pack(w, key)
        exact = dequantized(packed, torch.bfloat16)
        for batch in (1, 4, 16):
            x = torch.randn((batch, shape[1]), device="cuda", dtype=torch.bfloat16)
            # The weights compared with are rounded to bfloat16 themselves.
            allowed = tolerance(packed, torch.bfloat16, batch) + 2.0**-8
            assert error(linear(x, packed), x, exact) <= allowed
            assert torch.equal(linear(x, packed), linear(x, packed)), "no atomics: the same bits every time"


@on_gpu
def test_a_decode_step_in_a_graph() -> None:
    layers = []
    for rows, cols, key in ((512, 1024, "int4-asym-b64"), (1024, 512, "nf4-b64"), (256, 1024, "mxfp4")):
        packed = pack(torch.randn((rows, cols), device="cuda"), key)
        x = torch.randn((1, cols), device="cuda", dtype=torch.bfloat16)
        layers.append((x, packed, torch.zeros((1, rows), device="cuda", dtype=torch.bfloat16)))
    decode_step(layers)
    expected = [y.clone() for _, _, y in layers]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        decode_step(layers)
    for _, _, y in layers:
        y.zero_()
    before = torch.cuda.memory_allocated()
    graph.replay()
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == before
    assert all(torch.equal(y, e) for (_, _, y), e in zip(layers, expected, strict=True))


def test_without_a_gpu_it_says_so() -> None:
    packed = pack_quantized(quantized("int4-sym-b32"), "cpu")
    with pytest.raises(QuantvizError, match="Triton's kernels need a CUDA device, and these weights are on cpu"):
        linear(torch.zeros((1, COLS), dtype=torch.float16), packed)
