"""AutoRound's layer_config as JSON.

Grammar: https://github.com/intel/auto-round/blob/main/auto_round/schemes.py (QuantizationScheme, PRESET_SCHEMES) and
compressors/layer_config_resolver.py, 0.16.1: a full layer name -> a preset's name, or its fields; integers of 8 bits
with a zero point are refused there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...errors import QuantvizError
from ...schemes import Scheme
from .base import Recipe, expressed, integers, layers_of, most_common, scale_note

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "autoround", "layer_config.json"
WORKS = "integers of 2 to 8 bits such as int4-sym-b128:range=full and int4-asym-b64, or GGUF's q4_0 to q6_k and q8_0"
STORED = {"bits": 16, "act_bits": 16, "data_type": "float", "act_data_type": "float"}
GGUF = {
    **{name: f"GGUF:{name.upper()}" for name in ("q4_0", "q4_1", "q5_0", "q5_1", "q6_k", "q8_0")},
    **{name: f"GGUF:{name.upper()}_S" for name in ("q2_k", "q3_k", "q4_k", "q5_k")},
}


def write(plan: Plan) -> Recipe:
    layers = layers_of(plan, TOOL)
    of_gguf = {layer.scheme.format in GGUF for layer in layers if layer.scheme is not None}
    values = expressed(layers, TOOL, entry, WORKS, () if of_gguf == {True} else ("embedding",))
    if len(of_gguf) > 1:
        raise QuantvizError(
            "autoround writes one kind of file, so GGUF's block types and integers cannot stand in one recipe; allow "
            "the ones or the others."
        )
    made = {path: STORED if value is None else value for path, value in values.items()}
    scheme = most_common(values)
    if isinstance(scheme, dict):
        scheme = f"W{scheme['bits']}A16"
    run = f'AutoRound(model, tokenizer, scheme="{scheme}", layer_config=json.load(open("{FILE_NAME}")))'
    return Recipe(TOOL, json.dumps(made, indent=2) + "\n", FILE_NAME, (*scale_note(layers, TOOL), run))


def entry(scheme: Scheme) -> dict[str, Any] | str | None:
    """A layer's entry; None where AutoRound has none."""
    if scheme.format in GGUF and not scheme.options:
        return GGUF[scheme.format]
    found = integers(scheme, range(2, 9))
    if not found or (found[0] == 8 and not found[2]):
        return None
    bits, group, symmetric = found
    return {"bits": bits, "group_size": group or -1, "sym": symmetric, "data_type": "int"}
