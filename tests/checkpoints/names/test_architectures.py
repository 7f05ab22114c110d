"""The architecture is the one that llama.cpp's converter chooses, for every class of models that it knows."""

from __future__ import annotations

import pytest

from quantviz.checkpoints.names import architecture_of
from quantviz.checkpoints.names.architectures import called
from tests.checkpoints.names.truth import ARCHITECTURES

KNOWN = dict.fromkeys([*ARCHITECTURES["classes"].values(), *ARCHITECTURES["model_types"].values()])


@pytest.mark.parametrize("said, key", [("classes", "architectures"), ("model_types", "model_type")])
def test_every_class_and_every_type(said, key):
    named = ARCHITECTURES[said]
    configs = {name: {key: [name] if key == "architectures" else name} for name in named}
    assert {name: called(config, KNOWN) for name, config in configs.items()} == named


@pytest.mark.parametrize(
    "config, architecture",
    [
        ({"architectures": ["LlavaForConditionalGeneration"], "text_config": {"model_type": "qwen2"}}, "llama"),
        ({"model_type": "llava", "text_config": {"model_type": "qwen2"}}, "qwen2"),
        ({"model_type": "x", "llm_config": {"architectures": ["Qwen2ForCausalLM"]}}, "qwen2"),
        ({"model_type": "x", "thinker_config": {"text_config": {"model_type": "qwen3_moe"}}}, "qwen3moe"),
        ({"architectures": ["Qwen3VLForConditionalGeneration"], "text_config": {"model_type": "x"}}, "qwen3vl"),
        ({"architectures": ["NomicBertModel"], "moe_every_n_layers": 2}, "nomic-bert-moe"),
        ({"architectures": ["SomethingNewForCausalLM"], "model_type": "llama"}, "llama"),
        ({"architectures": ["OPTForCausalLM"], "model_type": "opt"}, None),
        ({"architectures": "LlamaForCausalLM", "model_type": ["llama"], "text_config": "none"}, None),
        ({}, None),
    ],
)
def test_models_inside_others_and_what_is_no_model(config, architecture):
    assert architecture_of(config) == architecture
