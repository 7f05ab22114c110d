"""What llama.cpp's converter makes of tensors that it does not copy as they are: split, turned, stacked, renamed.

A table: where a name in a Hugging Face model matches, the tensors of its layer that it becomes, with their shapes.
https://github.com/ggml-org/llama.cpp/blob/0c1e570/conversion/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .counts import heads, number

Shape = tuple[int, ...]
Parts = Iterable[tuple[str, Shape]]  # (name, or what follows the layer's number in it, shape)


@dataclass(frozen=True)
class Source:
    """The model that tensors come from.

    config: of the text model.  hidden: how many numbers a token is between layers; 0 where nothing says.
    splits: whether the architecture keeps the two halves of a latent's expansion apart (attn_k_b and attn_v_b).
    """

    architecture: str
    config: Mapping[str, Any]
    hidden: int
    splits: bool = False

    def number(self, *names: str) -> int:
        return number(self.config, *names)


# What is made of a shape, under which names; empty where the model does not tell.
Make = Callable[[Shape, Source], Parts]


def _reading(name: str, *names: str) -> Make:
    """Maps whose input is the hidden state, last axis; cut into equal parts where several names are given."""

    def make(shape: Shape, source: Source) -> Parts:
        *before, rows, cols = turned(shape, source.hidden, -1)
        return [(n, (*before, rows // len((name, *names)), cols)) for n in (name, *names)]

    return make


def _writing(name: str) -> Make:
    """Maps whose output is the hidden state, the last axis but one."""
    return lambda shape, source: [(name, turned(shape, source.hidden, -2))]


def turned(shape: Shape, hidden: int, axis: int) -> Shape:
    """A shape whose last two axes are so that `axis` has the hidden state's length, where only one of them has."""
    other = -1 if axis == -2 else -2
    if len(shape) > 1 and shape[axis] != hidden == shape[other]:
        return (*shape[:-2], shape[-1], shape[-2])
    return shape


def _without_ones(name: str) -> Make:
    return lambda shape, _: [(name, tuple(n for n in shape if n != 1))]


