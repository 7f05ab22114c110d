"""How much a model is hurt by rounding, looked at early and late: one trained longer a weight is more fragile."""

from __future__ import annotations

import torch
from torch import nn

from ...kernels import quantize
from .scoring import perplexity

STEPS = (400, 1000)
"""The steps of a run that are looked at, beside its last."""

SCHEMES = ("int4-sym-b32", "int4-asym-b32", "int3-asym-b32", "int2-asym-b32", "int4-sym-tensor", "int2-asym-tensor")


@torch.no_grad()
def perplexity_ratios(model: nn.Module, tokens: torch.Tensor, context: int) -> dict[str, float]:
    """Scheme -> perplexity with every linear layer but the output head rounded, over that of the model as it is."""
    layers = [layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and name != "lm_head"]
    originals = [layer.weight.clone() for layer in layers]
    plain = perplexity(model, tokens, context)
    ratios = {}
    for scheme in SCHEMES:
        for layer, original in zip(layers, originals, strict=True):
            layer.weight.copy_(torch.as_tensor(quantize(original, scheme).dequantize()))
        ratios[scheme] = round(perplexity(model, tokens, context) / plain, 4)
    for layer, original in zip(layers, originals, strict=True):
        layer.weight.copy_(original)
    return ratios
