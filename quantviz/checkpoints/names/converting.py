"""A Hugging Face model as llama.cpp's converter lists it in a GGUF file: names, shapes, and what it leaves out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .counts import WITHOUT_LAYERS_AHEAD, heads, layers, main_layers, number
from .rewriting import Shape, Source, rewritten
from .table import NameMap, knows, layers_of, name_map

# What the converter leaves out: buffers, and the parts that read pictures and sound, which get a file of their own.
_BUFFERS = re.compile(
    r".*(\.attention\.(masked_)?bias|\.attn\.(masked_)?bias|rotary_\w+\.inv_freq|rope\.freqs|position_ids|"
    r"relative_pe\.slopes|\.mlp\.act_fn\.\w+)"
)
_OTHER_SENSES = re.compile(
    r"((vit|vpm|siglip2?|conformer|merger|resampler|sound_\w+|speech_embeddings)\.|mlp[0-9]).*|"
    r".*(visual\.|vision[._]|audio[._]|talker\.|token2wav\.|code2wav\.|projector\.|image_newline|view_seperator|"
    r"patch_embed|patch_merge|model\.connector\.).*"
)
_OF_BERT = re.compile(
    r"(\w+\.)?(pooler\.dense\.\w+|cls\.(predictions|seq_relationship)\..+|vocab_\w+\.\w+|lm_head\..+)"
)
_HEAD = re.compile(r"(\w+\.)*lm_head\.weight")
_NO_HEAD = ("gemma", "gemma2", "graniteswitch", "hrm_text")  # whose head is the embedding, whatever the file holds
_HEAD_MAY_BE_TIED = ("mamba", "mamba2", "deepseek2", "deepseek2-ocr", "glm-dsa", "hunyuan-dense", "hunyuan-moe",
                     "pangu-embedded", "glm4")  # fmt: skip
_MTP_PARTS = {"fc": "eh_proj", "pre_fc_norm_embedding": "enorm", "pre_fc_norm_hidden": "hnorm",
              "norm": "shared_head.norm"}  # fmt: skip
_MTP = re.compile(
    rf"(?:model\.)?mtp\.(?:layers\.(?P<layer>[0-9]{{1,9}})|(?P<part>{'|'.join(_MTP_PARTS)}))\.(?P<rest>.+)"
)
_NUMBERED = re.compile(r"model\.layers\.([0-9]{1,9})\.")
_FLOAT32 = re.compile(
    r".*(ffn_gate_inp(_shexp)?\.weight|ssm_conv1d(_[qkv])?\.weight|shortconv\.conv\.weight|"
    r"time_mix_(first|w1|w2|decay_w1|decay_w2|lerp_fused)\.weight|altup_(correct|predict)_coef\.weight|"
    r"indexer\.proj\.weight)|(position_embd|token_types)\.weight"
)


@dataclass(frozen=True)
class Converted:
    """The tensors of a GGUF file made of a Hugging Face model.

    shapes: by name, outermost axis first.  dtypes: what the converter writes where nothing is quantized.
    dropped: names of the original that the converter leaves out.  unknown: those of which nothing tells what they are.
    """

    shapes: dict[str, Shape]
    dtypes: dict[str, str]
    dropped: tuple[str, ...]
    unknown: tuple[str, ...]


def converted(
    tensors: Iterable[tuple[str, Shape, str]], architecture: str, count: int, config: Mapping[str, Any]
) -> Converted:
    """What llama.cpp's converter makes of (name, shape, dtype) of every tensor.

    count: of layers.  config: of the text model; empty where there is none, and then shapes tell what they can.
    Raises QuantvizError for an architecture that the gguf package has no names of.
    """
    tensors = list(tensors)
    names = name_map(architecture, count)
    source = Source(architecture, config, _hidden(tensors, names, config), knows(architecture, "ATTN_K_B"))
    shapes: dict[str, Shape] = {}
    stacked: Counter[str] = Counter()
    dropped, unknown = [], []
    main = main_layers(config)
    for name, shape, _ in tensors:
        spelled = _ahead(name, main)
        if _is_dropped(spelled, architecture, config, main):
            dropped.append(name)
        elif (parts := rewritten(spelled, shape, source)) is not None:
            shapes.update(parts)
            unknown += [] if parts else [name]
        elif place := names.place(spelled):
            if place.expert is None:
                shapes[place.name] = shape
            else:
                stacked[place.name] += 1
                shapes[place.name] = (stacked[place.name], *shape)
        else:
            unknown.append(name)
    shapes |= {name: shape for name, shape in _made(architecture, source).items() if name not in shapes}
    half = "bfloat16" if any(dtype == "bfloat16" and len(s) > 1 for _, s, dtype in tensors) else "float16"
    dtypes = {name: "float32" if _is_float32(name, shape, architecture) else half for name, shape in shapes.items()}
    return Converted(shapes, dtypes, tuple(dropped), tuple(unknown))


def _ahead(name: str, main: int) -> str:
    """The name of a tensor that predicts the token after the next, as one of a layer behind the `main` ones.

    >>> _ahead("mtp.layers.0.mlp.gate.weight", 48)
    'model.layers.48.mlp.gate.weight'
    """
    found = _MTP.fullmatch(name)
    if not found or not main:
        return name
    if found["layer"]:
        return f"model.layers.{main + int(found['layer'])}.{found['rest']}"
    return f"model.layers.{main}.{_MTP_PARTS[found['part']]}.{found['rest']}"


def layers_in(names: Iterable[str], architecture: str, config: Mapping[str, Any]) -> int:
    """block_count of the file, by config.json and, where that is silent, by names."""
    names = list(names)
    said, main = layers(config, architecture), main_layers(config)
    ahead = [int(m["layer"]) + 1 for name in names if (m := _MTP.fullmatch(name)) and m["layer"]]
    return max(said, main + max(ahead, default=0)) or layers_of(names)


def _hidden(tensors: list[tuple[str, Shape, str]], names: NameMap, config: Mapping[str, Any]) -> int:
    """What a token is between layers: as config.json says, or as long as a row of the embedding."""
    said = number(config, "hidden_size", "n_embd", "d_model", "dim")
    embeddings = (s[-1] for n, s, _ in tensors if s and (p := names.place(n)) and p.name == "token_embd.weight")
    return said or next(embeddings, 0)


def _is_dropped(name: str, architecture: str, config: Mapping[str, Any], main: int) -> bool:
    if _BUFFERS.fullmatch(name) or _OTHER_SENSES.fullmatch(name):
        return True
    layer = _NUMBERED.match(name)
    if architecture in WITHOUT_LAYERS_AHEAD and layer and main and int(layer[1]) >= main:
        return True
    if _HEAD.fullmatch(name):
        tied = architecture in _HEAD_MAY_BE_TIED and config.get("tie_word_embeddings", "mamba" in architecture)
        return bool(tied) or architecture in _NO_HEAD
    if architecture == "t5":
        return name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    return "bert" in architecture and bool(_OF_BERT.fullmatch(name))


def _made(architecture: str, source: Source) -> dict[str, Shape]:
    """Tensors that the converter computes from config.json: how positions are stretched."""
    config = source.config
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    rope = rope if isinstance(rope, Mapping) else {}
    inner = rope.get("full_attention")
    rope = inner if isinstance(inner, Mapping) else rope
    head = source.number("head_dim") or source.hidden // (heads(config) or 1)
    if architecture == "gemma4":
        own = config.get("per_layer_config")
        parts = [part for part in (own.values() if isinstance(own, Mapping) else ()) if isinstance(part, Mapping)]
        full = number(config, "global_head_dim") or max((number(part, "head_dim") for part in parts), default=0)
        return {"rope_freqs.weight": ((full or 512) // 2,)}
    if str(rope.get("rope_type") or rope.get("type")).lower() == "llama3" and knows(architecture, "ROPE_FREQS"):
        return {"rope_freqs.weight": (head // 2,)} if head else {}
    long = rope.get("long_factor")
    if isinstance(long, list) and knows(architecture, "ROPE_FACTORS_LONG"):
        return {f"rope_factors_{kind}.weight": (len(long),) for kind in ("long", "short")}
    return {}


def _is_float32(name: str, shape: Shape, architecture: str) -> bool:
    """What the converter never writes in 16 bits."""
    if len(shape) < 2 or not name.endswith(".weight") or "_norm.weight" in name:
        return True
    return architecture != "dbrx" and bool(_FLOAT32.fullmatch(name))