def _halves(*names: str) -> Make:
    """A vector, or one an expert, cut into equal parts."""
    return lambda shape, _: [(n, (*shape[:-1], shape[-1] // len(names))) for n in names]


def _latent(shape: Shape, source: Source) -> Parts:
    """kv_b_proj of a latent attention, apart: the keys' part with its axes turned, as they are multiplied then."""
    keys, values = source.number("qk_nope_head_dim"), source.number("v_head_dim")
    count = source.number("num_key_value_heads", "num_attention_heads")
    if not source.splits:
        return [("attn_kv_b.weight", shape)]
    if not keys or not values or count * (keys + values) != shape[0]:
        return []
    return [("attn_k_b.weight", (count, shape[1], keys)), ("attn_v_b.weight", (count, values, shape[1]))]


def _by_heads(ending: str) -> Make:
    """Queries, keys and values in one, apart: each as many heads as config.json says."""

    def make(shape: Shape, source: Source) -> Parts:
        own = heads(source.config)
        shared = source.number("num_key_value_heads") or own
        if not own or shape[0] % (own + 2 * shared):
            return []
        head = shape[0] // (own + 2 * shared)
        rows = {"q": own, "k": shared, "v": shared}
        return [(f"attn_{part}.{ending}", (n * head, *shape[1:])) for part, n in rows.items()]

    return make


def _keys_and_values(shape: Shape, source: Source) -> Parts:
    return [(f"attn_{part}.weight", (shape[0] // 2, shape[1])) for part in "kv"]


def _linear_attention(shape: Shape, source: Source) -> Parts:
    """in_proj_qkvz: queries, keys and values, and apart from them the gate z."""
    keys = source.number("linear_num_key_heads") * source.number("linear_key_head_dim")
    values = source.number("linear_num_value_heads") * source.number("linear_value_head_dim")
    if 2 * (keys + values) != shape[0]:
        return []
    return [("attn_qkv.weight", (2 * keys + values, shape[1])), ("attn_gate.weight", (values, shape[1]))]


def _experts_below(name: str, turn: bool = False) -> Make:
    """DBRX: experts one below the other in one matrix."""

    def make(shape: Shape, source: Source) -> Parts:
        if len(shape) == 3:  # as an opened model shows those that are kept [in, out]
            return [(name, shape)]
        inner = source.config.get("ffn_config")
        experts = inner.get("moe_num_experts") if isinstance(inner, Mapping) else 0
        if len(shape) != 2 or not isinstance(experts, int) or experts < 1 or shape[0] % experts:
            return []
        rows, cols = shape[0] // experts, shape[1]
        return [(name, (experts, cols, rows) if turn else (experts, rows, cols))]

    return make


def _shared_input(shape: Shape, source: Source) -> Parts:
    """Granite's shared expert, which is the whole feed-forward part of a model without others."""
    ending = "_shexp" if source.number("num_local_experts") else ""
    return _reading(f"ffn_gate{ending}.weight", f"ffn_up{ending}.weight")(shape, source)


def _shared_output(shape: Shape, source: Source) -> Parts:
    return [("ffn_down_shexp.weight" if source.number("num_local_experts") else "ffn_down.weight", shape)]


def _column(name: str) -> Make:
    """Mamba 2 has a number a head, kept as [heads, 1]."""
    return lambda shape, _: [(name, (*shape, 1) if len(shape) == 1 else shape)]


def _grouped_norm(shape: Shape, source: Source) -> Parts:
    groups = source.number("n_groups", "mamba_n_groups") or 1
    return [("ssm_norm.weight", (groups, shape[0] // groups))]


def _after_padding(shape: Shape, source: Source) -> Parts:
    """RoBERTa's positions are counted from behind the padding token's number."""
    pad = source.config.get("pad_token_id")
    first = pad + 1 if isinstance(pad, int) and 0 <= pad < shape[0] else 0
    return [("position_embd.weight", (shape[0] - first, *shape[1:]))]


_ROBERTA = ("roberta", "xlm-roberta", "camembert")
_MAMBA_2 = ("mamba2", "granitehybrid", "falcon-h1", "nemotron_h", "nemotron_h_moe")
# (pattern of what a name ends with, the architectures it holds for; none for all, what is made)
_TABLE: tuple[tuple[str, tuple[str, ...], Make], ...] = (
    (r"(?:mixer|mamba|ssm|linear_attn)\.conv1d\.weight", (), _without_ones("ssm_conv1d.weight")),
    (r"\.conv\.conv\.weight", (), _without_ones("shortconv.conv.weight")),
    (r"\.A_log", _MAMBA_2, _column("ssm_a")),
    (r"\.D", _MAMBA_2, _column("ssm_d")),
    (r"(?:mixer|mamba)\.norm\.weight", _MAMBA_2, _grouped_norm),
    (r"\.experts\.gate_up_proj", ("gemma4",), _reading("ffn_gate_up_exps.weight")),
    (r"\.experts\.gate_up_proj(?:\.weight)?", (), _reading("ffn_gate_exps.weight", "ffn_up_exps.weight")),
    (r"\.experts\.gate_up_proj[._]bias", (), _halves("ffn_gate_exps.bias", "ffn_up_exps.bias")),
    (r"\.experts\.gate_proj", (), _reading("ffn_gate_exps.weight")),
    (r"\.experts\.up_proj", (), _reading("ffn_up_exps.weight")),
    (r"\.experts\.down_proj(?:\.weight)?", (), _writing("ffn_down_exps.weight")),
    (r"block_sparse_moe\.input_linear\.weight", (), _reading("ffn_gate_exps.weight", "ffn_up_exps.weight")),
    (r"shared_mlp\.input_linear\.weight", (), _shared_input),
    (r"shared_mlp\.output_linear\.weight", (), _shared_output),
    (r"\.kv_b_proj\.weight", (), _latent),
    (r"\.in_proj_qkvz\.weight", (), _linear_attention),
    (r"\.W_pack\.weight", (), _by_heads("weight")),
    (r"\.wqkv\.weight", ("internlm2",), _by_heads("weight")),
    (r"\.attn\.kv\.weight", ("refact",), _keys_and_values),
    (r"\.attn\.q\.weight", ("refact",), lambda shape, _: [("attn_q.weight", shape)]),
    (r"\.mlp\.gate_up_proj\.weight", ("refact",), _reading("ffn_gate.weight", "ffn_up.weight")),
    (r"\.ffn\.proj_1\.weight", ("openelm",), _reading("ffn_gate.weight", "ffn_up.weight")),
    (r"\.attn\.c_attn\.weight", ("gpt2", "jais"), _reading("attn_qkv.weight")),
    (r"\.mlp\.c_fc\.weight", ("gpt2", "jais"), _reading("ffn_up.weight")),
    (r"\.mlp\.c_fc2\.weight", ("jais",), _reading("ffn_gate.weight")),
    (r"\.mlp\.c_proj\.weight", ("gpt2", "jais"), _writing("ffn_down.weight")),
    (r"\.ffn\.experts\.mlp\.w1", ("dbrx",), _experts_below("ffn_gate_exps.weight")),
    (r"\.ffn\.experts\.mlp\.v1", ("dbrx",), _experts_below("ffn_up_exps.weight")),
    (r"\.ffn\.experts\.mlp\.w2", ("dbrx",), _experts_below("ffn_down_exps.weight", turn=True)),
)
_REWRITES = tuple((re.compile(rf".*{pattern}"), set(only), make) for pattern, only, make in _TABLE)
_SOME = re.compile(f"(?:{'|'.join(pattern for pattern, _, _ in _TABLE)})$")  # most names match none of them
_VECTORS = ("bias", ".A_log", ".D", ".norm.weight")
_NUMBER = re.compile(r"\.([0-9]{1,9})\.")


def rewritten(name: str, shape: Shape, source: Source) -> Parts | None:
    """The tensors of a GGUF file that one becomes; None for one that keeps its shape, empty where nothing tells."""
    if shape and name.endswith("embeddings.position_embeddings.weight") and source.config.get("model_type") in _ROBERTA:
        return _after_padding(shape, source)
    layer = _SOME.search(name) and _NUMBER.search(name)
    if not layer:
        return None
    if len(shape) < (1 if name.endswith(_VECTORS) else 2):  # of another model, or damaged
        return []
    for pattern, only, make in _REWRITES:
        if (not only or source.architecture in only) and pattern.fullmatch(name):
            return [(f"blk.{int(layer[1])}.{part}", made) for part, made in make(shape, source)]
    return None
