"""Makes data/quark.npz: layers that AMD Quark quantizes, exports and reads back, as a whole model that holds them.

pip install torch amd-quark==0.13 transformers accelerate, then, from the root: python -m tests.checkpoints.home.quark
"""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import quark.torch.quantization.config.config as specs
import torch
from quark.torch import ModelQuantizer, export_safetensors, import_model_from_safetensors
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from tests.checkpoints.golden import Case, save
from tests.checkpoints.home.torch_tensors import case, uneven

LAYER = "model.layers.0.mlp.down_proj"
OUT, IN = 48, 128
SHARED = {"scale_type": "float", "round_method": "half_even", "is_dynamic": False}


def empty(dtype: torch.dtype) -> LlamaForCausalLM:
    config = LlamaConfig(
        hidden_size=OUT, intermediate_size=IN, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        vocab_size=64, head_dim=16,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(dtype).eval()


def made(spec: object, order: str, dtype: torch.dtype) -> Case:
    model = empty(dtype)
    model.get_submodule(LAYER).weight.data = uneven(OUT, IN, seed=11).to(dtype)
    others = ["lm_head", "*self_attn*", "*gate_proj", "*up_proj"]
    config = specs.QConfig(global_quant_config=specs.QLayerConfig(weight=spec.to_quantization_spec()), exclude=others)
    quantizer = ModelQuantizer(config)
    model = quantizer.freeze(quantizer.quantize_model(model, [torch.arange(16)[None]]))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        export_safetensors(model, folder, weight_format="real_quantized", pack_method=order)
        tensors = {
            name.replace(LAYER, "l"): tensor
            for name, tensor in load_file(Path(folder) / "model.safetensors").items() if name.startswith(LAYER)
        }  # fmt: skip
        said = json.loads((Path(folder) / "config.json").read_text())["quantization_config"]
        layer = import_model_from_safetensors(empty(dtype), folder).get_submodule(LAYER)
        seen = layer.weight_quantizer(layer.weight).detach()
    symmetric = "sym" if spec.symmetric else "asym"
    kind = type(spec).__name__.removesuffix("Spec")
    name = f"{kind} {symmetric} {order} {str(dtype).removeprefix('torch.')}"
    return case(name, "l.weight", tensors, seen, {"config.json": {"quantization_config": said}})


if __name__ == "__main__":
    groups = {"ch_axis": -1, "group_size": 32, **SHARED}
    asked = [
        (specs.Uint4PerGroupSpec(symmetric=False, **groups), torch.float32),
        (specs.Uint4PerGroupSpec(symmetric=False, **groups), torch.bfloat16),
        (specs.Int4PerGroupSpec(symmetric=True, **groups), torch.float32),
        (specs.Int4PerGroupSpec(symmetric=False, **groups), torch.float32),
        (specs.Int4PerChannelSpec(symmetric=True, ch_axis=0, **SHARED), torch.float32),
        (specs.Uint4PerChannelSpec(symmetric=False, ch_axis=0, **SHARED), torch.bfloat16),
        (specs.Int4PerTensorSpec(symmetric=True, observer_method="min_max", **SHARED), torch.float32),
        (specs.Uint4PerTensorSpec(symmetric=False, observer_method="min_max", **SHARED), torch.float32),
    ]
    cases = [made(spec, order, dtype) for spec, dtype in asked for order in ("reorder", "order")]
    save("quark", "amd-quark", version("amd-quark"), cases)
