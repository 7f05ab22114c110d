"""Which block type a mix gives a tensor: llama.cpp's rules, told by role. See `base.SOURCE`.

Each function gives the type and the reason, or None where the mix's own type stays.
"""

from __future__ import annotations

from ...block_types import BLOCK_TYPES
from ...errors import QuantvizError
from .base import VALUES, Question, Role

Answer = tuple[str, str] | None

SMALLEST = {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m"}  # mixes of around 2 bits have rules of their own
_TWO_BIT_TOP = {"iq2_s", "iq2_m"}
# A type -> the one with shorter blocks that stands in for it where rows are no multiple of its block.
_STAND_INS = {
    **dict.fromkeys(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_xs"), "iq4_nl"),
    **dict.fromkeys(("q2_0", "q2_k", "q3_k", "tq1_0", "tq2_0"), "q4_0"),
    "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0",
}  # fmt: skip

_EIGHT_BITS_OF_GLM5 = ("attn_q_a", "attn_q_b", "nextn.eh_proj")
_SHARED = "heads that share it make it small"
_SENSITIVE = "first and last eighth of the layers, every third between"
_FIRST_LAYERS = "the first layers"


def choose(q: Question) -> tuple[str, str]:
    """(block type, reason) for a tensor that the mix quantizes, its shape taken into account."""
    kind, why = _by_role(q) or (q.mix.start, "")
    return _fitting(kind, why, q.cols)


def demands_importance(name: str, kind: str, mix: str) -> bool:
    """Whether llama-quantize refuses to make this tensor without importance."""
    if name in ("token_embd.weight", "per_layer_token_embd.weight", "output.weight"):
        return False
    return kind in ("iq3_xxs", "iq2_xxs", "iq2_xs", "iq2_s", "iq1_m", "iq1_s") or (kind, mix) == ("q2_k", "q2_k_s")


def _fitting(kind: str, why: str, cols: int) -> tuple[str, str]:
    block = BLOCK_TYPES[kind].block
    if cols % block == 0:
        return kind, why
    stand_in = _STAND_INS.get(kind, kind if block <= 32 else None)
    if stand_in is None:
        raise QuantvizError(
            f"Rows of {cols:,} weights are no multiple of the {block} of a {kind} block, and llama.cpp has no type to "
            "put in its place; choose another mix."
        )
    if cols % BLOCK_TYPES[stand_in].block:
        return "float16", f"rows of {cols:,} fit no block"
    return stand_in, f"rows of {cols:,} do not fit {kind}'s blocks of {block}"


def _by_role(q: Question) -> Answer:
    if q.facts.architecture == "glm5-next" and any(part in q.name for part in _EIGHT_BITS_OF_GLM5):
        return "q8_0", "never less in this architecture"
    if q.role is Role.OUTPUT or (q.tied and q.role is Role.EMBEDDING):
        return _output(q)
    if q.mix.name == "mxfp4_moe":
        expert = q.deep and (q.facts.architecture != "bailingmoe3" or q.role in (Role.UP, Role.GATE, Role.DOWN))
        return ("gguf_mxfp4", "experts") if expert else ("q8_0", "no experts")
    if q.role is Role.EMBEDDING:
        return _embedding(q)
    if q.mix.name in SMALLEST:
        return _smallest(q)
    if q.role in VALUES:
        return _values(q)
    rules = {Role.K: _keys, Role.Q: _queries, Role.DOWN: _down, Role.ATTENTION_OUTPUT: _attention_output,
             Role.GATE: _up_or_gate, Role.UP: _up_or_gate}  # fmt: skip
    return rules[q.role](q) if q.role in rules else None


def _output(q: Question) -> Answer:
    why = "the output, tied to the embedding" if q.role is Role.EMBEDDING else "the output"
    if q.mix.name == "mxfp4_moe" or q.falcon or q.cols % BLOCK_TYPES[q.mix.start].block:
        return "q8_0", why
    if q.mix.name in SMALLEST or q.mix.name == "iq3_xxs":
        return "q5_k", why
    return ("q8_0", "") if q.mix.start == "q8_0" else ("q6_k", why)


def _embedding(q: Question) -> Answer:
    match q.mix.name:
        case "iq2_xxs" | "iq2_xs" | "iq1_s" | "iq1_m":
            return "q2_k", "the embedding"
        case "iq2_s" | "iq2_m" | "iq3_xxs":
            return "iq3_s", "the embedding"
        case "tq1_0" | "tq2_0" | "q2_0":
            return "q4_k", "the embedding"
    return None


def _smallest(q: Question) -> Answer:
    better = "iq3_s" if q.mix.name in _TWO_BIT_TOP else "q2_k"
    if q.role in VALUES:
        many = q.facts.sharing >= 4 or q.facts.experts >= 4
        return ("q4_k", _SHARED) if many else (better, "attention v")
    if q.role is Role.K and q.facts.experts == 8:
        return "q4_k", "small beside 8 experts"
    if q.role is Role.DOWN and q.before < q.facts.layers // 8:  # counted even where experts make several a layer
        return better, _FIRST_LAYERS
    if q.role is Role.ATTENTION_OUTPUT:
        if q.facts.experts == 8:
            return "q5_k", "small beside 8 experts"
        if q.mix.name in ("iq1_s", "iq1_m"):
            return "iq2_xxs", "attention output"
        if q.mix.name in _TWO_BIT_TOP:
            return "iq3_s", "attention output"
    return None


def _values(q: Question) -> Answer:
    found = _values_by_mix(q)
    if q.facts.experts == 8:
        return "q8_0", "small beside 8 experts"
    if q.facts.is_70b and (found[0] if found else q.mix.start) in ("q3_k", "q4_k"):
        return "q5_k", _SHARED
    return found


def _values_by_mix(q: Question) -> Answer:
    many = q.facts.sharing >= 4
    match q.mix.name:
        case "q2_k":
            return ("q4_k", _SHARED) if many else ("q3_k", "attention v")
        case "iq3_xxs" if not many:
            return None if q.importance else ("iq3_s", "attention v, without importance")
        case "q2_k_s" | "iq3_xxs" | "iq3_xs" | "iq3_s" if many:
            return "q4_k", _SHARED
        case "iq3_m":
            return "q4_k", "attention v"
        case "q3_k_m":
            return ("q5_k", _FIRST_LAYERS) if q.values_before < 2 else ("q4_k", "attention v")
        case "q3_k_l":
            return "q5_k", "attention v"
        case "iq4_nl" | "iq4_xs" if many:
            return "q5_k", _SHARED
        case "q4_k_m" | "q5_k_m" if q.more_bits(q.values_before, q.values_in_all):
            return "q6_k", _SENSITIVE
        case "q4_k_s" if q.values_before < 4:
            return "q5_k", _FIRST_LAYERS
    return None


def _keys(q: Question) -> Answer:
    return ("q8_0", "small beside 8 experts") if q.facts.experts == 8 else _queries(q)


def _queries(q: Question) -> Answer:
    smaller = {"iq3_xs": "iq3_xxs", "iq3_xxs": "iq2_s"}.get(q.mix.name)
    return smaller and (smaller, "attention q and k bear it")


def _down(q: Question) -> Answer:
    layers = q.facts.layers
    sensitive = q.more_bits(q.layer, layers)
    match q.mix.name:
        case "q2_k":
            return "q3_k", "feed-forward down"
        case "q2_k_s" if q.early:
            return "q4_k", _FIRST_LAYERS
        case "iq3_xxs" if not q.importance:
            return ("q4_k", _FIRST_LAYERS) if q.early else ("q3_k", "feed-forward down, without importance")
        case "q3_k_m":
            if q.layer < layers // 16:
                return "q5_k", _FIRST_LAYERS
            return ("q4_k", "feed-forward down") if not q.falcon or sensitive else None
        case "iq3_m" if q.early or (q.facts.experts == 8 and sensitive):
            return "q4_k", _FIRST_LAYERS if q.early else _SENSITIVE
        case "q3_k_l":
            return ("q4_k" if q.falcon else "q5_k"), "feed-forward down"
        case "q4_k_m" if q.falcon:
            if q.layer < layers // 16:
                return "q6_k", _FIRST_LAYERS
            return ("q5_k", _SENSITIVE) if sensitive else None
        case "q4_k_m" | "q5_k_m" if sensitive:
            return "q6_k", _SENSITIVE
        case "iq4_nl" | "iq4_xs" if q.early and not q.importance:
            return "q5_k", f"{_FIRST_LAYERS}, without importance"
        case "q4_k_s" if q.early and not q.falcon:
            return "q5_k", _FIRST_LAYERS
        case "q4_0" | "q5_0" if q.early and q.importance:
            return {"q4_0": "q4_1", "q5_0": "q5_1"}[q.mix.name], f"{_FIRST_LAYERS}, with importance"
    return None


_OUTPUT_WITH_8_EXPERTS = {"q2_k", "iq3_xs", "iq3_xxs", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq3_s",
                          "iq3_m", "iq4_xs"}  # fmt: skip
_ATTENTION_OUTPUT = {"q2_k": "q3_k", "iq3_xxs": "iq3_s", "q3_k_m": "q4_k", "q3_k_l": "q5_k", "iq3_m": "q4_k"}


def _attention_output(q: Question) -> Answer:
    if q.falcon:
        return ("q4_k", "attention output") if q.mix.name == "q3_k_l" else None
    if q.facts.experts == 8:
        return ("q5_k", "small beside 8 experts") if q.mix.name in _OUTPUT_WITH_8_EXPERTS else None
    kind = _ATTENTION_OUTPUT.get(q.mix.name)
    return kind and (kind, "attention output")


def _up_or_gate(q: Question) -> Answer:
    if q.mix.name == "iq3_xs" and not q.early and q.layer < 7 * q.facts.layers // 8:
        return "iq3_xxs", "the middle layers bear it"
    return None
