"""Which tensors are swept, and what they are called."""

from __future__ import annotations

import numpy as np
import pandas as pd

import quantviz as qv
from quantviz.sweep.targets import targets
from tests.sources.builders import safetensors, weights


def listed(folder, arrays, **options):
    (folder / "model.safetensors").write_bytes(safetensors(arrays))
    return targets(qv.open_model(folder), **options)


def test_matrices_alone_with_their_roles_and_layers(tmp_path) -> None:
    layer = "model.layers.{}."
    tensors = {
        "model.embed_tokens.weight": weights(16, 32),
        layer.format(0) + "self_attn.q_proj.weight": weights(8, 32),
        layer.format(0) + "self_attn.q_proj.bias": weights(1, 8)[0],
        layer.format(0) + "input_layernorm.weight": weights(1, 32),
        layer.format(10) + "mlp.gate.weight": weights(4, 32),
        layer.format(2) + "mlp.experts.3.up_proj.weight": weights(8, 32),
        layer.format(2) + "conv1d.weight": weights(8, 12).reshape(8, 3, 4),
        "lm_head.weight": weights(16, 32),
        "position_ids": np.arange(64).reshape(2, 32),
    }
    found = {target.name: target for target in listed(tmp_path, tensors)}
    said = {name: (target.role, target.layer, target.expert, target.shape) for name, target in found.items()}
    assert said == {
        "lm_head.weight": ("head", None, None, (16, 32)),
        "model.embed_tokens.weight": ("embedding", None, None, (16, 32)),
        "model.layers.0.self_attn.q_proj.weight": ("attention q", 0, None, (8, 32)),
        "model.layers.2.conv1d.weight": ("other", 2, None, (8, 12)),
        "model.layers.2.mlp.experts.3.up_proj.weight": ("mlp up", 2, 3, (8, 32)),
        "model.layers.10.mlp.gate.weight": ("other", 10, None, (4, 32)),
    }
    assert [target.name for target in listed(tmp_path, tensors, roles=("mlp up", "head"))] == [
        "lm_head.weight", "model.layers.2.mlp.experts.3.up_proj.weight",
    ]  # fmt: skip
    assert [target.layer for target in listed(tmp_path, tensors, tensors=r"layers\.[0-9]\..*proj")] == [0, 2]


def test_experts_of_a_gguf_file_and_of_others_lie_one_by_one(tmp_path) -> None:
    stack = {"model.layers.1.mlp.experts.gate_up_proj": np.zeros((4, 16, 32), np.float32)}
    found = listed(tmp_path, stack)
    assert [target.name for target in found] == [f"model.layers.1.mlp.experts.gate_up_proj[{i}]" for i in range(4)]
    assert [target.rows for target in found] == [(0, 16), (16, 32), (32, 48), (48, 64)]
    assert {target.role for target in found} == {"mlp gate and up"}


def test_codes_that_nothing_decodes_are_rows_that_say_so(tmp_path) -> None:
    proj = "model.layers.{}.self_attn.q_proj."
    packed = {"q_weight": "int32", "q_scale": "int32", "q_groups": "int16"}  # EXL2
    tensors = {proj.format(0) + name: np.zeros((4, 32), kind) for name, kind in packed.items()}
    tensors |= {proj.format(1) + "weight": weights(8, 32), "lm_head.weight": weights(4, 32)}
    kinds = {name: {"int32": "I32", "int16": "I16"}[a.dtype.name] for name, a in tensors.items() if a.dtype.kind == "i"}
    (tmp_path / "model.safetensors").write_bytes(safetensors(tensors, kinds))
    frame = pd.concat(qv.sweep(tmp_path, ["int4-sym-b32"], detail="metrics"))
    frame = frame.sort_values("tensor", key=lambda names: names.str.replace("lm_head", "z"))
    said = frame.set_index("tensor")
    assert list(frame.tensor) == [proj.format(0) + "q_weight", proj.format(1) + "weight", "lm_head.weight"]
    assert "EXL2" in said.refused.iloc[0] and (said.refused.iloc[1:] == "").all()
    assert list(frame.role) == ["attention q", "attention q", "head"] and np.isnan(said.stored_bits.iloc[0])
