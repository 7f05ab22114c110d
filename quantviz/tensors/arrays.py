"""What Python hands over as numbers: arrays and tensors of every kind, made plain, or refused in a sentence.

Packed codes must never pass for weights, nor what a mask hides, nor a tensor that holds no data: what a class of its
own means by its numbers, only its library knows.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..errors import QuantvizError


def is_torch(x: Any) -> bool:
    """Whether x is a torch tensor, of whatever class; torch is not loaded for the question."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(x, tensor)


def plain_torch(x: Any, what: str = "The tensor") -> Any:
    """A torch tensor without gradient and class of its own, dense, on its own device; the memory is shared.

    Raises QuantvizError for tensors that are sparse, nested, quantized by torch, without data, or of a class whose
    numbers are not the weights themselves.
    """
    import torch

    if type(x) not in (torch.Tensor, torch.nn.Parameter):
        x = _without_class(x, what)
    if x.is_nested:
        raise QuantvizError(f"{what} is nested: several tensors in one; give one of x.unbind() at a time.")
    if x.layout != torch.strided:
        kind = str(x.layout).removeprefix("torch.").removeprefix("_")
        raise QuantvizError(f"{what} is not stored densely but as {kind}; x.to_dense() gives all its numbers.")
    if x.is_meta:
        raise QuantvizError(f"{what} lies on the meta device, which keeps shapes and no numbers; load it first.")
    if x.is_quantized:
        raise QuantvizError(f"{what} is quantized already, as {_name(x.dtype)}; x.dequantize() gives the weights.")
    return x.detach().resolve_conj().resolve_neg()


def _without_class(x: Any, what: str) -> Any:
    """A tensor of somebody's subclass as torch.Tensor, where that changes nothing."""
    import torch

    kind = type(x)
    library = kind.__module__.partition(".")[0]
    whose = f"{what} is a {kind.__name__} of {library}"
    if isinstance(x, torch.nn.parameter.UninitializedTensorMixin):
        raise QuantvizError(f"{whose}, which has no numbers yet; run the model once.")
    if kind.__torch_dispatch__ != torch.Tensor.__torch_dispatch__:
        way = next((f"x.{name}()" for name in ("full_tensor", "dequantize", "to_local") if _defines(kind, name)), None)
        raise QuantvizError(
            f"{whose}, whose numbers only {library} knows; "
            f"{f'{way} gives' if way else 'make it a plain torch.Tensor of'} the weights."
        )
    if not x.is_floating_point():
        own = "bitsandbytes.functional.dequantize_4bit(x.data, x.quant_state)" if hasattr(x, "quant_state") else None
        raise QuantvizError(
            f"{whose} that holds {_name(x.dtype)} codes and no weights; dequantize it first"
            f"{f', with {own}' if own else f', with {library}'}."
        )
    return x.detach().as_subclass(torch.Tensor)


def _defines(kind: type, name: str) -> bool:
    import torch

    return getattr(kind, name, None) is not getattr(torch.Tensor, name, None)


def plain_numpy(x: Any, what: str = "The tensor") -> np.ndarray:
    """Anything else as a NumPy array of one kind of numbers; the memory is shared where it can be.

    Raises QuantvizError for what is no array: text, objects, rows of several lengths, numbers behind a mask.
    """
    if isinstance(x, str):
        raise QuantvizError(
            f"{what} is a text, {x[:60]!r}, and no array; open_model opens what it names, whose load() gives weights."
        )
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            hidden = int(np.ma.count_masked(x))
            raise QuantvizError(
                f"{what} has {hidden:,} masked value{'s' * (hidden != 1)}; x.filled(0) puts zeros in their place."
            )
        x = x.data
    try:
        array = np.asarray(x)
    except Exception as problem:  # whatever __array__ of a foreign class raises
        reason = str(problem).partition("\n")[0].partition(". ")[0].rstrip(".")[:200]
        raise QuantvizError(
            f"{what} is no array of numbers ({reason}); give a NumPy array or a torch tensor, or lists of one length."
        ) from None
    if array.dtype.hasobject or array.dtype.kind in "USV" and array.dtype.names:
        kind = type(x).__name__
        way = "x.dequantize() gives the weights" if hasattr(x, "dequantize") else "give a NumPy array or a torch tensor"
        raise QuantvizError(f"{what} is of type {kind} and dtype {array.dtype}, and no array of numbers; {way}.")
    return array


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
