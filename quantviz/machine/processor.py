"""The processor of this machine, from what the system says of it."""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
ASSUMED_CACHE = 32 << 20  # bytes, where the system does not say


def has_bf16() -> bool:
    """Whether it multiplies bfloat16 itself: avx512_bf16, amx_bf16 or ARM's bf16 in its own list of what it can do.

    True where the system does not say.
    """
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", CPU_INFO.read_text("utf-8"), re.MULTILINE)
        if found:
            return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(found[1].split())
    return True


def name() -> str:
    """As its maker calls it, or else its architecture."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", CPU_INFO.read_text("utf-8"), re.MULTILINE)
        if found:
            return found[1].strip()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return platform.processor() or platform.machine() or "CPU"


def last_cache() -> int:
    """Bytes of the last caches of all sockets, each counted once."""
    shared: dict[str, int] = {}
    for cache in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cache/index3"):
        with contextlib.suppress(OSError, ValueError):
            size = (cache / "size").read_text("ascii").strip()
            unit = {"K": 1 << 10, "M": 1 << 20}.get(size[-1:], 1)
            shared[(cache / "shared_cpu_list").read_text("ascii")] = int(size.rstrip("KM")) * unit
    return sum(shared.values()) or ASSUMED_CACHE
