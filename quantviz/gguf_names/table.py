"""What a GGUF file calls the tensors of a model, by the gguf package's own tables.

https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import QuantvizError, did_you_mean
from .architectures import called

_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block)\.([0-9]+)\.")
_BLOCK = re.compile(r"blk\.([0-9]+)\.")
# One of several that lie in one tensor of a file: experts, norms a head, projections a stream.
_ONE = re.compile(r"(.*(?:\.experts|\.moe|_layernorm\.norms|altup_(?:unembed_)?projections))\.([0-9]+)\.(.+)")
# What the converter renames before it looks into its tables: how a name ends, and what then follows the layer's number.
_RENAMED = tuple((re.compile(rf".*?\.([0-9]+)\..*{pattern}"), name) for pattern, name in (
    (r"e_score_correction[._]bias", "exp_probs_b.bias"), (r"expert_bias", "exp_probs_b.bias"),
    (r"dt_bias", "ssm_dt.bias"), (r"sinks", "attn_sinks.weight"),
    (r"altup\.correct_output_scale", "altup_correct_scale.weight"),
    (r"layer_scalar", "layer_output_scale.weight"), (r"experts\.down_proj_bias", "ffn_down_exps.bias"),
))  # fmt: skip
# Of the layers that predict the token after the next.
_AHEAD = re.compile(r".*layers\.([0-9]+)\.(eh_proj|embed_tokens|enorm|hnorm|shared_head\.(?:head|norm))\.weight")
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
        if ahead := _AHEAD.fullmatch(name):
            return Place(f"blk.{int(ahead[1])}.nextn.{ahead[2].replace('.', '_')}.weight")
        for pattern, renamed in _RENAMED:
            if found := pattern.fullmatch(name):
                return Place(f"blk.{int(found[1])}.{renamed}")
        table = _table(self.architecture, self.layers)
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
    numbers = [int(m[1]) for name in names if (m := _LAYER.search(name) or _BLOCK.match(name))]
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
    layer = _LAYER.search(name)
    first = name if layer is None else f"{name[: layer.start(1)]}0{name[layer.end(1) :]}"
    names = NameMap(architecture, 1) if architecture in _architectures() else NameMap(_ANY, 1)
    place = names.place(first)
    if place is None:
        return None
    found = place.name if layer is None else place.name.replace("blk.0.", f"blk.{int(layer[1])}.", 1)
    return found if place.expert is None else f"{found}[{place.expert}]"


@cache
def _architectures() -> dict:
    from gguf.constants import MODEL_ARCH_NAMES

    return {name: arch for arch, name in MODEL_ARCH_NAMES.items()}


_ANY = "any"


@cache
def _table(architecture: str, layers: int):
    """The gguf package's map of names; of `_ANY`, where architectures differ, what most of them say."""
    from gguf.tensor_mapping import TensorNameMap

    if architecture == _ANY:
        said: dict[str, Counter] = {}
        for known in _architectures():
            for key, value in _table(known, layers).mapping.items():
                said.setdefault(key, Counter())[value] += 1
        table = copy(_table("llama", layers))
        table.mapping = {key: votes.most_common(1)[0][0] for key, votes in said.items()}
        return table

    class Table(TensorNameMap):
        # Architectures with names of their own write them into this table, which all others share.
        block_mappings_cfg = dict(TensorNameMap.block_mappings_cfg)

    return Table(_architectures()[architecture], layers)
