"""What a GGUF file calls the tensors of a model, by the gguf package's own tables.

https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/tensor_mapping.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from .errors import QuantvizError, did_you_mean

_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks|block)\.([0-9]+)\.")
_BLOCK = re.compile(r"blk\.([0-9]+)\.")
_EXPERT = re.compile(r"(.*\.experts)\.([0-9]+)\.(.+)")
_SUFFIXES = (".weight", ".bias")
_MOST_LAYERS = 1000
# Tensors of a file that no table leads to: they are made by the converter.
OWN_NAMES = ("token_embd.", "output.", "output_norm.", "rope_freqs.")


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
        table = _table(self.architecture, self.layers)
        plain = name.replace("language_model.", "").replace("text_model.", "")
        for spelled in dict.fromkeys((name, plain, f"model.{plain}")):
            if found := table.get_name(spelled, _SUFFIXES):
                return Place(found)
            expert = _EXPERT.fullmatch(spelled)
            if expert and (found := table.get_name(f"{expert[1]}.{expert[3]}", _SUFFIXES)):
                return Place(found, int(expert[2]))
        return None


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
    return any(_BLOCK.match(name) or name.startswith(OWN_NAMES) for name in names)


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


@cache
def _architectures() -> dict:
    from gguf.constants import MODEL_ARCH_NAMES

    return {name: arch for arch, name in MODEL_ARCH_NAMES.items()}


@cache
def _table(architecture: str, layers: int):
    from gguf.tensor_mapping import TensorNameMap

    class Table(TensorNameMap):
        # Architectures with names of their own write them into this table, which all others share.
        block_mappings_cfg = dict(TensorNameMap.block_mappings_cfg)

    return Table(_architectures()[architecture], layers)
