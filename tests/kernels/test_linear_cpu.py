"""The CPU's low-bit linear layers: right against float64 and torch's own kernel, vectorised, and plain about limits."""

from __future__ import annotations

import platform
import re

import numba
import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz.kernels.cpu.linear import linear as cpu
from quantviz.kernels.cpu.linear.loops import gemv_kernel
from quantviz.kernels.linear import linear, pack

KEYS = (
    "int8-sym-b32", "int8-asym-b64", "int8-sym-channel", "int8-asym-channel:scale=fp32", "int4-sym-b32",
    "int4-asym-b32", "int4-sym-b64", "int4-asym-b128:scale=bf16", "int4-sym-b256:scale=fp32", "int4-asym-channel",
    "int2-sym-b32", "int2-asym-b64",
)  # fmt: skip


def weights(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Normal weights of a layer's usual size, with outliers and a row of zeros."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((rows, cols), dtype=np.float32) * np.float32(0.02)
    w[rng.random(w.shape) < 0.002] *= np.float32(30)
    w[rows // 2] = 0
    return w


def exact(x: np.ndarray, w: np.ndarray, key: str) -> np.ndarray:
    return x.astype(np.float64) @ np.asarray(qv.quantize(w, key, engine="reference").dequantize()).astype(np.float64).T


def off(y: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(y - right) / np.linalg.norm(right))


@pytest.mark.parametrize("key", KEYS)
def test_equals_the_product_of_the_dequantized_weights(key: str) -> None:
    w = weights(300, 1024)
    packed = pack(w, key)
    for tokens in (1, 2, 4, 7):
        x = np.random.default_rng(tokens).standard_normal((tokens, 1024), dtype=np.float32) + np.float32(0.5)
        y = linear(x, packed)
        assert y.shape == (tokens, 300) and y.dtype == np.float32
        assert off(y, exact(x, w, key)) < cpu.TOLERANCE
        assert not y[:, 150].any()  # the row of zeros


def test_layers_that_threads_share_and_layers_that_one_takes() -> None:
    for rows, cols in ((1, 64), (5, 256), (1024, 4096), (4099, 512)):
        w, x = weights(rows, cols), np.random.default_rng(1).standard_normal((1, cols), dtype=np.float32)
        packed = pack(w + np.float32(0.001), "int4-asym-b64")
        assert off(linear(x, packed), exact(x, w + np.float32(0.001), "int4-asym-b64")) < cpu.TOLERANCE


def test_one_token_alone_and_tokens_of_every_float_type() -> None:
    w = weights(64, 256)
    packed = pack(torch.from_numpy(w), "int8-sym-b64")
    x = torch.randn(256)
    y = linear(x, packed)
    assert y.shape == (64,)
    np.testing.assert_array_equal(linear(x.numpy()[None], packed)[0], y)
    for dtype in (torch.bfloat16, torch.float16):
        np.testing.assert_array_equal(linear(x.to(dtype), packed), linear(x.to(dtype).float(), packed))


def test_a_clone_is_the_same_in_other_memory() -> None:
    packed = pack(weights(64, 256), "int4-asym-b64")
    other, x = packed.clone(), np.ones(256, np.float32)
    assert not np.shares_memory(packed.codes, other.codes)
    np.testing.assert_array_equal(linear(x, packed), linear(x, other))


def test_bytes_are_those_of_the_scheme() -> None:
    """Zero points take a byte each, which is what a kernel reads; all else is as bits_per_weight counts it."""
    w = weights(128, 1024)
    for key in ("int8-sym-b64", "int4-sym-b32", "int2-sym-b64", "int4-sym-b64:scale=fp32"):
        assert pack(w, key).nbytes == qv.quantize(w, key).nbytes
    assert pack(w, "int4-asym-b64").nbytes == qv.quantize(w, "int4-asym-b64").nbytes + 128 * 16 // 2


def test_agrees_with_torchs_own_int8_kernel() -> None:
    w, x = weights(128, 1024), torch.randn(4, 1024).bfloat16()
    q = qv.quantize(torch.from_numpy(w), "int8-sym-channel:scale=bf16")
    theirs = torch.ops.aten._weight_int8pack_mm(x, q.codes, q.scales[:, 0].bfloat16())
    ours = linear(x, pack(w, "int8-sym-channel:scale=bf16"))
    assert off(theirs.float().numpy(), ours) < 2.0**-8  # it rounds each result to bfloat16


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize(("bits", "width"), [(8, 32), (4, 32), (4, 64), (2, 256)])
def test_the_loop_is_vectors(bits: int, width: int) -> None:
    packed = pack(weights(64, 512), f"int{bits}-sym-b{width}")
    linear(np.ones(512, np.float32), packed)
    kernel = gemv_kernel(bits, width, 1)
    compiled = numba.njit(nogil=True, error_model="numpy")(
        kernel.py_func
    )  # what comes from the cache shows no assembly
    compiled.compile(kernel.signatures[0])
    (assembly,) = compiled.inspect_asm().values()
    wide = re.findall(r"\b(?:vfmadd\w*ps|vmulps|mulps)\b[^\n]*[xyz]mm", assembly)
    assert len(wide) >= min(width // cpu_lanes(assembly), 4)
    assert "prefetch" in assembly


def cpu_lanes(assembly: str) -> int:
    return 16 if "zmm" in assembly else 8 if "ymm" in assembly else 4


@pytest.mark.parametrize(
    ("key", "shape", "said"),
    [
        ("nf4-b64", (64, 256), "no CPU kernel that multiplies nf4-b64; int8, int4 and int2"),
        ("int3-sym-b64", (64, 256), "no CPU kernel that multiplies int3-sym-b64"),
        ("int4-offset-b64", (64, 256), "sym and asym"),
        ("int1-sym-b64", (64, 256), "no CPU kernel"),
        ("int4-sym-b16", (64, 256), "a block of 32, 64, 128 or 256"),
        ("int4-sym-tensor", (64, 256), "one scale a row or a block"),
        ("int4-sym-b64:rotate=hadamard", (64, 256), "no rotated weights"),
        ("int4-sym-b64:keep=0.1%", (64, 256), "kept apart"),
        ("int4-sym-b128", (64, 320), "a multiple of 128 weights, and these have 320; a block of 64 or 32 does."),
        ("int4-sym-b64", (64, 100), "a multiple of 64 weights, and these have 100; 128 columns do."),
        ("int8-sym-channel", (64, 100), "a multiple of 32 weights"),
        ("int4-sym-b512", (64, 256), "a block of 32, 64, 128 or 256, and not int4-sym-b512."),
    ],
)  # fmt: skip
def test_what_cannot_be_packed_is_said_in_a_sentence(key: str, shape: tuple[int, int], said: str) -> None:
    with pytest.raises(qv.QuantvizError, match=re.escape(said)) as caught:
        pack(weights(*shape), key)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_what_cannot_be_multiplied_is_said_in_a_sentence() -> None:
    packed = pack(weights(8, 64), "int4-sym-b64")
    with pytest.raises(qv.QuantvizError, match="the batch is 0"):
        linear(np.empty((0, 64), np.float32), packed)
    with pytest.raises(qv.QuantvizError, match=re.escape("shape [1, 65], and this layer takes rows of 64")):
        linear(np.ones((1, 65), np.float32), packed)
    with pytest.raises(qv.QuantvizError, match="1 NaN"):
        pack(np.full((1, 64), [[np.nan] + [0] * 63], np.float32), "int4-sym-b64")
    with pytest.raises(qv.QuantvizError, match="no low-bit linear kernels for 'mps'"):
        pack(weights(8, 64), "int4-sym-b64", device="mps")
