"""How much memory a measurement needs, and whether it is there."""

from __future__ import annotations

from typing import Any

from ...errors import QuantvizError
from ...machine.memory import available
from ...text.wording import size
from .parts import Parts

SLACK = 256 << 20  # activations, logits and small change, in bytes
COMPUTE = ("float32", "bfloat16", "float16")
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def needed(parts: Parts, dtype: str) -> int:
    """Bytes for the model in `dtype`, its largest tensor in float32, and the slack.

    A GGUF file is dequantized whole by transformers and then laid into the model, tensor by tensor.
    """
    weights, _, largest = parts.stored
    return weights * _BYTES[dtype] + 4 * largest * (1 if parts.gguf is None else 2) + SLACK


def settle_dtype(parts: Parts, wanted: str | None, stored: Any, device: str) -> str:
    """The dtype to compute in: the one wanted, or float32 where it fits, else the 16 bits that the weights have.

    Raises QuantvizError, with how much would be needed, where nothing fits.
    """
    if wanted is not None and wanted not in COMPUTE:
        raise QuantvizError(f"Models are not computed in {wanted!r} here; choose {', '.join(COMPUTE)}.")
    free = available(device)
    small = stored if stored in ("bfloat16", "float16") else "bfloat16"
    choices = (wanted,) if wanted else ("float32", small)
    for dtype in choices:
        if free is None or needed(parts, dtype) <= free:
            return dtype
    least = needed(parts, choices[-1])
    where = "memory" if device == "cpu" else f"memory of {device}"
    raise QuantvizError(
        f"{parts.name} needs {size(least)} of {where} in {choices[-1]}, and {size(free)} are free; "
        "choose a smaller model or a machine with more."
    )
