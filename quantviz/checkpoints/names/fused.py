"""Tensors that some models keep apart and others in one: queries, keys and values; gate and up; experts.

A tensor is called here as a GGUF file calls it, and where GGUF has no word for several in one, by one of FUSED.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .table import Place, has_gguf_names, llama_name

# What a tensor of several is called -> what its parts are called, in their order.
FUSED = {
    "attn_qkv": ("attn_q", "attn_k", "attn_v"),
    "ffn_gate_up": ("ffn_gate", "ffn_up"),
    "ffn_gate_up_shexp": ("ffn_gate_shexp", "ffn_up_shexp"),
    "ffn_gate_up_exps": ("ffn_gate_exps", "ffn_up_exps"),
}
_GATE_UP = r"(?:gate_up_proj|gate_and_up_projs|gate_up|w13|input_linear)"
_SPELLED = tuple((re.compile(rf"(?:^|.*\.){pattern}(?P<end>\.weight|[._]bias|_weight|)"), name) for pattern, name in (
    (r"(?:qkv_proj|W_pack|query_key_value|wqkv|Wqkv|qkv|c_attn|attn_qkv)", "attn_qkv"),
    (r"experts\.(?:(?P<expert>[0-9]{1,9})\.)?" + _GATE_UP, "ffn_gate_up_exps"),
    (r"shared_(?:experts?|mlp)\." + _GATE_UP, "ffn_gate_up_shexp"),
    (r"(?:mlp|feed_forward|ffn)\." + _GATE_UP, "ffn_gate_up"),
))  # fmt: skip
_NUMBER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block|blk)\.([0-9]{1,9})\.")
# Behind an expert's number these are projections of it; the gguf package's tables know them by the stack alone.


@lru_cache(1 << 16)
def canonical(name: str, architecture: str = "") -> Place:
    """What a tensor is called whoever named it: GGUF's name, and which expert it is; its own name where nobody knows.

    >>> canonical("model.layers.3.self_attn.qkv_proj.weight")
    Place(name='blk.3.attn_qkv.weight', expert=None)
    >>> canonical("model.layers.3.mlp.experts.7.up_proj.weight")
    Place(name='blk.3.ffn_up_exps.weight', expert=7)
    >>> canonical("blk.3.attn_q.weight"), canonical("something.else")
    (Place(name='blk.3.attn_q.weight', expert=None), Place(name='something.else', expert=None))
    """
    if has_gguf_names((name,)):
        return Place(name)
    number = _NUMBER.search(name)
    for pattern, fused in _SPELLED if number else ():
        if found := pattern.fullmatch(name):
            ending = ".bias" if found["end"].endswith("bias") else ".weight"
            expert = found.groupdict().get("expert")
            return Place(f"blk.{int(number[1])}.{fused}{ending}", None if expert is None else int(expert))
    said = llama_name(name, architecture)
    if said is None:
        return Place(name)
    base, _, expert = said.partition("[")
    return Place(base, int(expert[:-1]) if expert else None)


def parts_of(name: str) -> tuple[str, ...]:
    """The canonical names of what lies in a tensor of several; () for others.

    >>> parts_of("blk.3.ffn_gate_up.weight")
    ('blk.3.ffn_gate.weight', 'blk.3.ffn_up.weight')
    """
    block, _, rest = name.rpartition(".")
    before, _, word = block.rpartition(".")
    return tuple(f"{before}.{part}.{rest}" for part in FUSED.get(word, ()))
