"""What a GGUF file calls the tensors of a model, by the gguf package's own tables.

https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ...errors import QuantvizError, did_you_mean
from .architectures import called

_LAYER = re.compile(
    r"(?:^|\.)(?:layers|layer|h|blocks|block|blk|decoder_layer|transformer_encoder|convnext|posnet)\.([0-9]{1,9})\."
)
_BLOCK = re.compile(r"blk\.[0-9]{1,9}\.")
# One of several that lie in one tensor of a file: experts, norms a head, projections a stream.
_ONE = re.compile(r"(.*(?:\.experts|\.moe|_layernorm\.norms|altup_(?:unembed_)?projections))\.([0-9]{1,9})\.(.+)")
# What the converter renames before it looks into its tables: how a name ends, and what then follows the layer's number.
_RENAMED = {
    "e_score_correction_bias": "exp_probs_b.bias", "e_score_correction.bias": "exp_probs_b.bias",
    ".expert_bias": "exp_probs_b.bias", ".dt_bias": "ssm_dt.bias", ".sinks": "attn_sinks.weight",
    ".altup.correct_output_scale": "altup_correct_scale.weight", ".layer_scalar": "layer_output_scale.weight",
    ".experts.down_proj_bias": "ffn_down_exps.bias", ".router.per_expert_scale": "ffn_down_exps.scale",
    ".router.scale": "ffn_gate_inp.scale",
    # of layers that predict the token after the next
    ".eh_proj.weight": "nextn.eh_proj.weight", ".embed_tokens.weight": "nextn.embed_tokens.weight",
    ".enorm.weight": "nextn.enorm.weight", ".hnorm.weight": "nextn.hnorm.weight",
    ".shared_head.head.weight": "nextn.shared_head_head.weight",
    ".shared_head.norm.weight": "nextn.shared_head_norm.weight",
}  # fmt: skip
_RENAMED_ENDINGS = tuple(_RENAMED)
_SUFFIXES = (".weight", ".bias")
_MOST_LAYERS = 1000
# What GGUF alone calls so, outside the layers: `output.` is in Meta's own files too.
_OWN_NAMES = ("token_embd.", "output_norm.", "rope_freqs.")


@dataclass(frozen=True)
class Place:
    """A tensor of a GGUF file; expert: which of those that lie in it one after the other, None where it is one."""

    name: str
    expert: int | None = None


@dataclass(frozen=True)
class NameMap:
    """The names of one architecture, as general.architecture spells it, with so many layers."""

    architecture: str
    layers: int

    def place(self, name: str) -> Place | None:
        """Where the tensor that an original model calls `name` is; None where no table says.

        >>> NameMap("llama", 2).place("model.layers.1.self_attn.q_proj.weight")
        Place(name='blk.1.attn_q.weight', expert=None)
        >>> NameMap("qwen3moe", 2).place("model.layers.0.mlp.experts.5.down_proj.weight")
        Place(name='blk.0.ffn_down_exps.weight', expert=5)
        """
        layer = _LAYER.search(name)
        if layer is None:
            return self._first(name)
        if int(layer[1]) >= self.layers:
            return None
        if name.endswith(_RENAMED_ENDINGS):
            renamed = next(made for ending, made in _RENAMED.items() if name.endswith(ending))
            return Place(f"blk.{int(layer[1])}.{renamed}")
        place = self._first(f"{name[: layer.start(1)]}0{name[layer.end(1) :]}")
        return place and replace(place, name=place.name.replace(".0.", f".{int(layer[1])}.", 1))

    def _first(self, name: str) -> Place | None:
        """Of a tensor outside the layers, or in the first one: a table of one layer tells the names in all."""
        table = _table(self.architecture)
        for spelled in _spellings(name):
            if found := table.get_name(spelled, _SUFFIXES):
                return Place(found + ".weight" if found.endswith("_exps") else found)
            one = _ONE.fullmatch(spelled)
            if one and (found := table.get_name(f"{one[1].removesuffix('.norms')}.{one[3]}", _SUFFIXES)):
                return Place(found, int(one[2]))
        return None


def _spellings(name: str) -> dict[str, None]:
    """A name as the tables may have it: without what stands around a text model, or with what they expect there."""
    plain = re.sub(r"language_model\.|text_model\.|thinker\.", "", name)
    if plain.endswith((".gamma", ".beta")):  # BERT as TensorFlow had it
        plain = plain.removesuffix(".gamma") + ".weight" if plain.endswith(".gamma") else plain[:-5] + ".bias"
    bare = re.sub(r"^(transformer|bert|roberta|distilbert|model)\.", "", plain)
    return dict.fromkeys((name, plain, f"model.{plain}", bare))


def name_map(architecture: str, layers: int) -> NameMap:
    """The names of an architecture. Raises QuantvizError for one that the gguf package has no table of."""
    known = _architectures()
    if architecture not in known:
        near = did_you_mean(architecture, known)
        raise QuantvizError(f"The gguf package has no names for the architecture {architecture[:80]!r}.{near}")
    return NameMap(architecture, min(max(layers, 1), _MOST_LAYERS))


def layers_of(names: Iterable[str]) -> int:
    """How many layers the tensors' names count."""
    numbers = [int(m[1]) for name in names if (m := _LAYER.search(name))]
    return max((n for n in numbers if n < _MOST_LAYERS), default=-1) + 1


