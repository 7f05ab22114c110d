"""Writes ../data/read_back.json: recipes, and what the tools' own libraries read in them, layer by layer.

    python -m tests.planner.home.real_libraries

It needs compressed-tensors 0.20.0 (`QuantizationConfig`, `apply_quantization_config`) and mlx 0.32.4
(`mlx.nn.quantize` with the predicate that mlx_lm 0.32.2's load_model makes of a config), beside what the tests need.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from quantviz.planner import recipe

from ..plans import TENSORS, plan_for

DATA = Path(__file__).parent.parent / "data" / "read_back.json"


def main() -> None:
    found = {}
    for tool, read in (("llm-compressor", of_compressed_tensors), ("mlx", of_mlx)):
        text = recipe(plan_for(tool), tool).text
        found[tool] = {"text": text, "read": read(text)}
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(found, indent=1) + "\n")


def model_of(modules: Any, linear: Any) -> Any:
    """The model of the tests, made of a library's modules."""
    root = modules()
    for name, (rows, cols) in TENSORS.items():
        at, (*parts, last) = root, name.removesuffix(".weight").split(".")
        for part in parts:
            if not hasattr(at, part):
                setattr(at, part, modules())
            at = getattr(at, part)
        setattr(at, last, linear(cols, rows, bias=False))
    return root


def of_compressed_tensors(text: str) -> dict[str, Any]:
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config

    said = yaml.safe_load(text)["quant_stage"]["quant_modifiers"]["QuantizationModifier"]
    model = model_of(torch.nn.Module, torch.nn.Linear)
    apply_quantization_config(model, QuantizationConfig(config_groups=said["config_groups"], ignore=said["ignore"]))
    read = {}
    for name in TENSORS:
        scheme = getattr(model.get_submodule(name.removesuffix(".weight")), "quantization_scheme", None)
        read[name] = None if scheme is None else {
            key: value if value is None or isinstance(value, bool | int | list) else str(getattr(value, "value", value))
            for key, value in vars(scheme.weights).items()
            if key in ("num_bits", "type", "strategy", "symmetric", "group_size", "block_structure", "scale_dtype")
        }  # fmt: skip
    return read


def of_mlx(text: str) -> dict[str, Any]:
    from mlx import nn

    quantization = json.loads(text)["quantization"]
    model = model_of(nn.Module, nn.Linear)

    def predicate(path: str, module: Any) -> Any:
        return quantization[path] if path in quantization else hasattr(module, "to_quantized")

    top = {key: quantization[key] for key in ("group_size", "bits", "mode")}
    nn.quantize(model, **top, class_predicate=predicate)
    modules = dict(model.named_modules())
    found = {}
    for name in TENSORS:
        module = modules[name.removesuffix(".weight")]
        kind = type(module).__name__
        found[name] = None if kind == "Linear" else {key: getattr(module, key) for key in top}
    return found


if __name__ == "__main__":
    main()
