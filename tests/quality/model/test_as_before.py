"""Which layers a mixture means, what they take, and which small files are read: all as it was before."""

from __future__ import annotations

import json

from quantviz.quality.model import companions
from quantviz.quality.model.layers import Layer, Mixture, matches, select
from quantviz.quality.model.stored_sizes import StoredSizes
from quantviz.schemes import Scheme
from tests.recorded import interface, tried


def layer(name: str, kinds=("linear",), shape=(8, 32), matrices=1) -> Layer:
    return Layer(name, kinds, None, shape, matrices)


LAYERS = (
    layer("model.embed_tokens.weight", ("embeddings",), (64, 32)),
    layer("model.layers.0.mlp.down_proj.weight"),
    layer("model.layers.0.mlp.up_proj.weight"),
    layer("model.layers.1.mlp.down_proj.weight"),
    layer("model.layers.10.mlp.experts.down_proj", matrices=3),
    layer("lm_head.weight", ("head",), (64, 32)),
)


def test_which_layers_a_mixture_means(kept):
    for targets in (
        ("linear",),
        ("head",),
        ("embeddings", "linear"),
        ("down_proj",),
        ("layers.1",),
        ("layers.*.mlp",),
        ("down",),
        (),
        ("",),
        ("experts", "head"),
        ("nothing",),
        ("dwon_proj",),
    ):
        found = tried(select, LAYERS, targets)
        kept(found if isinstance(found, str) else [each.path for each in found])
    kept(
        [
            tried(select, LAYERS[1:2], ("head",)),
            [
                matches(LAYERS[1], pattern)
                for pattern in ("mlp", "layers.0", "0", "down", ".down_proj.", "*", "layers.0.mlp.down_proj")
            ],
        ]
    )
    for text in (
        "int4-sym-b32",
        "down_proj=int8-b32; *=int4-asym-b32",
        "head=int8-sym-channel",
        "*=int4-sym-b32",
        "int4-b32:scale=fp16",
        "a=",
        "=int4",
        ";",
        "x=int4-sym-b32",
        "down_proj=q4_k",
        "head=int8-sym-channel:act=int8-token",
        "experts=int8-sym-channel:act=int8-token",
        "layers.0=int8-sym-channel:act=int8-token",
        "int44",
        "embeddings=int8-sym-b32",
    ):
        mixture = tried(Mixture.parse, text)
        if isinstance(mixture, str):
            kept([text, mixture])
            continue
        found = tried(mixture.assign, LAYERS, ("linear",))
        kept(
            [
                text,
                str(mixture),
                mixture.is_table,
                found if isinstance(found, str) else {each.path: scheme.key for each, scheme in found.items()},
            ]
        )
    kept([[each.weights, each.bits(Scheme.parse("int4-sym-b32"))] for each in LAYERS])


def test_stored_sizes(kept):
    sizes = StoredSizes(
        {
            "a.0.w1": (8, 40),
            "a.0.w2": (8, 48),
            "b": (8, 64),
            "l.gate_proj.weight": (4, 32),
            "l.up_proj.weight": (4, 16),
            "x.q_proj.weight": (2, 9),
        }
    )
    kept(
        [
            sizes.weights,
            sizes.bits,
            {
                name: sizes.bits_of(name, 16)
                for name in (
                    "a.experts",
                    "b",
                    "l.gate_up_proj",
                    "l.gate_up_proj.weight",
                    "x.qkv_proj.weight",
                    "a.0.w1",
                    "q",
                    "x.q_proj",
                )
            },
        ]
    )
    for names in (
        {"token_embd.weight": (64, 512), "blk.0.ffn_up.weight": (32, 144)},
        {"output.weight": (64, 128), "token_embd.weight": (64, 512), "blk.0.ffn_up.weight": (32, 144)},
    ):
        found = StoredSizes.of_gguf(names, "llama")
        kept(
            [
                found.bits_of(name, 8)
                for name in (
                    "lm_head.weight",
                    "model.embed_tokens.weight",
                    "model.layers.0.mlp.up_proj.weight",
                    "model.layers.0.mlp.gate_proj.weight",
                )
            ]
        )
    kept(StoredSizes.of_gguf({"a": (1, 2)}, "nothing").names)


def test_small_files_made_harmless(kept, tmp_path):
    configs = (
        {"hidden_size": 64, "id2label": {"0": "a"}, "num_labels": 3, "x": [1, 2, {"n_layer": 4}]},
        {"num_hidden_layers": 10_001},
        {"num_hidden_layers": 10_000},
        {"hidden_size": 1 << 24},
        {"hidden_size": (1 << 24) + 1},
        {"seed": 1 << 62},
        {"seed": (1 << 62) + 1},
        {"hidden_size": -(1 << 24) - 1},
        {"text_config": {"n_head": 10_001}},
        {"depth": [3, 10_001]},
        {"x": "y" * (512 << 10)},
        {"x": "y" * ((512 << 10) - 20)},
        {"flag": True},
    )
    for config in configs:
        found = tried(companions.lay_out, tmp_path, "config.json", json.dumps(config).encode(), "A model")
        kept(
            [
                found,
                len((tmp_path / "config.json").read_bytes()) if found is None else 0,
                (tmp_path / "config.json").read_text()[:80] if found is None else "",
            ]
        )
    for name, content in (
        ("tokenizer.json", b"{"),
        ("added_tokens.json", b"{"),
        ("vocab.txt", b"\xff"),
        ("config.json", b"[]"),
        ("generation_config.json", b'{"a": 1}'),
    ):
        kept(tried(companions.lay_out, tmp_path, name, content, "A model"))


def test_the_interface(kept):
    kept(interface("quality/model"))
