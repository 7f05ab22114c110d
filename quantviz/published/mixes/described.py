"""A model as its GGUF file lists it: what there is for a mix to quantize, and what the rules ask of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...checkpoints import names as gguf_names
from ...checkpoints import refuse_packed
from ...errors import QuantvizError
from ...sources import Model
from .base import Facts

# Where each layer has its own number of heads, llama.cpp asks the first one, which may have no attention.
_BY_LAYER = ("granitehybrid", "jamba", "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "plamo2", "kimi-linear")


@dataclass(frozen=True)
class Described:
    """A model as its GGUF file would list it.

    shapes, and dtypes of what is not quantized, by name.  left_out: tensors of the original that are not in the file;
    of those in `unknown` nothing tells what they are.  guessed: whether the architecture is a guess by names.
    """

    facts: Facts
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    guessed: bool = False


def described(model: Model, architecture: str | None = None) -> Described:
    """By the file's own words where it is a GGUF; by config.json where there is one; else by names and shapes.

    architecture: as GGUF's general.architecture spells it, where nothing else should decide.
    Raises QuantvizError where nothing tells the architecture, for one that GGUF has no names for, and for a model whose
    tensors are codes of a packed format.
    """
    refuse_packed(model.packed_as, model.ref, "what a mix makes of it")
    names = [info.name for info in model.tensors]
    if gguf_names.has_gguf_names(names):
        return _of_gguf(model, names, architecture)
    config = gguf_names.text_part(model.config)
    found = architecture or (_configured(model) if config else gguf_names.guess_architecture(names))
    layers = gguf_names.layers_in(names, found, config)
    tensors = [(info.name, info.shape, info.dtype) for info in model.tensors]
    made = gguf_names.converted(tensors, found, layers, config)
    if not made.shapes:
        raise QuantvizError(f"No tensor of {model.ref} has a name in a GGUF file of the architecture {found}.")
    left_out = {*made.dropped, *made.unknown}
    return Described(
        _facts(found, layers, gguf_names.sharing(config, found), gguf_names.experts(config), made.shapes),
        made.shapes, made.dtypes, tuple(name for name in names if name in left_out), made.unknown,
        guessed=not architecture and not config,
    )  # fmt: skip


def _configured(model: Model) -> str:
    """The architecture that config.json names."""
    found = gguf_names.architecture_of(model.config)
    if found is None:
        said = " and ".join(gguf_names.said_by(model.config)[:2])[:120] or "no kind of model"
        raise QuantvizError(
            f"The config.json of {model.ref} names {said}, for which the gguf package has no names of tensors; say "
            "which architecture it is like, as GGUF spells it, for example llama."
        )
    return found


def _of_gguf(model: Model, names: Iterable[str], architecture: str | None) -> Described:
    shapes = {info.name: info.shape for info in model.tensors}
    said = str(model.metadata.get("general.architecture", ""))
    found = architecture or said or gguf_names.guess_architecture(names)

    def number(key: str) -> int:
        value: Any = model.metadata.get(f"{said or found}.{key}")
        return value if isinstance(value, int) and value > 0 else 0

    heads, shared = number("attention.head_count"), number("attention.head_count_kv")
    sharing = heads // shared if shared else 0
    facts = _facts(found, number("block_count"), sharing, number("expert_count"), shapes)
    dtypes = {info.name: info.dtype for info in model.tensors}
    return Described(facts, shapes, dtypes, guessed=not architecture and not said)


def _facts(architecture: str, layers: int, sharing: int, experts: int, shapes: Mapping[str, tuple[int, ...]]) -> Facts:
    """What is said, and where nothing is, what shapes tell."""
    if architecture in _BY_LAYER and not any(name.startswith("blk.0.attn_") and _is_map(name) for name in shapes):
        sharing = 1
    experts = experts or next((s[0] for n, s in shapes.items() if "_exps." in n and len(s) > 2), 0)
    return Facts(architecture, layers or gguf_names.layers_of(shapes), sharing or _sharing(shapes), experts)


def _is_map(name: str) -> bool:
    return any(part in name for part in ("attn_k.", "attn_qkv.", "attn_kv"))


def _sharing(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Heads of queries a head of keys in the first layer, by the rows of their matrices: all heads are equally long."""
    rows = {
        part: shapes[name][0]
        for part in ("q", "k", "qkv")
        if len(shapes.get(name := f"blk.0.attn_{part}.weight", ())) == 2
    }
    out = shapes.get("blk.0.attn_output.weight", ())
    queries, keys = rows.get("q", 0), rows.get("k", 0)
    if "qkv" in rows and len(out) == 2:  # queries are as long as what attention puts out
        queries, keys = out[1], (rows["qkv"] - out[1]) // 2
    return max(1, queries // keys) if keys > 0 else 1
