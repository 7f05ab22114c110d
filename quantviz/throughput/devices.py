"""What this machine can measure on, why not on the rest, and the card of a device."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform

from ..errors import QuantvizError
from ..machine import memory, nvidia, processor
from .results import Card

# Best first. `reference` is the torch engine on the CPU; MPS and XPU use that engine on theirs.
DEVICES = ("cuda", "xpu", "mps", "cpu", "reference")
NAMES = {"cuda": "CUDA GPU", "xpu": "Intel GPU (XPU)", "mps": "Apple GPU (MPS)", "cpu": "CPU", "reference": "CPU"}


def available() -> tuple[str, ...]:
    """The devices that can be measured on here, best first."""
    return tuple(device for device in DEVICES if why_not(device) is None)


def why_not(device: str) -> str | None:
    """Why nothing can be measured on `device`, in a sentence that says what would work; None where it can."""
    if device not in DEVICES:
        return f"There is no device {device!r}; choose {', '.join(DEVICES)}."
    if device == "cuda":
        lacking = nvidia.missing()
        return lacking and lacking.instead("choose cpu")
    if device in ("mps", "xpu"):
        import torch

        there = torch.backends.mps.is_available() if device == "mps" else torch.xpu.is_available()
        return None if there else f"There is no {NAMES[device]} here that torch can use; choose cpu."
    return None


def checked(device: str) -> str:
    """`device` itself. Raises QuantvizError where `why_not` has a reason."""
    if reason := why_not(device):
        raise QuantvizError(reason)
    return device


def torch_device(device: str) -> str:
    return "cpu" if device in ("cpu", "reference") else device


def engine_of(device: str) -> str:
    """The engine of quantize, dequantize and evaluate."""
    return device if device in ("cpu", "cuda") else "reference"


def has_bf16(device: str) -> bool:
    """Whether the device itself multiplies bfloat16, not an emulation. True where the system does not say."""
    if torch_device(device) == "cpu":
        return processor.has_bf16()
    if device != "cuda":
        return True
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def takes_bf16(device: str) -> bool:
    """Whether bfloat16 is measured: on a CPU always, where torch emulates what the processor lacks."""
    return torch_device(device) == "cpu" or has_bf16(device)


def card(device: str) -> Card:
    """The card of a device that `check` let pass; its bandwidth is not measured yet."""
    import torch

    total, free = memory_of(device)
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        name, cache = properties.name, int(getattr(properties, "L2_cache_size", 0)) or processor.ASSUMED_CACHE
    else:
        name = processor.name() if torch_device(device) == "cpu" else NAMES[device]
        cache = processor.last_cache()
    driver = nvidia.driver_version() if device == "cuda" else None
    return Card(
        device, name, engine_of(device), total, free, cache, torch.get_num_threads(), driver, _versions(),
        notices=_notices(device),
    )  # fmt: skip


def _notices(device: str) -> tuple[str, ...]:
    notes = []
    if device != "cuda" and (lacking := nvidia.missing()):
        measured = {"cpu": "the CPU", "reference": "the CPU, with the reference engine"}.get(device, NAMES[device])
        notes.append(f"Measured on {measured}, not on a CUDA GPU. {lacking.instead()}")
    if torch_device(device) == "cpu":
        if not has_bf16(device):
            notes.append("This CPU has no bfloat16 instructions: torch emulates them, which may be slower than fp32.")
    elif not has_bf16(device):
        notes.append("This GPU has no bfloat16, so float16 stands in its place and there is no factor over bf16.")
    return tuple(notes)


def memory_of(device: str) -> tuple[int | None, int | None]:
    """(bytes in all, bytes free now); None where the system does not say."""
    import torch

    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total, free
    if device == "xpu":
        total = torch.xpu.get_device_properties(0).total_memory
        return total, total - torch.xpu.memory_allocated()
    if device == "mps":
        total = torch.mps.recommended_max_memory()
        return total, total - torch.mps.driver_allocated_memory()
    return memory.of_host()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "numba", "triton"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
