"""What llama.cpp's named mixes are: a type to start from, and what rules look at to depart from it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

# https://github.com/ggml-org/llama.cpp/blob/0c1e570/src/llama-quant.cpp
SOURCE = "llama.cpp, src/llama-quant.cpp at commit 0c1e570 (October 2026)"


@dataclass(frozen=True)
class Mix:
    """name: as llama-quantize takes it, in lower case.  start: the block type of a tensor that no rule names."""

    name: str
    start: str

    @property
    def file_name(self) -> str:
        """As it stands in the names of files."""
        return self.name.upper()


_STARTS = {
    "q4_0": "q4_0", "q4_1": "q4_1", "q5_0": "q5_0", "q5_1": "q5_1", "q8_0": "q8_0",
    "q2_k_s": "q2_k", "q2_k": "q2_k", "q3_k_s": "q3_k", "q3_k_m": "q3_k", "q3_k_l": "q3_k",
    "q4_k_s": "q4_k", "q4_k_m": "q4_k", "q5_k_s": "q5_k", "q5_k_m": "q5_k", "q6_k": "q6_k",
    "iq1_s": "iq1_s", "iq1_m": "iq1_m", "iq2_xxs": "iq2_xxs", "iq2_xs": "iq2_xs", "iq2_s": "iq2_xs", "iq2_m": "iq2_s",
    "iq3_xxs": "iq3_xxs", "iq3_xs": "iq3_s", "iq3_s": "iq3_s", "iq3_m": "iq3_s", "iq4_xs": "iq4_xs",
    "iq4_nl": "iq4_nl", "tq1_0": "tq1_0", "tq2_0": "tq2_0", "q1_0": "q1_0", "q2_0": "q2_0",
    "mxfp4_moe": "gguf_mxfp4",
}  # fmt: skip
MIXES: dict[str, Mix] = {name: Mix(name, start) for name, start in _STARTS.items()}
ALIASES = {"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}  # llama-quantize takes these names too


class Role(enum.Enum):
    """What a tensor does in the model, as far as the rules tell tensors apart."""

    OUTPUT = "output"
    EMBEDDING = "token embedding"
    QKV = "attention q, k, v in one"
    KV_B = "attention k, v of a latent"
    V = "attention v"
    K = "attention k"
    Q = "attention q"
    ATTENTION_OUTPUT = "attention output"
    UP = "feed-forward up"
    GATE = "feed-forward gate"
    DOWN = "feed-forward down"
    OTHER = "other"


_BY_PART = (
    ("attn_qkv.weight", Role.QKV), ("attn_kv_b.weight", Role.KV_B), ("attn_v.weight", Role.V),
    ("attn_k.weight", Role.K), ("attn_q.weight", Role.Q), ("attn_output.weight", Role.ATTENTION_OUTPUT),
    ("ffn_up", Role.UP), ("ffn_gate", Role.GATE), ("ffn_down", Role.DOWN),
)  # fmt: skip
VALUES = {Role.V, Role.QKV, Role.KV_B}  # what attention passes on: treated alike, and better than the rest


def role_of(name: str) -> Role:
    """The role of a tensor by its name in a GGUF file."""
    if name == "output.weight":
        return Role.OUTPUT
    if name in ("token_embd.weight", "per_layer_token_embd.weight"):
        return Role.EMBEDDING
    return next((role for part, role in _BY_PART if part in name), Role.OTHER)


# A tensor with one of these in its name keeps its type: gates, convolutions, positions and other small things.
_KEPT_PARTS = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight",
    *(f"time_mix_{part}.weight" for part in (
        "first", "w0", "w1", "w2", "v0", "v1", "v2", "a0", "a1", "a2", "g1", "g2", "decay_w1", "decay_w2",
        "lerp_fused")),
    "attn_rel_b.weight", ".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd",
    ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
)  # fmt: skip
_KEPT = ("position_embd.weight", "token_types.weight")
# What one architecture keeps beside that.
_KEPT_PARTS_OF = {
    "glm5-next": ("hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate",
                  "indexer_compressor_ape", "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight", "ssm_g_b.weight",
                  "ssm_beta.weight", "attn_kv_a_mqa.weight", "attn_k_b.weight", "attn_v_b.weight"),
}  # fmt: skip


def is_quantized(name: str, shape: tuple[int, ...], architecture: str = "") -> bool:
    """Whether a mix touches a tensor at all: weights of two axes or more that are not among the small things."""
    axes = next((len(shape) - i for i, n in enumerate(shape) if n != 1), 1)  # ggml does not count leading ones
    kept = _KEPT_PARTS + _KEPT_PARTS_OF.get(architecture, ())
    return axes >= 2 and name.endswith("weight") and name not in _KEPT and not any(p in name for p in kept)


@dataclass(frozen=True)
class Facts:
    """What the rules ask of a model.

    layers: of the whole model.  sharing: query heads a key and value head.  experts: 0 for a model without.
    """

    architecture: str
    layers: int
    sharing: int = 1
    experts: int = 0

    @property
    def is_70b(self) -> bool:
        """What llama.cpp takes for a 70B model, by the number of layers; a Llama only if its heads share keys."""
        if self.architecture == "llama":
            return self.layers == 80 and self.sharing != 1 and self.experts != 8
        return self.layers == {"qwen2": 80, "deci": 80, "olmo": 80, "jais2": 68}.get(self.architecture)


@dataclass(frozen=True)
class Question:
    """What one tensor of one mix asks of the rules.

    layer: its number in a model with experts, else how many of its role came before, which `before` is in both.
    """

    mix: Mix
    facts: Facts
    name: str
    role: Role
    cols: int
    deep: bool  # a third axis, as experts in one tensor have
    layer: int
    before: int
    values_before: int
    values_in_all: int
    importance: bool
    tied: bool  # no output.weight: the embedding does its work

    @property
    def early(self) -> bool:
        """In the first eighth of the layers."""
        return self.layer < self.facts.layers // 8

    def more_bits(self, layer: int, layers: int) -> bool:
        """The first and the last eighth of the layers, and every third between them."""
        return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2

    @property
    def falcon(self) -> bool:
        return self.facts.architecture == "falcon"
