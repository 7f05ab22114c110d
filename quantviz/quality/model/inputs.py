"""What a layer is fed, quantized as act= says, while its model reads: a hook a layer, beside its replaced weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...calibration.inputs import quantized_inputs, reaches_over_tokens
from ...schemes import Scheme
from .layers import Layer


class InputHooks:
    """The hooks on a model's linear layers.

    A scale of all tokens, NVFP4's of the tensor too, is that of one window of text, whatever else is read with it.
    Inputs are rounded on the processor, in float32, and handed on in the model's own dtype. Inputs that are no finite
    numbers stay as they are: the model has collapsed, and its predictions say so.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._handles = model, {}

    def place(self, layer: Layer, scheme: Scheme, input_scales: np.ndarray | None = None) -> None:
        """From now on the layer's inputs are quantized as the scheme says, or no longer where it does not.

        input_scales: what columns of the weights were multiplied by, float32 [in_features], with smooth= and awq.
        """
        self.forget(layer)
        if scheme.act is None:
            return
        module = self._model.get_submodule(layer.path)

        def hook(_module: Any, arguments: tuple, named: dict) -> tuple[tuple, dict]:
            if arguments:
                return (of_torch(arguments[0], scheme, input_scales), *arguments[1:]), named
            name = next(iter(named))
            return arguments, {**named, name: of_torch(named[name], scheme, input_scales)}

        self._handles[layer] = module.register_forward_pre_hook(hook, with_kwargs=True)

    def forget(self, layer: Layer) -> None:
        """The layer's inputs stay as they come."""
        if layer in self._handles:
            self._handles.pop(layer).remove()


def of_torch(x: Any, scheme: Scheme, input_scales: np.ndarray | None = None) -> Any:
    """Inputs [..., tokens, in_features], a torch tensor on any device, quantized, in its own dtype and place."""
    import torch

    if not bool(x.isfinite().all()):
        return x
    flat = x.detach().float().cpu().numpy().reshape(-1, x.shape[-1])
    tokens = x.shape[-2] if reaches_over_tokens(scheme) and x.ndim > 2 else len(flat)
    made = np.empty_like(flat)
    for first in range(0, len(flat), max(tokens, 1)):
        part = slice(first, first + tokens)
        made[part] = quantized_inputs(flat[part], scheme, input_scales)
    return torch.from_numpy(made).reshape(x.shape).to(x)
