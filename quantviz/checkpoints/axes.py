"""Which axis of a stored tensor is its input: read from the model's architecture, never from a shape alone.

Blocks run along the input. Most models keep [out, in], and of a mixture [experts, out, in]; the tables name those
that do not. Names and sizes are those of transformers 5.24: models/*/modeling_*.py and conversion_mapping.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..sources import TensorInfo
from .turned import Turn

_DEEP = 4  # how far a config nests: text_config of a thinker_config


@dataclass(frozen=True)
class Layout:
    """How a tensor is shown: its shape, how many of the last axes are the input, and what must be turned for it."""

    shape: tuple[int, ...]
    input_axes: int = 0
    turn: Turn | None = None
    notice: str = ""


# -- the tables ----------------------------------------------------------------------------------

# Models whose linear layers are transformers' Conv1D, [in, out], and the names of these layers.
_IN_OUT_MODELS = {"gpt2", "openai-gpt", "decision_transformer", "imagegpt", "clvp", "clvp_decoder", "jais"}
_IN_OUT = re.compile(r"(?:^|\.)(?:c_attn|q_attn|c_fc|c_proj)\.weight$")
# Models that keep their fused experts as [experts, in, out].
_IN_OUT_EXPERTS = {
    "gpt_oss", "openai_privacy_filter", "llama4", "llama4_text", "qwen3_vl_moe", "qwen3_vl_moe_text", "aria",
    "aria_text", "nemotron3_5_transcribe",
}  # fmt: skip
_EXPERTS = re.compile(
    r"experts\.(?:(?P<in>gate_up_proj|gate_and_up_projs|gate_proj|up_proj|w13|w1|w3|fc1|gate_up)"
    r"|(?P<out>down_proj|down_projs|w2|fc2|down))(?:_weight|\.weight)?$"
)
Table = tuple[tuple[set[str], re.Pattern[str]], ...]  # kinds of models, and their tensors
# Single matrices of other models that are kept [in, out], or [groups, in, out].
_OTHERS = (
    ({"csm", "csm_depth_decoder_model"}, re.compile(r"codebooks_head\.weight$")),
    ({"convbert"}, re.compile(r"(?:intermediate|output)\.dense\.weight$")),
    ({"recurrent_gemma"}, re.compile(r"rg_lru\.(?:input|recurrent)_gate_weight$")),
    ({"ernie4_5_moe_vl", "ernie4_5_vl_moe"}, re.compile(r"mlp\.gate\.weight(?:_1)?$")),
)
# [in, heads, size of a head] beside [out, heads, size of a head].
_HEADS_IN = (({"xlnet"}, re.compile(r"rel_attn\.[qkvr]$")), ({"funnel"}, re.compile(r"\.r_kernel$")))
_HEADS_OUT = (({"xlnet"}, re.compile(r"rel_attn\.o$")),)
# Transposed convolutions, [in, out, ...]: told by the word in their names, or by the model.
_TRANSPOSED = re.compile(r"(?:^|[._])(?:deconv|conv_?transpose|transposed_conv|convt_|conv_t[0-9])")
_UPSAMPLER = re.compile(r"(?:^|\.)upsampler\.[0-9]+\.")
_TRANSPOSED_IN = (
    ({"beit", "data2vec-vision"}, re.compile(r"fpn1\.[03]\.weight$|fpn2(?:\.0)?\.weight$")),
    ({"dpt", "depth_anything", "prompt_depth_anything", "zoedepth", "chmv2", "tipsv2_dpt"},
     re.compile(r"reassemble_stage\.layers\.[01]\.resize\.weight$")),
    ({"sam", "sam_hq", "sam2", "sam2_video", "sam3", "sam3_tracker", "sam3_tracker_video", "edgetam", "edgetam_video"},
     re.compile(r"upscale_conv[12]\.weight$")),
    ({"vits", "speecht5_hifigan", "hifigan", "fastspeech2_conformer", "fastspeech2_conformer_hifigan",
      "fastspeech2_conformer_with_hifigan", "seamless_m4t", "seamless_m4t_v2"}, _UPSAMPLER),
    ({"eomt", "eomt_dinov3", "videomt"}, re.compile(r"upscale_block\.block\.[0-9]+\.conv1\.weight$")),
)  # fmt: skip
_CONVOLUTION = re.compile(r"conv[^.]*(?:\.[^.]*){0,2}$", re.IGNORECASE)  # said by one of the name's last three parts
_CONVOLUTIONS_ALONE = {"squeezebert"}  # every matrix is a convolution over one place
_KERNEL = re.compile(r"(?:^|\.)kernel$")  # as JAX and TensorFlow name an [in, out] matrix


# -- what a config says --------------------------------------------------------------------------


class Architecture:
    """What the model's config.json says that names and shapes do not."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        parts = list(_parts(config, _DEEP))
        self.kinds = {kind for part in parts if isinstance(kind := part.get("model_type"), str)}
        self.known = bool(self.kinds)
        self._parts = parts
        self._own: dict[int, list[re.Pattern[str]]] = {}  # by table, which all live as long as this module

    def numbers(self, *keys: str) -> set[int]:
        """Every size that the config and its parts give under one of these names."""
        found = (part.get(key) for part in self._parts for key in keys)
        return {n for n in found if type(n) is int and n > 0}

    def says(self, table: Table, name: str) -> bool:
        """Whether a table names the tensor for a model of these kinds."""
        if id(table) not in self._own:
            self._own[id(table)] = [pattern for kinds, pattern in table if self.kinds & kinds]
        return any(pattern.search(name) for pattern in self._own[id(table)])


