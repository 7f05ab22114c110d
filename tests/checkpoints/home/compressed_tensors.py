"""Makes data/compressed_tensors*.npz: layers that compressed-tensors compresses and decompresses, by every compressor.

pip install compressed-tensors==0.20.0 (with torch), then, from the root:
python -m tests.checkpoints.home.compressed_tensors
"""

from __future__ import annotations

import math

import compressed_tensors
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import case, uneven


def parameters(w: torch.Tensor, args: QuantizationArgs, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Scale, zero point and global scale of the weights' ranges, by the library's own rule."""
    strategy, (rows, cols) = str(args.strategy), w.shape
    if strategy == "tensor":
        parts = w.reshape(1, -1)
    elif strategy == "channel":
        parts = w.reshape(rows, 1, cols)
    elif strategy == "block":
        height, width = args.block_structure
        padded = torch.zeros(math.ceil(rows / height) * height, math.ceil(cols / width) * width)
        padded[:rows, :cols] = w
        parts = padded.reshape(-1, height, padded.shape[1] // width, width).transpose(1, 2).flatten(2)
    else:
        parts = w.reshape(rows, -1, args.group_size)
    low, high = parts.amin(-1), parts.amax(-1)
    state = {}
    if strategy == "tensor_group":
        state["weight_global_scale"] = (448 * 6 / w.abs().max()).reshape(1)
    scale, zero = calculate_qparams(low, high, args, global_scale=state.get("weight_global_scale"))
    return state | {"weight_scale": scale.to(dtype), "weight_zero_point": zero}


def made(
    name: str, form: str, shape: tuple[int, int], dtype: torch.dtype = torch.bfloat16, config: bool = True, **said
) -> Case:
    args = QuantizationArgs(**said)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    compressor = BaseCompressor.get_value_from_registry(form)
    w = uneven(*shape, seed=len(name))
    state = compressor.compress({"weight": w, **parameters(w, args, dtype)}, scheme)
    if said.get("symmetric", True):
        state.pop("weight_zero_point", None)
    found = compressor.decompress(dict(state), scheme)["weight"]
    group = {"weights": args.model_dump(mode="json", exclude_none=True), "targets": ["Linear"], "format": form}
    about = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group}}
    beside = {"config.json": {"quantization_config": about}} if config else {}
    return case(name, "l.weight", {f"l.{part}": x for part, x in state.items()}, found, beside)


def integers() -> list[Case]:
    cases = []
    for bits in range(2, 9):
        for sym in (True, False):
            kind = f"int{bits}-{'sym' if sym else 'asym'}"
            cases += [
                made(f"{kind}-g32", "pack-quantized", (40, 64), num_bits=bits, symmetric=sym, strategy="group",
                     group_size=32),
                made(f"{kind}-channel-fp16", "pack-quantized", (37, 45), torch.float16, num_bits=bits, symmetric=sym,
                     strategy="channel"),
            ]  # fmt: skip
    four = {"num_bits": 4, "strategy": "group", "group_size": 16}
    return [
        *cases,
        made("int4-asym-g16-no-config", "pack-quantized", (64, 128), torch.float32, False, symmetric=False, **four),
        made("int4-sym-g16-no-config", "pack-quantized", (33, 48), torch.float32, False, symmetric=True, **four),
        made("int4-sym-tensor", "pack-quantized", (20, 64), num_bits=4, symmetric=True, strategy="tensor"),
        made("int4-asym-tensor", "pack-quantized", (20, 64), num_bits=4, symmetric=False, strategy="tensor"),
    ]


def plain(form: str) -> list[Case]:
    grains = {"tensor": {}, "channel": {}, "group": {"group_size": 32}, "block": {"block_structure": [16, 32]}}
    element = "float" if form == "float-quantized" else "int"
    return [
        made(f"{strategy} {'sym' if sym else 'asym'} {dtype}".replace("torch.", ""), form, (50, 96), dtype, num_bits=8,
             type=element, symmetric=sym, strategy=strategy, **grain)
        for strategy, grain in grains.items()
        for sym in ((True, False) if element == "int" else (True,))
        for dtype in (torch.float32, torch.bfloat16)
    ]  # fmt: skip


def small_floats() -> list[Case]:
    mx = {"type": "float", "symmetric": True, "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8}
    return [
        *(made(f"nvfp4-{rows}x{cols}", "nvfp4-pack-quantized", (rows, cols), torch.float32, num_bits=4, type="float",
               symmetric=True, strategy="tensor_group", group_size=16) for rows, cols in ((64, 96), (37, 48))),
        made("mxfp4", "mxfp4-pack-quantized", (40, 160), torch.float32, num_bits=4, **mx),
        made("mxfp6", "mxfp6-pack-quantized", (40, 160), torch.float32, num_bits=6, **mx),
        made("mxfp8", "mxfp8-quantized", (40, 160), torch.float32, num_bits=8, **mx),
    ]  # fmt: skip


if __name__ == "__main__":
    made_of = {
        "compressed_tensors": integers(), "compressed_tensors_int8": plain("int-quantized"),
        "compressed_tensors_fp8": plain("float-quantized"), "compressed_tensors_fp4": small_floats(),
    }  # fmt: skip
    for file, cases in made_of.items():
        save(file, "compressed-tensors", compressed_tensors.__version__, cases)
