"""GGUF's block types on the engine cuda, in Triton's interpreter: run by test_in_interpreter.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantviz import QuantvizError
from quantviz.block_types import BLOCK_TYPES
from quantviz.kernels import block_rows as on_cpu
from quantviz.kernels.cuda.blocks import run as blocks

from .block_inputs import hard_rows, stored_bytes

DEVICE = "cpu"


@pytest.mark.parametrize("name", BLOCK_TYPES)
def test_every_type_is_read_alike(name: str) -> None:
    data = stored_bytes(name)
    ours = blocks.dequantize_rows(name, torch.from_numpy(data).to(DEVICE), 512).cpu().numpy()
    theirs = on_cpu.dequantize_rows(name, data, 512)
    numbers = ~np.isnan(theirs)
    np.testing.assert_array_equal(np.isnan(ours), ~numbers)
    np.testing.assert_array_equal(ours.view(np.uint32)[numbers], theirs.view(np.uint32)[numbers])


@pytest.mark.parametrize("name", blocks.WRITTEN)
def test_the_simple_types_are_written_alike(name: str) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.from_numpy(hard_rows(name))
        x = x if dtype == torch.float32 else x.clamp(-60_000, 60_000).to(dtype)
        ours = blocks.quantize_rows(name, x.to(DEVICE)).cpu().numpy()
        np.testing.assert_array_equal(ours, on_cpu.quantize_rows(name, x.float().numpy()), err_msg=str(dtype))


def test_bad_input_is_refused_in_a_sentence() -> None:
    with pytest.raises(QuantvizError, match="writes q4_0, q4_1, .*, gguf_nvfp4, not q4_k"):
        blocks.quantize_rows("q4_k", torch.zeros(1, 256))
    with pytest.raises(QuantvizError, match="multiple of 32"):
        blocks.quantize_rows("q4_0", torch.zeros(1, 40))
    with pytest.raises(QuantvizError, match="take 36 bytes each in q4_0"):
        blocks.dequantize_rows("q4_0", torch.zeros((1, 40), dtype=torch.uint8), 64)
