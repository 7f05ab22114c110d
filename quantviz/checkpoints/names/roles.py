"""What a tensor does in its model, told by its name, whoever named it."""

from __future__ import annotations

import re

from .fused import canonical

# In the order in which they are shown.
ROLES = (
    "attention q", "attention k", "attention v", "attention qkv", "attention o", "mlp gate", "mlp up",
    "mlp gate and up", "mlp down", "embedding", "head", "other",
)  # fmt: skip
_WORDS = {
    "attn_q": "attention q", "attn_q_a": "attention q", "attn_q_b": "attention q", "attn_k": "attention k",
    "attn_k_b": "attention k", "attn_kv_a_mqa": "attention k", "attn_kv_b": "attention k", "attn_v": "attention v",
    "attn_v_b": "attention v", "attn_qkv": "attention qkv", "attn_output": "attention o", "ffn_gate": "mlp gate",
    "ffn_up": "mlp up", "ffn_gate_up": "mlp gate and up", "ffn_down": "mlp down",
}  # fmt: skip
_LAYERED = re.compile(r"blk\.[0-9]+\.([a-z0-9_]+?)(?:_exps|_shexp)?\.weight")
_EMBEDDINGS, _HEADS = ("token_embd.weight", "per_layer_token_embd.weight"), ("output.weight",)


def role(name: str, architecture: str = "") -> str:
    """One of ROLES; biases, norms and routers are "other".

    >>> role("model.layers.0.self_attn.q_proj.weight"), role("blk.7.ffn_down_exps.weight"), role("lm_head.weight")
    ('attention q', 'mlp down', 'head')
    >>> role("model.embed_tokens.weight"), role("model.norm.weight"), role("model.layers.0.self_attn.q_proj.bias")
    ('embedding', 'other', 'other')
    """
    said = canonical(name, architecture).name
    if said in _EMBEDDINGS or said in _HEADS:
        return "head" if said in _HEADS else "embedding"
    found = _LAYERED.fullmatch(said)
    return _WORDS.get(found[1], "other") if found else "other"
