"""Names are led from a model to its GGUF file by the gguf package's own tables."""

from __future__ import annotations

import gguf
import pytest

from quantviz.checkpoints.names import Place, guess_architecture, has_gguf_names, layers_of, name_map
from quantviz.errors import QuantvizError


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3", "phi3", "bert", "gpt2", "falcon", "mamba"])
def test_places_are_the_packages_own(architecture):
    arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    theirs, ours = gguf.get_tensor_name_map(arch, 3), name_map(architecture, 3)
    for key in theirs.mapping:
        assert ours.place(f"{key}.weight") == Place(theirs.get_name(f"{key}.weight", (".weight",)))


def test_an_architecture_with_names_of_its_own_leaves_the_others_theirs():
    arctic = name_map("arctic", 1).place("model.layers.0.residual_layernorm.weight")
    assert arctic == Place("blk.0.ffn_norm.weight")
    assert name_map("llama", 1).place("model.layers.0.post_attention_layernorm.weight") == Place(
        "blk.0.ffn_norm.weight"
    )


@pytest.mark.parametrize(
    "name, place",
    [
        ("model.layers.0.block_sparse_moe.experts.3.w2.weight", Place("blk.0.ffn_down_exps.weight", 3)),
        ("model.layers.1.mlp.experts.12.gate_proj.weight", Place("blk.1.ffn_gate_exps.weight", 12)),
        ("model.layers.1.self_attn.q_proj.bias", Place("blk.1.attn_q.bias")),
        ("language_model.model.layers.1.self_attn.v_proj.weight", Place("blk.1.attn_v.weight")),
        ("model.language_model.layers.1.self_attn.v_proj.weight", Place("blk.1.attn_v.weight")),
        ("model.layers.7.self_attn.v_proj.weight", None),
        ("something.else", None),
    ],
)
def test_experts_biases_and_prefixes(name, place):
    assert name_map("qwen3moe", 2).place(name) == place


def test_architectures_are_told_apart_by_their_names():
    llama = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight"]
    bert = ["embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight",
            "encoder.layer.0.attention.self.query.weight"]  # fmt: skip
    falcon = ["transformer.word_embeddings.weight", "transformer.h.0.self_attention.query_key_value.weight"]
    assert [guess_architecture(names) for names in (llama, falcon)] == ["llama", "falcon"]
    assert guess_architecture(bert) in ("bert", "nomic-bert", "jina-bert-v2")
    assert layers_of(["model.layers.11.x.weight", "model.layers.2.x"]) == 12 and layers_of(["blk.4.x"]) == 5
    assert has_gguf_names(["blk.0.attn_q.weight"]) and not has_gguf_names(llama)
    with pytest.raises(QuantvizError, match="None of the architectures"):
        guess_architecture(["weight"])
