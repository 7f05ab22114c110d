"""What llama.cpp's named mixes take of a typical model: they give some of its tensors more bits than their own type."""

from __future__ import annotations

from functools import cache

from ..published.mixes import MIXES, Described, Facts, recipe_of
from ..throughput import PRESETS

TYPICAL = PRESETS["8b"]


@cache
def bits_of_mix(name: str) -> float | None:
    """Bits a weight of a mix over TYPICAL's matrices, its embedding and its head; None for what is no mix's name.

    >>> bits_of_mix("Q8_0"), bits_of_mix("BF16"), 4.8 < bits_of_mix("Q4_K_M") < 5
    (8.5, None, True)
    """
    mix = MIXES.get(name.lower())
    return None if mix is None else recipe_of(_described(), mix).bits_per_weight


def _described() -> Described:
    """TYPICAL as its GGUF file would list it: queries, keys, values, gates and ups are matrices of their own."""
    qkv, attended, gate_up, down = TYPICAL.block
    keys = (qkv.rows - attended.cols) // 2
    hidden, inner = attended.rows, down.cols
    layer = {
        "attn_q": (attended.cols, hidden), "attn_k": (keys, hidden), "attn_v": (keys, hidden),
        "attn_output": (hidden, attended.cols), "ffn_gate": (inner, hidden), "ffn_up": (gate_up.rows - inner, hidden),
        "ffn_down": (hidden, inner),
    }  # fmt: skip
    shapes = {name: (TYPICAL.head.rows, hidden) for name in ("token_embd.weight", "output.weight")}
    for block in range(TYPICAL.blocks):
        shapes |= {f"blk.{block}.{part}.weight": shape for part, shape in layer.items()}
    return Described(Facts("llama", TYPICAL.blocks, attended.cols // keys), shapes, {})
