"""Which layers a word or a pattern means, and tables of patterns and schemes."""

from __future__ import annotations

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM

from quantviz.errors import QuantvizError
from quantviz.kernels import quantize
from quantviz.quality.measure import measure_quality
from quantviz.quality.model.layers import Mixture, distinct_mixtures, find_layers, matches, select
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.model.replacing import Originals, Replacer
from quantviz.schemes import Scheme
from tests.quality.models import save


@pytest.fixture(scope="module")
def layers():
    with open_language_model("demo") as opened:
        yield find_layers(opened.model)


def names(found) -> list[str]:
    return [layer.path for layer in found]


def test_words_and_patterns(layers) -> None:
    assert len(select(layers, ["linear"])) == 28
    assert names(select(layers, ["embeddings"])) == names(select(layers, ["head"])) == ["model.embed_tokens"]
    assert len(select(layers, ["down_proj"])) == 4
    assert len(select(layers, ["layers.0"])) == len(select(layers, ["model.layers.0"])) == 7
    assert len(select(layers, ["layers.*.mlp"])) == 12
    assert names(select(layers, ["layers.1.self_attn.[qk]_proj"])) == [
        "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.k_proj"
    ]  # fmt: skip
    both = select(layers, ["up_proj", "linear"])
    assert names(both) == names(select(layers, ["linear"]))  # in the model's order, each once
    assert not any(matches(layer, "proj") for layer in layers)  # whole parts of a name


@pytest.mark.parametrize("pattern", ["down_prj", "layers.9", "", "  "])
def test_a_pattern_that_matches_nothing_names_some_layers(layers, pattern) -> None:
    with pytest.raises(QuantvizError, match="No layer matches .*there are 29, such as model.embed_tokens, ") as caught:
        select(layers, ["linear", pattern])
    assert ("Did you mean down_proj" in str(caught.value)) == (pattern == "down_prj")
    with pytest.raises(QuantvizError, match="No layer matches"):
        next(measure_quality("demo", ["int4"], targets=[pattern], tokens=512))


def test_no_targets_at_all(layers) -> None:
    with pytest.raises(QuantvizError, match="No layers are chosen"):
        select(layers, [])


def test_in_a_table_the_first_match_wins(layers) -> None:
    table = Mixture.parse(" down_proj = int8-b32 ; layers.0=int4-asym-b32:scale=fp32; *=int2-b32 ")
    assert str(table) == "down_proj=int8-sym-b32;layers.0=int4-asym-b32:scale=fp32;*=int2-sym-b32"
    assert Mixture.parse(table.key) == table
    assigned = {layer.path: scheme.key for layer, scheme in table.assign(layers, ["linear"]).items()}
    assert len(assigned) == 28 and list(assigned) == names(select(layers, ["linear"]))
    assert assigned["model.layers.0.mlp.down_proj"] == "int8-sym-b32"
    assert assigned["model.layers.0.mlp.up_proj"] == "int4-asym-b32:scale=fp32"
    assert assigned["model.layers.3.mlp.up_proj"] == "int2-sym-b32"
    # A star is the targets, a name is whatever it names.
    some = Mixture.parse("head=int8-b32;*=int4-b32").assign(layers, ["down_proj"])
    assert [(layer.path, scheme.format) for layer, scheme in some.items()][:2] == [
        ("model.embed_tokens", "int8"), ("model.layers.0.mlp.down_proj", "int4")
    ]  # fmt: skip
    assert len(some) == 5


def test_a_plain_scheme_is_a_table_of_one() -> None:
    assert Mixture.parse("int4:scale=fp32").rules == (("*", Scheme.parse("int4:scale=fp32")),)
    assert str(Mixture.parse("*=int4-b32")) == "int4-sym-b32"
    assert distinct_mixtures(["int4-b32", "*=int4-sym-b32", Scheme.parse("int4-b32")]) == (Mixture.parse("int4-b32"),)
    with pytest.raises(QuantvizError, match="at least one scheme"):
        distinct_mixtures([])


@pytest.mark.parametrize(
    ("text", "says"),
    [("x=int4;y", "'y' is no rule"), ("=int4", "no rule"), ("x=itn4", "Did you mean"), ("x=", "scheme key is needed")],
)
def test_tables_that_are_none(text, says) -> None:
    with pytest.raises(QuantvizError, match=says):
        Mixture.parse(text)


def test_a_mixture_s_experts_are_linear_layers_each_with_its_own_scales(tmp_path) -> None:
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=2048, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=3, num_experts_per_tok=2, max_position_embeddings=128,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    save(MixtralForCausalLM(config), tmp_path / "mixtral")
    scheme = Scheme.parse("int4-sym-tensor")
    with open_language_model(tmp_path / "mixtral") as opened:
        layer = next(layer for layer in find_layers(opened.model) if layer.path.endswith("experts.down_proj"))
        assert (layer.matrices, layer.shape) == (3, (32, 64)) and "linear" in layer.kinds
        before = layer.parameter.clone()
        with Replacer(Originals(opened, tmp_path)) as replacer:
            change = replacer.apply({layer: scheme})[layer]
            assert change.bits == 3 * scheme.bits_stored((32, 64))
            for expert in range(3):
                expected = torch.as_tensor(quantize(before[expert], scheme).dequantize())
                assert torch.equal(layer.parameter[expert], expected)
        assert torch.equal(layer.parameter, before)
        found = list(measure_quality(opened, ["fp32", "int4"], tokens=256, context=128, cache_dir=tmp_path))
    assert (found[0].perplexity_ratio, found[0].kl_max) == (1.0, 0.0) and found[-1].kl_mean > 0
