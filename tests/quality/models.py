"""Small random models in files: a folder of the Hub's layout, and the same one as GGUF."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from quantviz.sources.demo import FOLDER

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def random_llama(folder: Path, dtype: torch.dtype = torch.float32, **settings) -> Path:
    """A Llama of two layers of 64 with random weights, grouped heads, and the demo's tokenizer."""
    torch.manual_seed(0)
    chosen = {
        "vocab_size": 2048,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": 0.15,
    } | settings
    save(LlamaForCausalLM(LlamaConfig(**chosen)).to(dtype), folder)
    return folder


def save(model, folder: Path) -> None:
    model.save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(FOLDER / name, folder)


def edit_json(path: Path, **changes) -> None:
    """Sets entries of a JSON file; None takes one out."""
    value = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({name: entry for name, entry in value.items() if entry is not None}), encoding="utf-8")


_GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}  # fmt: skip
_GGUF_PARTS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def as_gguf(folder: Path, path: Path, types: Callable[[str], str | None] = lambda name: None) -> Path:
    """The model of `folder` as llama.cpp's converter writes a Llama: heads permuted, tokenizer inside.

    types: name in the file -> its block type as gguf spells it, such as Q4_1; float32 where that is None.
    """
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, folder)
    for name, weights in model.state_dict().items():
        values = weights.numpy()
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if part in name:  # llama.cpp keeps the two halves of a rotary pair side by side
                shape = (heads, 2, len(values) // heads // 2, *values.shape[1:])
                values = values.reshape(shape).swapaxes(1, 2).reshape(values.shape)
        values, name = np.ascontiguousarray(values), _gguf_name(name)
        if kind := types(name):
            raw = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quants.quantize(values, raw), raw_dtype=raw)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _gguf_name(name: str) -> str:
    if name in _GGUF_NAMES:
        return _GGUF_NAMES[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{_GGUF_PARTS[part]}.weight"


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    said = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocabulary = sorted(said["model"]["vocab"], key=said["model"]["vocab"].get)
    special = {token["content"] for token in said["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in vocabulary])
    merges = said["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
