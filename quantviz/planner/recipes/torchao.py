"""torchao's FqnToConfig as JSON, which torchao.core.config.config_from_dict reads.

Grammar: https://github.com/pytorch/ao/blob/main/torchao/core/config.py (config_to_dict, config_from_dict) and
torchao/quantization/quant_api.py (FqnToConfig, IntxWeightOnlyConfig, Float8WeightOnlyConfig), 0.18.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...schemes import Scheme
from .base import Recipe, expressed, integers, layers_of, plain_options, scale_note

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "torchao", "torchao.json"
WORKS = "integers of 1 to 8 bits such as int4-sym-b32:range=full and int8-asym-channel, fp8_e4m3-channel and -tensor"


def write(plan: Plan) -> Recipe:
    layers = layers_of(plan, TOOL)
    values = expressed(layers, TOOL, config, WORKS, ("embedding",))
    made = _object("FqnToConfig", 1, fqn_to_config=values)
    run = (
        'quantize_(model, config_from_dict(json.load(open("torchao.json"))), filter_fn=None), both from torchao: '
        "torchao.quantization and torchao.core.config.",
    )
    return Recipe(TOOL, json.dumps(made, indent=2) + "\n", FILE_NAME, (*scale_note(layers, TOOL), *run))


def config(scheme: Scheme) -> dict[str, Any] | None:
    """torchao's config of a layer, as its JSON has it; None where it has none."""
    if found := integers(scheme, range(1, 9)):
        bits, group, symmetric = found
        rows = _object("PerGroup", 1, group_size=group) if group else _object("PerAxis", 1, axis=0)
        return _object(
            "IntxWeightOnlyConfig", 2, weight_dtype=_dtype(f"int{bits}"), granularity=rows,
            mapping_type={"_type": "MappingType", "_data": "SYMMETRIC" if symmetric else "ASYMMETRIC"},
        )  # fmt: skip
    rows = {"channel": "PerRow", "tensor": "PerTensor"}.get(str(scheme.granularity))
    if scheme.format in ("fp8_e4m3", "fp8_e5m2") and rows and plain_options(scheme):
        dtype = _dtype({"fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2"}[scheme.format])
        data = {"dim": -1} if rows == "PerRow" else {}
        return _object("Float8WeightOnlyConfig", 2, weight_dtype=dtype, granularity=_object(rows, 1, **data))
    return None


def _object(kind: str, version: int, **data: Any) -> dict[str, Any]:
    return {"_type": kind, "_version": version, "_data": data}


def _dtype(name: str) -> dict[str, str]:
    return {"_type": "torch.dtype", "_data": name}
