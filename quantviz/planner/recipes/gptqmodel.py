"""GPTQModel's QuantizeConfig with `dynamic`, as JSON.

Grammar: https://github.com/ModelCloud/GPTQModel/blob/main/gptqmodel/quantization/config.py (7.7.0: dynamic_get; a key
is `+:` or `-:` and a regular expression, matched from the start of the module's name, the first that matches wins).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...schemes import Scheme
from ..rules import path_of
from .base import Recipe, by_value, expressed, integers, layers_of, most_common, patterns, scale_note

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "gptqmodel", "quantize_config.json"
WORKS = "integers of 2, 3, 4 or 8 bits such as int4-sym-b128:range=full, in groups of 16 to 1,024 or channel"
GROUPS = (None, 16, 32, 64, 128, 256, 512, 1024)


def write(plan: Plan) -> Recipe:
    layers = layers_of(plan, TOOL)
    values = expressed(layers, TOOL, entry, WORKS, ("embedding", "head"))
    default = most_common(values) or {"bits": 4, "group_size": 128, "sym": True}
    dynamic: dict[str, dict[str, Any]] = {}
    unswept = {path_of(name): None for name in plan.others or ()}  # the default would be theirs
    for value, paths in by_value(unswept | values):
        for regex in patterns(paths) if value != default else ():
            dynamic[f"{'-' if value is None else '+'}:{regex}"] = value or {}
    run = f'QuantizeConfig(**json.load(open("{FILE_NAME}")))'
    return Recipe(
        TOOL, json.dumps(default | {"dynamic": dynamic}, indent=2) + "\n", FILE_NAME, (*scale_note(layers, TOOL), run)
    )


def entry(scheme: Scheme) -> dict[str, Any] | None:
    found = integers(scheme, (2, 3, 4, 8))
    if not found or found[1] not in GROUPS:
        return None
    bits, group, symmetric = found
    return {"bits": bits, "group_size": group or -1, "sym": symmetric}
