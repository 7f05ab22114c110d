"""mx* under rule= are torchao's ScaleCalculationMode, bit for bit: codes, scales, dequantized values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import quantviz as qv

from .inputs import INPUTS
from .peers import torchao
from .test_conformance_torchao import MX_ELEMENTS

SMALLEST = 2.0**-126  # of normal numbers: below, torchao's RCEIL rounds no longer by the scale it stores


@pytest.mark.parametrize("key", MX_ELEMENTS)
@pytest.mark.parametrize("rule", ["even", "ceil", "rceil"])
def test_rules(rule: str, key: str, engine: str) -> None:
    mx, element = torchao().mx, MX_ELEMENTS[key]
    for name, rows in INPUTS.items():
        x = torch.from_numpy(rows)
        scale, data = mx.to_mx(x, element, 32, mx.ScaleCalculationMode[rule.upper()])
        values = mx.to_dtype(data, scale, element, 32, torch.float32)
        codes = torchao().unpack_uint4(data) if key == "mxfp4" else data.view(torch.uint8)
        q = qv.quantize(rows, f"{key}:rule={rule}", engine=engine)
        np.testing.assert_array_equal(q.scales, scale.float().numpy(), name)
        np.testing.assert_array_equal(q.codes, codes.numpy(), name)
        np.testing.assert_array_equal(q.dequantize(), values.numpy(), name)
