"""The engine cuda on a real GPU: what the interpreter is asked, and what only a device can show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES
from quantviz.kernels import block_rows as on_cpu
from quantviz.kernels.engines import cuda_problem
from quantviz.schemes import Scheme
from quantviz.tensors import as_stored

from ..inputs import INPUTS, SUBNORMAL
from ..test_engines import ONE_PER_RULE, SHAPES, fits, shaped
from .block_inputs import hard_rows, stored_bytes

pytestmark = pytest.mark.skipif(cuda_problem() is not None, reason="needs a CUDA device")

OPTIONS = ("int4-sym-b64:clip=mse", "nf4-b64:double=1", "mxfp4:rotate=hadamard", "nvfp4:keep=1%")


@pytest.mark.parametrize("key", qv.catalogue())
def test_same_codes_on_every_shape_and_on_hard_weights(key: str) -> None:
    from .checks import same_codes

    for x in [shaped(shape) for shape in SHAPES.values()] + [*INPUTS.values(), SUBNORMAL]:
        if fits(Scheme.parse(key), x):
            same_codes(torch.from_numpy(x), key, "cuda")
            same_codes(torch.from_numpy(x).to(torch.bfloat16), key, "cuda")


@pytest.mark.parametrize("key", [*ONE_PER_RULE, *OPTIONS])
def test_measures_the_same(key: str) -> None:
    from .checks import same_measure

    for shape in ((256, 512), (3000, 4096)):
        x = torch.from_numpy(shaped(shape))
        same_measure(x, key, "cuda", np.random.default_rng(0).random(shape[1], np.float32))


def test_large_groups_of_every_kind() -> None:
    from .checks import same_codes, same_measure

    x = torch.from_numpy(shaped((40, 70_000)))
    for key in ("int4-sym-tensor", "int4-offset-channel", "ternary-channel", "int4-asym-b20000"):
        same_codes(x, key, "cuda")
        same_measure(x, key, "cuda")


@pytest.mark.parametrize("key", ["int4-asym-b64", "q4_0", "tq1_0", "gguf_nvfp4"])
def test_a_tensor_on_the_gpu_stays_there(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(shaped((512, 1024))).to("cuda", torch.bfloat16)
    expected = qv.evaluate(x.cpu(), key, device="reference")
    moved: list[int] = []
    copy = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda t, *a, **k: moved.append(t.numel()) or copy(t, *a, **k))
    q = qv.quantize(x, key, engine="cuda")
    assert q.codes.device.type == q.dequantize().device.type == "cuda"
    found = qv.evaluate(x, key, device="cuda")
    assert max(moved) < x.numel(), "only counts, sums and a sample of the weights leave the GPU"
    assert found.engine == "cuda"
    np.testing.assert_allclose(list(found.metrics.values()), list(expected.metrics.values()), rtol=1e-5)


def test_evaluates_what_lies_in_memory() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn):
        assert_measures_same_on_cuda(torch.from_numpy(shaped((256, 512)) * 10).to(dtype))


def assert_measures_same_on_cuda(x: torch.Tensor) -> None:
    stored = as_stored(x)
    ours, theirs = (qv.evaluate(stored, "mxfp4", device=device) for device in ("cuda", "cpu"))
    for name, value in theirs.metrics.items():
        np.testing.assert_allclose(ours.metrics[name], value, rtol=1e-5, err_msg=name)
    np.testing.assert_array_equal(ours.code_counts, theirs.code_counts)


def test_reference_gives_the_same_codes_on_the_gpu() -> None:
    x = torch.from_numpy(shaped((256, 512)))
    for key in ONE_PER_RULE:
        ours, theirs = (qv.quantize(t, key, engine="reference") for t in (x.cuda(), x))
        assert torch.equal(ours.codes.cpu().to(torch.int64), theirs.codes.to(torch.int64)), key


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_every_block_type_is_read_alike(name: str) -> None:
    from quantviz.kernels.cuda.blocks import run as blocks

    data = stored_bytes(name)
    ours = blocks.dequantize_rows(name, torch.from_numpy(data).cuda(), 512).cpu().numpy()
    np.testing.assert_array_equal(ours, on_cpu.dequantize_rows(name, data, 512))


def test_the_simple_block_types_are_written_alike() -> None:
    from quantviz.kernels.cuda.blocks import run as blocks

    for name in blocks.WRITTEN:
        x = hard_rows(name)
        ours = blocks.quantize_rows(name, torch.from_numpy(x).cuda()).cpu().numpy()
        np.testing.assert_array_equal(ours, on_cpu.quantize_rows(name, x), err_msg=name)
