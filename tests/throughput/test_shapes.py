"""Shapes of models: published ones add up to their published sizes, and a config.json is read as data."""

from __future__ import annotations

import pytest

import quantviz as qv
from quantviz.throughput import PRESETS, model_shape
from quantviz.throughput.shapes import from_config

# Parameters in all, as their makers count them: linear layers, and the table of embeddings where it is one of its own.
# Qwen2.5 0.5B, Llama 3.2 1B and 3B and Gemma 2 share that table with the output head.
PUBLISHED = {
    "0.5b": 0.494e9, "1b": 1.24e9, "3b": 3.21e9, "7b": 6.74e9, "8b": 8.03e9, "9b": 9.24e9, "14b": 14.8e9, "32b": 32.8e9,
    "70b": 70.6e9,
}  # fmt: skip
TIED = {"0.5b", "1b", "3b", "9b"}

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
}  # fmt: skip


@pytest.mark.parametrize("key", PRESETS)
def test_presets_have_the_published_number_of_weights(key: str) -> None:
    shape = PRESETS[key]
    weights = shape.weights + (0 if key in TIED else shape.head.weights)
    assert weights == pytest.approx(PUBLISHED[key], rel=0.005)
    assert "/" in shape.source and shape.blocks == shape.block[0].count


def test_the_demo_model_has_the_shape_of_its_tensors() -> None:
    shape = model_shape("demo")
    linear = [t for t in qv.open_model("demo").tensors if t.name.endswith("proj.weight")]
    embeddings = next(t for t in qv.open_model("demo").tensors if "embed" in t.name)
    assert shape.weights == sum(t.size for t in linear) + embeddings.size


def test_layers_of_a_config() -> None:
    shape = from_config(LLAMA, "org/name")
    assert [(layer.rows, layer.cols, layer.count) for layer in shape.layers] == [
        (128, 64, 2), (64, 64, 2), (320, 64, 2), (64, 160, 2), (100, 64, 1),
    ]  # fmt: skip
    assert from_config({**LLAMA, "head_dim": 32}, "x").layers[0].rows == 256
    plain = {"model_type": "gpt2", "n_embd": 64, "n_head": 4, "n_layer": 3, "vocab_size": 100}
    assert [(layer.rows, layer.cols) for layer in from_config(plain, "gpt2").layers] == [
        (192, 64), (64, 64), (256, 64), (64, 256), (100, 64),
    ]  # fmt: skip
    seeing = {"model_type": "gemma3", "vision_config": {}, "text_config": {**LLAMA, "model_type": "gemma3_text"}}
    assert from_config(seeing, "x").weights == shape.weights


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "mamba"}, "is of type 'mamba', whose layers quantviz does not know"),
        ({"model_type": None}, "is of type 'None'"),
        ({"num_experts": 8}, "is a mixture of experts"),
        ({"num_local_experts": 8}, "choose a dense model"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": "64"}, "hidden_size is '64'; it must be a whole number"),
        ({"hidden_size": True}, "hidden_size is 'True'"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is '0'"),
        ({"num_hidden_layers": 10**6}, "from 1 to 1,000"),
        ({"vocab_size": 10**12}, "from 1 to 16,777,216"),
        ({"num_key_value_heads": -1}, "num_key_value_heads is '-1'"),
    ],
)
def test_configs_that_make_no_shape(change: dict, said: str) -> None:
    with pytest.raises(qv.QuantvizError, match=said.replace("(", r"\(")) as caught:
        from_config({**LLAMA, **change}, "org/name")
    assert "org/name" in str(caught.value)


def test_models_that_there_are_not() -> None:
    with pytest.raises(qv.QuantvizError, match="There is no model '8bb'.*Did you mean 8b"):
        model_shape("8bb")
    with pytest.raises(qv.QuantvizError, match="A single tensor has no config.json"):
        model_shape("random:normal")