def has_gguf_names(names: Iterable[str]) -> bool:
    """Whether these are the names that GGUF files use."""
    return any(_BLOCK.match(name) or name.startswith(_OWN_NAMES) for name in names)


def guess_architecture(names: Iterable[str]) -> str:
    """The architecture whose table knows most of the names of an original model; llama where several do.

    Architectures of one family share their names, so this tells families apart and no more.
    """
    first = [name for name in names if not (m := _LAYER.search(name)) or m[1] == "0"]
    score = {a: sum(NameMap(a, 1).place(name) is not None for name in first) for a in _architectures()}
    best = max(score, key=lambda a: (score[a], a == "llama"))
    if not score[best]:
        raise QuantvizError(
            "None of the architectures that the gguf package knows has tensors of these names; "
            "open a model as Hugging Face's libraries name it, or a GGUF file."
        )
    return best


def architecture_of(config: Mapping[str, Any]) -> str | None:
    """general.architecture of what a model of this config.json becomes; None for one the gguf package has no names of.

    >>> architecture_of({"model_type": "gpt_neox"})
    'gptneox'
    """
    return called(config, _architectures())


def knows(architecture: str, tensor: str) -> bool:
    """Whether files of an architecture hold a tensor that the gguf package calls so, such as ATTN_K_B."""
    from gguf.constants import MODEL_TENSOR, MODEL_TENSORS

    found = getattr(MODEL_TENSOR, tensor, None)
    return found is not None and found in MODEL_TENSORS[_architectures()[architecture]]


def llama_name(name: str, architecture: str = "") -> str | None:
    """What llama.cpp calls a tensor of a Hugging Face model; None where no architecture has a name for it.

    architecture: general.architecture where it is known. Else what most architectures say; they differ in some norms.

    >>> llama_name("model.layers.3.self_attn.q_proj.weight")
    'blk.3.attn_q.weight'
    >>> llama_name("model.layers.0.mlp.experts.7.up_proj.weight")
    'blk.0.ffn_up_exps.weight[7]'
    """
    place = NameMap(architecture if architecture in _architectures() else _ANY, _MOST_LAYERS).place(name)
    return place and (place.name if place.expert is None else f"{place.name}[{place.expert}]")


@cache
def _architectures() -> dict:
    from gguf.constants import MODEL_ARCH_NAMES

    return {name: arch for arch, name in MODEL_ARCH_NAMES.items()}


_ANY = "any"


@cache
def _table(architecture: str):
    """The gguf package's map of names in one layer; of `_ANY`, where architectures differ, what most of them say."""
    from gguf.tensor_mapping import TensorNameMap

    if architecture == _ANY:
        said: dict[str, Counter] = {}
        for known in _architectures():
            for key, value in _table(known).mapping.items():
                said.setdefault(key, Counter())[value] += 1
        table = copy(_table("llama"))
        table.mapping = {key: votes.most_common(1)[0][0] for key, votes in said.items()}
        return table

    class Table(TensorNameMap):
        # Architectures with names of their own write them into this table, which all others share.
        block_mappings_cfg = dict(TensorNameMap.block_mappings_cfg)

    return Table(_architectures()[architecture], 1)
