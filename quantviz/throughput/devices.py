"""What this machine can measure on, why not on the rest, and the card of a device."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from ..errors import QuantvizError
from ..machine.nvidia import missing
from .results import Card

# Best first. `reference` is the torch engine on the CPU; MPS and XPU use that engine on theirs.
DEVICES = ("cuda", "xpu", "mps", "cpu", "reference")
NAMES = {"cuda": "CUDA GPU", "xpu": "Intel GPU (XPU)", "mps": "Apple GPU (MPS)", "cpu": "CPU", "reference": "CPU"}
CPU_INFO = Path("/proc/cpuinfo")
ASSUMED_CACHE = 32 << 20  # bytes, where the system does not say


def available() -> tuple[str, ...]:
    """The devices that can be measured on here, best first."""
    return tuple(device for device in DEVICES if why_not(device) is None)


def why_not(device: str) -> str | None:
    """Why nothing can be measured on `device`, in a sentence that says what would work; None where it can."""
    if device not in DEVICES:
        return f"There is no device {device!r}; choose {', '.join(DEVICES)}."
    if device == "cuda":
        lacking = missing()
        return lacking and lacking.instead("choose cpu")
    if device in ("mps", "xpu"):
        import torch

        there = torch.backends.mps.is_available() if device == "mps" else torch.xpu.is_available()
        return None if there else f"There is no {NAMES[device]} here that torch can use; choose cpu."
    return None


def check(device: str) -> str:
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
        return _cpu_has_bf16()
    if device != "cuda":
        return True
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def takes_bf16(device: str) -> bool:
    """Whether bfloat16 is measured: on a CPU always, where torch emulates what the processor lacks."""
    return torch_device(device) == "cpu" or has_bf16(device)


def _cpu_has_bf16() -> bool:
    """From the processor's own list of what it can do: avx512_bf16, amx_bf16, or ARM's bf16."""
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", CPU_INFO.read_text("utf-8"), re.MULTILINE)
        if found:
            return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(found[1].split())
    return True


def card(device: str) -> Card:
    """The card of a device that `check` let pass; its bandwidth is not measured yet."""
    import torch

    memory, free = memory_of(device)
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        name, cache = properties.name, int(getattr(properties, "L2_cache_size", 0)) or ASSUMED_CACHE
    else:
        name = _cpu_name() if torch_device(device) == "cpu" else NAMES[device]
        cache = _cpu_cache()
    return Card(
        device, name, engine_of(device), memory, free, cache, torch.get_num_threads(), _driver(device), _versions(),
        notices=_notices(device),
    )  # fmt: skip


def _notices(device: str) -> tuple[str, ...]:
    notes = []
    if device != "cuda" and (lacking := missing()):
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
    return _host_memory()


def _host_memory() -> tuple[int | None, int | None]:
    total = free = None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    with contextlib.suppress(OSError, ValueError):  # a container's own limit
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
        left = limit - int(Path("/sys/fs/cgroup/memory.current").read_text("ascii"))
        total, free = min(limit, total or limit), min(left, free or left)
    return total, free


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", CPU_INFO.read_text("utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return platform.processor() or platform.machine() or "CPU"


def _cpu_cache() -> int:
    """Bytes of the last caches of all sockets, each counted once."""
    shared: dict[str, int] = {}
    for cache in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cache/index3"):
        with contextlib.suppress(OSError, ValueError):
            size = (cache / "size").read_text("ascii").strip()
            unit = {"K": 1 << 10, "M": 1 << 20}.get(size[-1:], 1)
            shared[(cache / "shared_cpu_list").read_text("ascii")] = int(size.rstrip("KM")) * unit
    return sum(shared.values()) or ASSUMED_CACHE


def _driver(device: str) -> str | None:
    if device != "cuda":
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        lines = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split()
        return lines[0] if lines else None
    return None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "numba", "triton"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
