"""The linear layers of a dense language model: of published ones, and of any whose config.json can be read.

A step of generating text multiplies by each of them once: the blocks in their order, then the output head. As the
runtimes that serve such models do, the projections that share an input are one layer: query, key and value; gate and
up. Norms, attention itself and the look-up of embeddings are left out: they move few bytes beside the weights as long
as the context is short, while the cache of keys and values grows with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import QuantvizError, did_you_mean

LARGEST = 1 << 24  # of any size in a config.json: a hundred times what models have
MOST_BLOCKS = 1000


@dataclass(frozen=True)
class LayerShape:
    """A matrix [rows, cols] = [out_features, in_features] that occurs `count` times."""

    name: str
    rows: int
    cols: int
    count: int = 1

    @property
    def weights(self) -> int:
        """Of one of them."""
        return self.rows * self.cols


@dataclass(frozen=True)
class ModelShape:
    """layers: those of a block, `blocks` times each, then the head, once. source: where the sizes were read."""

    key: str
    name: str
    source: str
    blocks: int
    layers: tuple[LayerShape, ...]

    @property
    def block(self) -> tuple[LayerShape, ...]:
        """The layers of one block, in the order in which they are multiplied by."""
        return self.layers[:-1]

    @property
    def head(self) -> LayerShape:
        return self.layers[-1]

    @property
    def weights(self) -> int:
        """Of all linear layers together."""
        return sum(layer.weights * layer.count for layer in self.layers)


@dataclass(frozen=True)
class Sizes:
    """The sizes in a config.json that make a model's layers. gated: whether the feed-forward part has a gate."""

    hidden: int
    inner: int
    blocks: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    gated: bool = True

    def shape(self, key: str, name: str, source: str) -> ModelShape:
        """The model of these sizes."""
        attended, up = self.heads * self.head_dim, ("gate and up", 2) if self.gated else ("up", 1)
        layers = (
            LayerShape("qkv", attended + 2 * self.kv_heads * self.head_dim, self.hidden, self.blocks),
            LayerShape("attention output", self.hidden, attended, self.blocks),
            LayerShape(up[0], up[1] * self.inner, self.hidden, self.blocks),
            LayerShape("down", self.hidden, self.inner, self.blocks),
            LayerShape("output head", self.vocabulary, self.hidden),
        )
        return ModelShape(key, name, source, self.blocks, layers)


def _preset(key: str, name: str, repo: str, *sizes: int) -> ModelShape:
    return Sizes(*sizes).shape(key, name, f"config.json of {repo} on the Hugging Face Hub")


_QWEN, _LLAMA2, _LLAMA3, _GEMMA = 151936, 32000, 128256, 256000  # tokens in their vocabularies
# fmt: off
PRESETS: Mapping[str, ModelShape] = MappingProxyType({
    shape.key: shape for shape in (
        _preset("0.5b", "Qwen2.5 0.5B", "Qwen/Qwen2.5-0.5B", 896, 4864, 24, 14, 2, 64, _QWEN),
        _preset("1b", "Llama 3.2 1B", "meta-llama/Llama-3.2-1B", 2048, 8192, 16, 32, 8, 64, _LLAMA3),
        _preset("3b", "Llama 3.2 3B", "meta-llama/Llama-3.2-3B", 3072, 8192, 28, 24, 8, 128, _LLAMA3),
        _preset("7b", "Llama 2 7B", "meta-llama/Llama-2-7b-hf", 4096, 11008, 32, 32, 32, 128, _LLAMA2),
        _preset("8b", "Llama 3.1 8B", "meta-llama/Llama-3.1-8B", 4096, 14336, 32, 32, 8, 128, _LLAMA3),
        _preset("9b", "Gemma 2 9B", "google/gemma-2-9b", 3584, 14336, 42, 16, 8, 256, _GEMMA),
        _preset("14b", "Qwen2.5 14B", "Qwen/Qwen2.5-14B", 5120, 13824, 48, 40, 8, 128, 152064),
        _preset("32b", "Qwen2.5 32B", "Qwen/Qwen2.5-32B", 5120, 27648, 64, 40, 8, 128, 152064),
        _preset("70b", "Llama 3.1 70B", "meta-llama/Llama-3.1-70B", 8192, 28672, 80, 64, 8, 128, _LLAMA3),
    )
})
# Families whose blocks are query, key, value, output, and a feed-forward part with a gate or without one.
_GATED = frozenset({
    "llama", "mistral", "mistral3", "ministral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text", "phi3",
    "smollm3", "olmo", "olmo2", "olmo3", "granite", "cohere", "cohere2", "glm", "glm4", "exaone4", "stablelm",
    "internlm2", "seed_oss", "helium", "arcee",
})
_PLAIN = frozenset({"gpt2", "gpt_neox", "opt", "phi", "starcoder2", "gptj"})
# fmt: on
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def model_shape(text: str, token: str | bool | None = None, root: str | os.PathLike[str] | None = None) -> ModelShape:
    """The shape of a preset such as "8b", or of the model that a reference names, from its own config.json.

    token, root: as for `open_model`. Raises QuantvizError for what is neither, and for models of another build.

    >>> round(model_shape("8b").weights / 1e9, 2), model_shape("demo").blocks
    (7.5, 4)
    """
    if text.lower() in PRESETS:
        return PRESETS[text.lower()]
    if text != "demo" and ":" not in text and "/" not in text and not os.path.exists(text):
        raise QuantvizError(
            f"There is no model {text[:100]!r}; choose {', '.join(PRESETS)}, demo, hf:org/name, or a model's folder."
            f"{did_you_mean(text, PRESETS)}"
        )
    from ..sources.config import read_config

    return from_config(read_config(text, token, root), text)


def from_config(config: Mapping[str, Any], ref: str) -> ModelShape:
    """The shape that a config.json describes. Raises QuantvizError for what it lacks, and for mixtures of experts."""
    inner = config.get("text_config")
    if isinstance(inner, dict):  # a model that also sees or hears
        config = {"model_type": config.get("model_type"), **inner}
    kind = config.get("model_type")
    if any(isinstance(config.get(name), int) and config[name] > 1 for name in _EXPERTS):
        raise QuantvizError(
            f"{ref} is a mixture of experts, of which a step reads only some; choose a dense model, for example 8b."
        )
    if not isinstance(kind, str) or kind not in _GATED | _PLAIN:
        raise QuantvizError(
            f"{ref} is of type {str(kind)[:60]!r}, whose layers quantviz does not know; choose a dense model such as "
            "Llama, Mistral, Qwen, Gemma, Phi or OLMo, or a preset, for example 8b."
        )
    hidden = _size(config, ref, "hidden_size", "n_embd", "d_model")
    heads = _size(config, ref, "num_attention_heads", "n_head")
    blocks = _size(config, ref, "num_hidden_layers", "n_layer", most=MOST_BLOCKS)
    inner_size = _size(config, ref, "intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
    sizes = Sizes(
        hidden, inner_size, blocks, heads, _size(config, ref, "num_key_value_heads", default=heads),
        _size(config, ref, "head_dim", default=max(hidden // heads, 1)), _size(config, ref, "vocab_size"),
        kind in _GATED,
    )  # fmt: skip
    return sizes.shape(ref, ref, f"config.json of {ref}")


def _size(config: Mapping[str, Any], ref: str, *names: str, default: int | None = None, most: int = LARGEST) -> int:
    value = next((config[name] for name in names if config.get(name) is not None), default)
    if type(value) is not int or not 0 < value <= most:
        told = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise QuantvizError(f"config.json of {ref}: {names[0]} {told}; it must be a whole number from 1 to {most:,}.")
    return value
