"""Makes data/modelopt_*.npz: layers that ModelOpt's own tensors pack and read back.

pip install torch nvidia-modelopt==0.47.0 transformers datasets, then, from the root:
python -m tests.checkpoints.home.modelopt
It packs int4 in pairs of rows and has no function that reads these on a CPU: what it packed, times its scale, is
expected there.
"""

from __future__ import annotations

from copy import deepcopy
from importlib.metadata import version

import modelopt.torch.quantization as mtq
import torch
from modelopt.torch.export.quant_utils import pack_int4_in_uint8, to_quantized_weight
from modelopt.torch.export.unified_export_hf import _export_quantized_weight
from modelopt.torch.quantization.qtensor import FP8QTensor, MXFP4QTensor, MXFP8QTensor, NVFP4QTensor

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import case, uneven


def config(algorithm: str, group: int | None = None) -> dict:
    said = {"quant_algo": algorithm} | ({"group_size": group} if group else {})
    return {"hf_quant_config.json": {"producer": {"name": "modelopt"}, "quantization": said}}


def nvfp4(shape: tuple[int, int], dtype: torch.dtype) -> Case:
    w = uneven(*shape).to(dtype)
    made, scale, second = NVFP4QTensor.quantize(w, 16)
    found = made.dequantize(torch.float32, scale=scale, double_scale=second, block_sizes={-1: 16})
    tensors = {"l.weight": made._quantized_data, "l.weight_scale": scale, "l.weight_scale_2": second,
               "l.input_scale": torch.tensor(0.02)}  # fmt: skip
    return case(f"nvfp4 {shape} {dtype}", "l.weight", tensors, found, config("NVFP4", 16))


def nvfp4_awq() -> Case:
    w = uneven(32, 64, seed=5)
    made, scale, second = NVFP4QTensor.quantize(w, 16)
    found = made.dequantize(torch.float32, scale=scale, double_scale=second, block_sizes={-1: 16})
    tensors = {"l.weight": made._quantized_data, "l.weight_scale": scale, "l.weight_scale_2": second,
               "l.pre_quant_scale": torch.rand(64).bfloat16() + 0.5, "l.svdquant_lora_a": torch.zeros(4, 64),
               "l.svdquant_lora_b": torch.zeros(32, 4)}  # fmt: skip
    return case("nvfp4 awq svd", "l.weight", tensors, found, config("NVFP4_SVD", 16))


def stacked() -> Case:
    """Fused experts, [in, out] in the file: as _export_quantized_weight turns them back after it has quantized them."""
    w = uneven(3, 40, 64, seed=9)
    second = w.abs().amax() / (6 * 448)
    made, scale, _ = NVFP4QTensor.quantize(w, 16, weights_scaling_factor_2=second)
    found = made.dequantize(torch.float32, scale=scale, double_scale=second, block_sizes={-1: 16})
    name, turned = "l.experts.gate_up_proj", made._quantized_data.transpose(-2, -1).contiguous()
    tensors = {name: turned, f"{name}_weight_scale": scale.transpose(-2, -1).contiguous(),
               f"{name}_weight_scale_2": second, f"{name}_input_scale": torch.tensor(0.02)}  # fmt: skip
    return case("nvfp4 stacked experts", name, tensors, found, config("NVFP4", 16))


def mx(kind: type, name: str) -> Case:
    made, scale = kind.quantize(uneven(48, 160, seed=3), *([32] if kind is MXFP4QTensor else []))
    found = made.dequantize(torch.float32, scale=scale, block_sizes={-1: 32})
    rows = scale.reshape(48, 5)
    return case(name, "l.weight", {"l.weight": made._quantized_data, "l.weight_scale": rows}, found, config(name, 32))


def fp8(scale: torch.Tensor, name: str) -> Case:
    w = uneven(40, 96, seed=7)
    made = to_quantized_weight(w, scale, name)
    wide = scale if scale.ndim == 0 else scale[:, None]
    found = FP8QTensor(w.shape, torch.float32, made).dequantize(torch.float32, scale=wide)
    tensors = {"l.weight": made, "l.weight_scale": scale, "l.input_scale": torch.tensor(0.1)}
    return case(name, "l.weight", tensors, found, config(name))


