"""How many layers, heads and experts a Hugging Face model has, as its config.json says and llama.cpp's converter reads.

https://github.com/ggml-org/llama.cpp/blob/0c1e570/conversion/base.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LAYERS = ("n_layers", "num_hidden_layers", "n_layer", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads")
_SHARED = ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "multi_query_group_num", "num_query_groups")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "moe_num_primary_experts")
_AHEAD = ("num_nextn_predict_layers", "mtp_num_hidden_layers")  # layers that predict the token after the next
WITHOUT_LAYERS_AHEAD = ("deepseek2", "deepseek2-ocr")
# Architectures whose heads share keys and values otherwise than _SHARED says: in none, in one for all, or in so many.
_NONE_SHARE = ("bloom", "gpt2", "gptneox", "phi2", "t5")
_ONE_FOR_ALL = {
    "starcoder": 1,
    "refact": 1,
    "deepseek2": 1,
    "deepseek32": 1,
    "glm-dsa": 1,
    "kimi-linear": 1,
    "plamo": 5,
}
_TEXT_PARTS = ("text_config", "llm_config", "lm_config", "language_config", "thinker_config")


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """config.json of the text model alone, where it stands inside that of a model which sees or hears too."""
    for name in _TEXT_PARTS:
        if isinstance(inner := config.get(name), Mapping):
            return {**config, **text_part(inner)}
    return config


def number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a number above 0, or a list, a number a layer, that begins with one; else 0."""
    for name in names:
        value = config.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def layers(config: Mapping[str, Any], architecture: str) -> int:
    """general.architecture's block_count; 0 where config.json does not say."""
    kinds = config.get("layers_block_type")
    count = len(kinds) if isinstance(kinds, list) and architecture.startswith("nemotron") else number(config, *_LAYERS)
    ahead = 0 if architecture in WITHOUT_LAYERS_AHEAD else number(config, *_AHEAD)
    return count + ahead if count else 0


def main_layers(config: Mapping[str, Any]) -> int:
    """Those that predict the next token alone; 0 where config.json does not say."""
    return number(config, *_LAYERS)


def heads(config: Mapping[str, Any]) -> int:
    return number(config, *_HEADS)


def sharing(config: Mapping[str, Any], architecture: str) -> int:
    """Query heads a head of keys and values; 0 where config.json does not say, and shapes may."""
    own = heads(config)
    if architecture in _ONE_FOR_ALL:
        return own // _ONE_FOR_ALL[architecture]
    if architecture in _NONE_SHARE:
        return min(own, 1)
    inner = config.get("attn_config")
    if isinstance(inner, Mapping):  # MPT and DBRX
        return _ratio(own, number(inner, "kv_n_heads") or own)
    if architecture == "falcon" and not config.get("new_decoder_architecture"):
        alone = config.get("multi_query", not config.get("n_head_kv"))  # whatever num_kv_heads says
        return own if alone else _ratio(own, number(config, "n_head_kv") or own)
    names = ("num_kv_heads", "n_head_kv", *_SHARED) if architecture == "falcon" else _SHARED
    names = ("num_key_value_heads_per_layer", *names)
    return _ratio(own, number(config, *names))


def _ratio(own: int, shared: int) -> int:
    return own // shared if shared else 0


def experts(config: Mapping[str, Any]) -> int:
    """How many take turns in one layer; 0 for a model without."""
    inner = config.get("ffn_config")
    return number(config, *_EXPERTS) or (number(inner, *_EXPERTS) if isinstance(inner, Mapping) else 0)
