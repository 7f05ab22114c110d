"""A recipe of llm-compressor, in YAML, with a config group a scheme.

Grammar: https://github.com/vllm-project/llm-compressor/blob/main/tests/e2e/recipes/non_uniform/
recipe_nvfp4_fp8_mixed.yaml; the arguments of a group are those of compressed-tensors' QuantizationArgs, as its presets
have them (compressed_tensors/quantization/quant_scheme.py, 0.20).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...schemes import Scheme
from .base import Recipe, by_value, expressed, integers, layers_of, patterns, plain_options, scale_note

if TYPE_CHECKING:
    from ..plan import Plan

TOOL, FILE_NAME = "llm-compressor", "recipe.yaml"
WORKS = "integers of 2 to 8 bits such as int4-sym-b128:range=full, fp8_e4m3-channel, mxfp4, mxfp8_e4m3 and nvfp4"
_MX = {"mxfp4": 4, "mxfp8_e4m3": 8}


def write(plan: Plan) -> Recipe:
    import yaml

    layers = layers_of(plan, TOOL)
    values = expressed(layers, TOOL, arguments, WORKS, ("embedding",))
    groups, ignore = {}, []
    for value, paths in by_value(values):
        targets = [f"re:{regex}" for regex in patterns(paths)]
        if value is None:
            ignore = targets
        else:
            groups[f"group_{len(groups)}"] = {"targets": targets, "weights": value}
    stage = {"QuantizationModifier": {"ignore": ignore, "config_groups": groups}}
    text = yaml.safe_dump({"quant_stage": {"quant_modifiers": stage}}, sort_keys=False, width=1000)
    shared = {"qkv", "gate-up"} - set(plan.rules.share)
    joined = (
        "vLLM joins q, k and v of a layer, and gate and up, and takes one scheme for each: share qkv and gate-up where "
        "vLLM is to serve it.",
    )
    return Recipe(TOOL, text, FILE_NAME, (*scale_note(layers, TOOL), *(joined if shared else ())))


def arguments(scheme: Scheme) -> dict[str, Any] | None:
    """compressed-tensors' arguments of the weights; None where it has none."""
    if found := integers(scheme, range(2, 9)):
        bits, group, symmetric = found
        return _args(bits, "int", "group" if group else "channel", symmetric, group_size=group)
    if scheme.format in _MX and set(scheme.options) <= {"rule"}:
        return _args(_MX[scheme.format], "float", "group", group_size=32, scale_dtype="torch.uint8",
                     zp_dtype="torch.uint8")  # fmt: skip
    if scheme.key == "nvfp4":
        return _args(4, "float", "tensor_group", group_size=16, scale_dtype="torch.float8_e4m3fn",
                     zp_dtype="torch.float8_e4m3fn")  # fmt: skip
    if scheme.format == "fp8_e4m3" and scheme.granularity is not None and plain_options(scheme):
        known = {"tensor": {}, "channel": {}, "b128x128": {"block_structure": [128, 128]}}
        at = str(scheme.granularity)
        return _args(8, "float", "block" if "x" in at else at, **known[at]) if at in known else None
    return None


def _args(bits: int, kind: str, strategy: str, symmetric: bool = True, **others: Any) -> dict[str, Any]:
    return {
        "num_bits": bits, "type": kind, "strategy": strategy, "symmetric": symmetric, "dynamic": False,
        **{name: value for name, value in others.items() if value is not None},
    }  # fmt: skip