def int4(shape: tuple[int, ...], group: int, dtype: torch.dtype, twice: bool = False) -> Case:
    """twice: W4A8, whose weights are rounded to FP8 with a second scale when they are used."""
    w = uneven(*shape, seed=group)
    scale = (w.reshape(*shape[:-1], -1, group).abs().amax(-1) / 7).to(dtype)
    spread = scale.float().repeat_interleave(group, -1)
    found = (w / spread).round().clamp(-8, 7) * spread
    tensors = {"l.weight": pack_int4_in_uint8(w, scale.float(), group), "l.weight_scale": scale}
    if len(shape) == 2:
        tensors["l.pre_quant_scale"] = torch.rand(shape[-1]).bfloat16() + 0.5
    if twice:
        tensors["l.weight_scale_2"] = found.abs().amax() / 448
    algorithm = "W4A8_AWQ" if twice else "W4A16_AWQ"
    name = f"{shape} g{group} {dtype}{' W4A8' * twice}"
    return case(name, "l.weight", tensors, found, config(algorithm, group))


def w4a8_exported() -> Case:
    """A layer that ModelOpt calibrates as W4A8 AWQ and exports itself; what its first quantizer gives is expected."""
    how = deepcopy(mtq.W4A8_AWQ_BETA_CFG)
    for rule in how["quant_cfg"]:
        if rule["quantizer_name"] == "*weight_quantizer":
            rule["cfg"][0]["block_sizes"] = {-1: 32, "type": "static"}
    model = torch.nn.Sequential(torch.nn.Linear(96, 64, bias=False))
    model[0].weight.data = uneven(64, 96, seed=32)
    layer = mtq.quantize(model, how, lambda m: m(torch.randn(64, 96)))[0]
    found = layer.weight_quantizer[0](layer.weight.detach())
    smooth = layer.input_quantizer._pre_quant_scale
    _export_quantized_weight(layer, torch.float32)
    spread = layer.weight_scale.repeat_interleave(32, -1)
    names = ("weight", "weight_scale", "weight_scale_2", "input_scale")
    tensors = {f"l.{name}": getattr(layer, name) for name in names} | {"l.pre_quant_scale": smooth}
    found = (found / spread).round() * spread  # it divides by the scale's reciprocal, which is off by a last place
    return case("W4A8 exported", "l.weight", tensors, found, config("W4A8_AWQ", 32))


if __name__ == "__main__":
    torch.manual_seed(0)
    wide = uneven(40, 96, seed=7).abs()
    cases = [
        *(nvfp4(shape, dtype) for shape in ((64, 96), (40, 160), (3, 16)) for dtype in (torch.float32, torch.bfloat16)),
        nvfp4_awq(),
        stacked(),
    ]
    save("modelopt_nvfp4", "nvidia-modelopt", version("nvidia-modelopt"), cases)
    save("modelopt_mxfp4", "nvidia-modelopt", version("nvidia-modelopt"), [mx(MXFP4QTensor, "MXFP4")])
    cases = [
        mx(MXFP8QTensor, "MXFP8"), fp8(wide.amax() / 448, "fp8"), fp8(wide.amax(1) / 448, "fp8_pc_pt"),
    ]  # fmt: skip
    save("modelopt_fp8", "nvidia-modelopt", version("nvidia-modelopt"), cases)
    cases = [
        int4(shape, group, dtype)
        for shape, group in (((64, 96), 32), ((40, 160), 16), ((6, 128), 128), ((3, 8, 64), 16))
        for dtype in (torch.float32, torch.bfloat16)
    ] + [int4((64, 96), 32, torch.bfloat16, True), int4((3, 8, 64), 16, torch.float32, True), w4a8_exported()]
    save("modelopt_int4", "nvidia-modelopt", version("nvidia-modelopt"), cases)
