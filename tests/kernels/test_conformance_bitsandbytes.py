"""nf4 and bnb_fp4 are bitsandbytes' on the CPU, bit for bit: codes, absmax, dequantized values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz.formats import FORMATS

from .inputs import INPUTS
from .peers import bitsandbytes

QUANT_TYPES = {"nf4": "nf4", "bnb_fp4": "fp4"}


def at_the_thresholds(format: str) -> np.ndarray:
    """Rows of 256 with 1 in every 64: each decision threshold, each level, and their float32 neighbours."""
    f = FORMATS[format]
    points = np.concatenate([f.thresholds, f.values])
    x = np.concatenate([points, np.nextafter(points, np.float32(2)), np.nextafter(points, np.float32(-2))])
    x = np.resize(x, (4, 256))
    x[:, ::64] = 1
    return x


@pytest.mark.parametrize("block", [64, 128])
@pytest.mark.parametrize("format", QUANT_TYPES)
@pytest.mark.parametrize("name", [*INPUTS, "thresholds"])
def test_four_bits(name: str, format: str, block: int, engine: str) -> None:
    bnb = bitsandbytes()
    x = torch.from_numpy(at_the_thresholds(format) if name == "thresholds" else INPUTS[name])
    packed, state = bnb.quantize_4bit(x, blocksize=block, quant_type=QUANT_TYPES[format])
    values = bnb.dequantize_4bit(packed, state)
    codes = torch.stack([packed >> 4, packed & 15], dim=-1).reshape(x.shape)  # the first weight in the upper half

    q = qv.quantize(x.numpy(), f"{format}-b{block}", engine=engine)
    np.testing.assert_array_equal(q.scales.ravel(), state.absmax.numpy())
    np.testing.assert_array_equal(q.codes, codes.numpy())
    np.testing.assert_array_equal(q.dequantize(), values.numpy())
