"""The block `quantization` of an MLX model's config.json, a layer each.

Grammar: https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/utils.py (0.32.2: load_model's class_predicate returns
config["quantization"][path] where the path is in it, a mapping or false), and mlx.core.quantize for the modes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ...schemes import Scheme
from .base import Layer, Recipe, expressed, layers_of, most_common

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "mlx", "quantization.json"
WORKS = (
    "int4-offset-b64:scale=bf16,edge=1 (2, 3, 4, 5, 6 or 8 bits, groups of 32, 64 or 128), mxfp4, mxfp8_e4m3 and "
    "nvfp4:tensor=none"
)
BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)


def write(plan: Plan) -> Recipe:
    layers = layers_of(plan, TOOL)
    values = expressed(layers, TOOL, mode, WORKS)
    default = most_common(values) or {"group_size": 64, "bits": 4, "mode": "affine"}
    made = default | {path: False if value is None else value for path, value in values.items()}
    return Recipe(TOOL, json.dumps({"quantization": made}, indent=2) + "\n", FILE_NAME, _notes(layers))


def mode(scheme: Scheme) -> dict[str, Any] | None:
    """MLX's bits, group_size and mode; None where it has none."""
    g = scheme.granularity
    if scheme.symmetry == "offset" and g is not None and g.rows == 1 and g.cols in GROUPS and scheme.fmt.bits in BITS:
        return _mode(scheme.fmt.bits, g.cols, "affine") if set(scheme.options) <= {"scale", "edge"} else None
    if scheme.format in ("mxfp4", "mxfp8_e4m3") and set(scheme.options) <= {"rule"}:
        return _mode(scheme.fmt.bits, 32, scheme.format.partition("_")[0])
    return _mode(4, 16, "nvfp4") if scheme.key == "nvfp4:tensor=none" else None


def _mode(bits: int, group: int, name: str) -> dict[str, Any]:
    return {"group_size": group, "bits": bits, "mode": name}


def _notes(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    said = (
        "mlx_lm.convert takes it as a predicate: quant_predicate=lambda path, module: recipe[path], with "
        'recipe = json.load(open("quantization.json"))["quantization"].',
    )
    schemes = {layer.scheme for layer in layers if layer.scheme is not None}
    own = {scheme.key for scheme in schemes if scheme.symmetry == "offset" and not scheme.edge}
    return said if not own else (
        *said, f"MLX counts codes from the far end of a group (edge=1): its errors differ a little from those of "
        f"{', '.join(sorted(own))}.",
    )  # fmt: skip
