"""asym, mx* and nvfp4 are torchao's, bit for bit: codes, scales, zero points, dequantized values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import quantviz as qv

from .inputs import COLS, INPUTS
from .peers import torchao


@pytest.mark.parametrize("bits", range(1, 9))
def test_asym(bits: int, engine: str) -> None:
    for block in (16, 32, 64, 128, 256, COLS):
        for name in INPUTS:
            _assert_asym(name, bits, block, engine)


def _assert_asym(name: str, bits: int, block: int, engine: str) -> None:
    said = f"{name}, {bits} bits, blocks of {block}"
    affine = torchao().affine
    x = torch.from_numpy(INPUTS[name])
    limits = {"quant_min": 0, "quant_max": 2**bits - 1}
    scale, zero = affine.choose_qparams_affine(
        x, affine.MappingType.ASYMMETRIC, (1, block), torch.uint8, **limits,
        scale_dtype=torch.float32, zero_point_dtype=torch.int32,
    )  # fmt: skip
    codes = affine.quantize_affine(x, (1, block), scale, zero, torch.uint8, **limits)
    values = affine.dequantize_affine(codes, (1, block), scale, zero, torch.uint8, **limits)

    q = qv.quantize(x.numpy(), f"int{bits}-asym-b{block}:scale=fp32", engine=engine)
    # A block of zeros: torchao stores the smallest normal number as its scale, quantviz stores 0.
    empty = (x.reshape(len(x), -1, block) == 0).all(-1).numpy()
    np.testing.assert_array_equal(q.scales, np.where(empty, 0, scale.reshape(empty.shape).numpy()), said)
    np.testing.assert_array_equal(q.zero_points, zero.reshape(empty.shape).numpy(), said)
    np.testing.assert_array_equal(q.codes, codes.numpy(), said)
    np.testing.assert_array_equal(q.dequantize(), values.numpy(), said)


MX_ELEMENTS = {
    "mxfp8_e4m3": torch.float8_e4m3fn,
    "mxfp8_e5m2": torch.float8_e5m2,
    "mxfp6_e3m2": "fp6_e3m2",
    "mxfp6_e2m3": "fp6_e2m3",
    "mxfp4": torch.float4_e2m1fn_x2,
}


@pytest.mark.parametrize("key", MX_ELEMENTS)
@pytest.mark.parametrize("name", INPUTS)
def test_mx_floor(name: str, key: str, engine: str) -> None:
    mx, element = torchao().mx, MX_ELEMENTS[key]
    x = torch.from_numpy(INPUTS[name])
    scale, data = mx.to_mx(x, element, 32, mx.ScaleCalculationMode.FLOOR)
    values = mx.to_dtype(data, scale, element, 32, torch.float32)
    codes = torchao().unpack_uint4(data) if key == "mxfp4" else data.view(torch.uint8)

    q = qv.quantize(x.numpy(), key, engine=engine)
    np.testing.assert_array_equal(q.scales, scale.float().numpy())
    np.testing.assert_array_equal(q.codes, codes.numpy())
    np.testing.assert_array_equal(q.dequantize(), values.numpy())


@pytest.mark.parametrize("name", INPUTS)
def test_nvfp4(name: str, engine: str) -> None:
    nvfp4, mx = torchao().nvfp4, torchao().mx
    x = torch.from_numpy(INPUTS[name])
    tensor_scale = nvfp4.per_tensor_amax_to_scale(x.abs().max())
    scale, data = nvfp4.nvfp4_quantize(x, 16, tensor_scale)

    q = qv.quantize(x.numpy(), "nvfp4", engine=engine)
    assert np.float32(q.tensor_scale) == tensor_scale.numpy()
    np.testing.assert_array_equal(q.scales, scale.float().numpy())
    np.testing.assert_array_equal(q.codes, torchao().unpack_uint4(data).numpy())
    levels = mx.f4_unpacked_to_f32(torchao().unpack_uint4(data)).reshape(len(x), -1, 16)
    values = levels * (tensor_scale * scale.float())[..., None]  # as NVFP4Tensor.dequantize does
    np.testing.assert_array_equal(q.dequantize(), values.reshape(x.shape).numpy())
