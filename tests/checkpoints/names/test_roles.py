"""What a tensor does, what it is called whoever named it, and which norms are stored less one."""

from __future__ import annotations

import pytest

from quantviz.checkpoints.names.fused import FUSED, canonical, parts_of
from quantviz.checkpoints.names.norms import stored_less_one
from quantviz.checkpoints.names.roles import ROLES, role
from quantviz.checkpoints.names.table import Place


@pytest.mark.parametrize("name, place, what", [
    ("model.layers.3.self_attn.k_proj.weight", Place("blk.3.attn_k.weight"), "attention k"),
    ("layers.3.attention.wk.weight", Place("blk.3.attn_k.weight"), "attention k"),
    ("transformer.h.3.attn.c_attn.weight", Place("blk.3.attn_qkv.weight"), "attention qkv"),
    ("model.layers.3.self_attn.W_pack.weight", Place("blk.3.attn_qkv.weight"), "attention qkv"),
    ("model.layers.3.self_attn.o_proj.weight", Place("blk.3.attn_output.weight"), "attention o"),
    ("model.layers.3.mlp.gate_up_proj.weight", Place("blk.3.ffn_gate_up.weight"), "mlp gate and up"),
    ("model.layers.3.mlp.experts.gate_up_proj", Place("blk.3.ffn_gate_up_exps.weight"), "mlp gate and up"),
    ("model.layers.3.mlp.experts.gate_up_proj_bias", Place("blk.3.ffn_gate_up_exps.bias"), "other"),
    ("model.layers.3.mlp.experts.12.down_proj.weight", Place("blk.3.ffn_down_exps.weight", 12), "mlp down"),
    ("model.layers.3.block_sparse_moe.experts.1.w3.weight", Place("blk.3.ffn_up_exps.weight", 1), "mlp up"),
    ("model.layers.3.mlp.shared_experts.gate_proj.weight", Place("blk.3.ffn_gate_shexp.weight"), "mlp gate"),
    ("model.layers.3.mlp.gate.weight", Place("blk.3.ffn_gate_inp.weight"), "other"),
    ("model.layers.3.input_layernorm.weight", Place("blk.3.attn_norm.weight"), "other"),
    ("model.embed_tokens.weight", Place("token_embd.weight"), "embedding"),
    ("lm_head.weight", Place("output.weight"), "head"), ("output.weight", Place("output.weight"), "head"),
    ("blk.3.ffn_up_exps.weight", Place("blk.3.ffn_up_exps.weight"), "mlp up"),
    ("decoder.strange.weight", Place("decoder.strange.weight"), "other"),
])  # fmt: skip
def test_names_and_roles(name, place, what):
    assert canonical(name) == place and role(name) == what and what in ROLES


def test_parts_of_what_is_in_one():
    for name, parts in FUSED.items():
        assert parts_of(f"blk.7.{name}.bias") == tuple(f"blk.7.{part}.bias" for part in parts)
    assert parts_of("blk.7.attn_q.weight") == parts_of("x") == ()


@pytest.mark.parametrize("architecture, name, less", [
    ("gemma", "model.norm.weight", True), ("gemma2", "model.layers.0.pre_feedforward_layernorm.weight", True),
    ("gemma3", "model.layers.0.self_attn.q_norm.weight", True), ("gemma3n", "model.norm.weight", False),
    ("gemma4", "model.norm.weight", False), ("llama", "model.norm.weight", False),
    ("nemotron", "model.layers.0.input_layernorm.weight", True), ("nemotron_h", "backbone.norm_f.weight", False),
    ("qwen3next", "model.layers.0.linear_attn.norm.weight", False), ("qwen35", "model.norm.weight", True),
    ("gemma", "model.layers.0.self_attn.q_proj.weight", False), ("gemma", "model.norm.bias", False),
])  # fmt: skip
def test_norms_stored_less_one(architecture, name, less):
    assert stored_less_one(name, architecture) == less