def _parts(config: Mapping[str, Any], deep: int) -> Iterator[Mapping[str, Any]]:
    yield config
    for value in config.values():
        if isinstance(value, Mapping) and deep:
            yield from _parts(value, deep - 1)


# -- a tensor's layout ---------------------------------------------------------------------------


def layout(name: str, info: TensorInfo, model: Architecture) -> Layout:
    """How tensor `name` of a model is to be shown."""
    shape = info.shape
    if not info.size or info.packing or not info.holds_weights:
        return Layout(shape)
    axes = len(shape)
    if axes >= 2 and _KERNEL.search(name):
        return Layout(shape, notice=_doubt(info, "[in, out], as JAX names a kernel,", "[out, in]"))
    if axes == 2:
        return _matrix(name, info, model)
    if axes >= 3 and (_TRANSPOSED.search(name) or model.says(_TRANSPOSED_IN, name)):
        return _transposed_convolution(info)
    if axes == 3 and model.says(_OTHERS, name):
        return _turned(info, Turn(*shape), (shape[0], shape[2], shape[1]))
    if axes == 3 and "expert" not in name and (_CONVOLUTION.search(name) or model.kinds & _CONVOLUTIONS_ALONE):
        return Layout(shape, input_axes=2)
    return _stack(name, info, model) if axes == 3 else Layout(shape)


def _matrix(name: str, info: TensorInfo, model: Architecture) -> Layout:
    a, b = info.shape
    if _IN_OUT.search(name):
        if model.kinds & _IN_OUT_MODELS:
            return _turned(info, Turn(1, a, b), (b, a))
        if not model.known:
            doubt = "[in, out], as GPT-2 keeps it,"
            return Layout(info.shape, notice=_doubt(info, doubt, "[out, in]"))
    if model.says(_OTHERS, name) and (a in model.numbers("hidden_size") or not model.numbers("hidden_size")):
        return _turned(info, Turn(1, a, b), (b, a))
    if "dbrx" in model.kinds and name.endswith("experts.mlp.w2"):
        experts = next((n for n in sorted(model.numbers("moe_num_experts"), reverse=True) if a % n == 0), 0)
        if experts:  # all experts' [in, out] below one another
            return _turned(info, Turn(experts, a // experts, b), (experts, b, a // experts))
        return Layout(info.shape, notice=_doubt(info, "[in, out] for each expert", "[out, in]"))
    return Layout(info.shape)


def _stack(name: str, info: TensorInfo, model: Architecture) -> Layout:
    """Three axes that are no convolution: a mixture's experts, groups, or heads."""
    n, a, b = info.shape
    if model.says(_HEADS_IN, name):
        return _turned(info, Turn(1, n, a * b), (a * b, n))
    if model.says(_HEADS_OUT, name):
        return Layout(info.shape, input_axes=2)
    fused = _EXPERTS.search(name)
    if fused is None:
        return Layout(info.shape)
    hidden = model.numbers("hidden_size", "d_model", "n_embd")
    if (a in hidden) != (b in hidden):  # what goes into gate and up, and comes out of down, has the model's width
        in_out = (a in hidden) == bool(fused["in"])
    elif model.kinds & _IN_OUT_EXPERTS:
        in_out = True
    else:
        return Layout(info.shape, notice=_doubt(info, "[experts, in, out]", "[experts, out, in]"))
    return _turned(info, Turn(n, a, b), (n, b, a)) if in_out else Layout(info.shape)


def _transposed_convolution(info: TensorInfo) -> Layout:
    """[in, out, ...]; with an output for each input, which then lies first already, it is left as it is."""
    a, b, *kernel = info.shape
    if b == 1:
        return Layout(info.shape, input_axes=len(kernel) + 1)
    tail = info.size // (a * b)
    return _turned(info, Turn(1, a, b, tail), (b, a, *kernel), len(kernel) + 1)


def _turned(info: TensorInfo, turn: Turn, shape: tuple[int, ...], input_axes: int = 0) -> Layout:
    notice = (
        f"Stored as [{_axes(info.shape)}], inputs before outputs, as its model keeps it; shown as [{_axes(shape)}], so "
        "that blocks run along the input. Whatever part of a matrix is asked for, the whole of it is read."
    )
    return Layout(shape, input_axes, turn, notice)


def _doubt(info: TensorInfo, maybe: str, taken: str) -> str:
    return (
        f"Whether this tensor is stored as {maybe} cannot be told without a config.json that says so; it is taken as "
        f"{taken}, which decides along which axis blocks run."
    )


def _axes(shape: tuple[int, ...]) -> str:
    return ", ".join(f"{n:,}" for n in shape)
