"""What models are converted to where config.json or shapes say a little less, or something else: as before."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quantviz.checkpoints.names import (
    architecture_of,
    converted,
    guess_architecture,
    layers_in,
    layers_of,
    name_map,
    text_part,
)
from quantviz.checkpoints.names import counts as counted
from quantviz.checkpoints.names.fused import canonical
from quantviz.checkpoints.names.norms import stored_less_one
from quantviz.checkpoints.names.roles import role
from quantviz.errors import QuantvizError
from tests.checkpoints.names.truth import CONVERTED

SOME = ("deepseek_v3", "deepseek_v3-mtp", "gpt_oss", "mamba2", "qwen3_next", "dbrx", "internlm2", "refact", "roberta",
        "t5", "gemma4", "granitemoe", "falcon", "gpt2", "nemotron_h", "llama", "phi3")  # fmt: skip


def configs(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A config with each of its numbers lost, one more, and as a list; and with each object lost."""
    for key, value in config.items():
        if type(value) is int or isinstance(value, dict):
            yield f"{key} lost", {k: v for k, v in config.items() if k != key}
        if type(value) is int:
            yield f"{key} + 1", config | {key: value + 1}
            yield f"{key} listed", config | {key: [value, 1]}


def made_of(kind: str, tensors: dict[str, tuple], config: dict[str, Any]) -> list:
    architecture = CONVERTED[kind]["architecture"]
    layers = layers_in(tensors, architecture, config)
    made = converted([(name, tuple(s), "float16") for name, s in tensors.items()], architecture, min(layers, 8), config)
    numbers = [counted.layers(config, architecture), counted.main_layers(config), counted.heads(config),
               counted.sharing(config, architecture), counted.experts(config)]  # fmt: skip
    return [layers, numbers, made.shapes, made.dtypes, made.dropped, made.unknown]


@pytest.mark.parametrize("kind", [kind for kind in SOME if kind in CONVERTED])
def test_what_a_model_is_converted_to(kind: str, kept: Callable) -> None:
    tensors, config = CONVERTED[kind]["original"], dict(text_part(CONVERTED[kind]["config"]))
    first = {name: s for name, s in tensors.items() if not any(f".{n}." in name for n in range(1, 9))}
    whole = made_of(kind, first, config)
    found = {}
    for what, other in configs(config):
        made = made_of(kind, first, other)
        if made != whole:
            found[what] = [made[1], f"{zlib.crc32(repr(made).encode()):x}"]
    kept(found)
    for change in (lambda s: s[::-1], lambda s: (1, *s), lambda s: s[1:], lambda s: (*s[:-1], s[-1] + 1),
                   lambda s: (s[0] + 1, *s[1:])):  # fmt: skip
        made = made_of(kind, {name: change(s) for name, s in first.items()}, config)
        kept([made[:2], len(made[2]), made[5][:3], zlib.crc32(repr(made).encode())])
    names = [[canonical(n, CONVERTED[kind]["architecture"]), role(n), stored_less_one(n, "gemma")] for n in first]
    kept([names[0], zlib.crc32(repr([[*map(repr, one)] for one in names]).encode())])


@pytest.mark.parametrize("layers", [-1, 0, 1, 2, 999, 1000, 1001])
def test_names_of_layers(layers: int, kept: Callable) -> None:
    names = [f"model.layers.{n}.self_attn.q_proj.weight" for n in (0, 1, 2, 998, 999, 1000, 1001)]
    table = name_map("llama", layers)
    kept(
        [
            table.layers,
            [repr(table.place(name)) for name in names],
            layers_of(names[: layers + 1]),
            layers_of(names[-2:]),
        ]
    )


def test_other_spellings(kept: Callable) -> None:
    names = ("bert.encoder.layer.0.attention.output.LayerNorm.gamma", "bert.embeddings.LayerNorm.beta", "output.weight",
             "encoder.layer.0.attention.output.LayerNorm.bias", "thinker.model.layers.1.mlp.experts.3.up_proj.weight",
             "language_model.model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.sinks",
             "model.layers.0.mlp.experts.down_proj_bias", "model.layers.1.router.scale", "h.0.ln_1.weight",
             "model.layers.0.altup_projections.1.weight", "altup_projections.1.weight", "visual.x")  # fmt: skip
    for architecture in ("llama", "bert", "gpt-oss", "gemma3n", "arctic", "qwen3moe"):
        table = name_map(architecture, 2)
        kept([repr(table.place(name)) for name in names] + [repr(canonical(name, architecture)) for name in names])
    kept([repr(canonical(name)) for name in names])
    guessed = []
    for first in range(len(names)):
        try:
            guessed.append(guess_architecture(names[first:]))
        except QuantvizError as refused:
            guessed.append(str(refused))
    kept(guessed)
    for wrong in ("llamb", "nothing like it"):
        with pytest.raises(QuantvizError) as refused:
            name_map(wrong, 1)
        kept(str(refused.value))


def test_counts_of_configs(kept: Callable) -> None:
    said = ({"num_attention_heads": 8}, {"n_head": [4, 2]}, {"num_attention_heads": True, "n_heads": 2}, {"n_head": []},
            {"n_head": 8, "num_key_value_heads": 2}, {"n_head": 8, "num_kv_heads": 1, "multi_query": False},
            {"n_head": 71, "multi_query": True}, {"n_head": 8, "n_head_kv": 2, "new_decoder_architecture": True},
            {"n_heads": 8, "attn_config": {"kv_n_heads": 2}}, {"n_heads": 8, "attn_config": {}},
            {"n_layer": 3, "num_nextn_predict_layers": 1}, {"layers_block_type": ["a", "b"]}, {"num_experts": 0},
            {"ffn_config": {"moe_num_experts": 3}}, {"text_config": {"llm_config": {"n_layer": 2}}})  # fmt: skip
    for architecture in ("llama", "falcon", "plamo", "gpt2", "deepseek2", "nemotron_h", "mpt"):
        kept([[counted.sharing(c, architecture), counted.layers(text_part(c), architecture), counted.heads(c),
               counted.experts(c), counted.main_layers(text_part(c))] for c in said])  # fmt: skip
    kept([architecture_of({"model_type": kind}) for kind in ("gpt_neox", "nomic_bert", "nemotron_h", "x", "qwen3_moe")])
