"""Makes data/fp8.npz and data/mxfp4.npz: what transformers reads of FP8 and of gpt-oss.

pip install torch transformers, then, from the root: python -m tests.checkpoints.home.transformers_floats
"""

from __future__ import annotations

from importlib.metadata import version

import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import _convert_moe_packed_tensors

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import case

CODES = {
    torch.float8_e4m3fn: (0x7F, 0xFF), torch.float8_e5m2: (*range(0x7C, 0x80), *range(0xFC, 0x100)),
    torch.float8_e4m3fnuz: (0x80,), torch.float8_e5m2fnuz: (0x80,),
}  # fmt: skip


def codes(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    """Every number of a type but those that are none."""
    made = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    for code in CODES[dtype]:
        made[made == code] = 1
    return made.view(dtype)


def scales(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    x = 10 ** (torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 8 - 6)
    if dtype == torch.uint8:
        return torch.randint(90, 140, shape, dtype=torch.uint8)
    if dtype == torch.float8_e8m0fnu:
        return torch.randint(90, 140, shape, dtype=torch.uint8).view(dtype)
    return x.to(dtype)


def read(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return Fp8Dequantize(None)._dequantize_one(weight, scale, torch.float32)


def block(name: str, weight: torch.Tensor, scale: torch.Tensor, suffix: str = "weight_scale_inv", **said) -> Case:
    beside = {"config.json": {"quantization_config": {"quant_method": "fp8", **said}}}
    return case(name, "l.weight", {"l.weight": weight, f"l.{suffix}": scale}, read(weight, scale), beside)


def experts(scale: torch.Tensor) -> Case:
    weight = codes((3, 48, 64), torch.float8_e4m3fn, 4)
    said = {"config.json": {"quantization_config": {"quant_method": "fp8", "weight_block_size": [16, 32]}}}
    tensors = {"l.experts.down_proj": weight, "l.experts.down_proj_scale_inv": scale}
    return case(f"experts {tuple(scale.shape)}", "l.experts.down_proj", tensors, read(weight, scale), said)


def gpt_oss(part: str, shape: tuple[int, int, int]) -> Case:
    made = torch.Generator().manual_seed(6)
    blocks = torch.randint(0, 256, (*shape[:2], shape[2] // 32, 16), dtype=torch.uint8, generator=made)
    scale = torch.randint(100, 135, blocks.shape[:-1], dtype=torch.uint8, generator=made)
    found = _convert_moe_packed_tensors(blocks, scale, dtype=torch.bfloat16).transpose(1, 2).contiguous()
    name = f"l.mlp.experts.{part}"
    said = {"config.json": {"model_type": "gpt_oss", "quantization_config": {"quant_method": "mxfp4"}}}
    return case(part, name, {f"{name}_blocks": blocks, f"{name}_scales": scale}, found, said)


if __name__ == "__main__":
    tiles = {"weight_block_size": [128, 128]}
    fp8 = torch.float8_e4m3fn
    cases = [
        *(block(f"tiles {dtype}", codes((256, 24), fp8), scales((2, 1), dtype), **tiles)
          for dtype in (torch.float32, torch.bfloat16, torch.float8_e8m0fnu)),
        *(block(f"{dtype}", codes((32, 64), dtype), scales((2, 2), torch.float32), weight_block_size=[16, 32])
          for dtype in CODES),
        block("tiles of V4", codes((256, 24), fp8), scales((2, 1), torch.float8_e8m0fnu), "scale", **tiles),
        block("one scale", codes((40, 48), fp8), scales((), torch.bfloat16)),
        block("a scale a row", codes((40, 48), fp8), scales((40, 1), torch.float32)),
        block("groups of 32, bytes", codes((40, 96), fp8), scales((40, 3), torch.uint8), **tiles),
        experts(scales((3, 3, 2), torch.float32)),
        experts(scales((3, 1, 1), torch.float32)),
        experts(scales((3, 48, 1), torch.float32)),
    ]  # fmt: skip
    save("fp8", "transformers", version("transformers"), cases)
    v4 = torch.randint(0, 256, (64, 48), dtype=torch.uint8).view(torch.int8)
    cases = [
        gpt_oss("gate_up_proj", (2, 32, 64)),
        gpt_oss("down_proj", (3, 40, 96)),
        block("DeepSeek V4's experts", v4, scales((64, 3), torch.float8_e8m0fnu), "scale", **tiles),
    ]
    save("mxfp4", "transformers", version("transformers"), cases)
