"""Memory of this machine: what it has, and what may still be taken."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

GROUP = Path("/sys/fs/cgroup")  # where a container's own limit stands


def of_host() -> tuple[int | None, int | None]:
    """(bytes in all, bytes that may still be taken) of main memory and of the group the process is in.

    None where the system does not say. Pages of files do not count, since the system takes them back.
    """
    totals, free = zip(_of_machine(), _of_group(), strict=True)
    return tuple(min((n for n in found if n is not None), default=None) for found in (totals, free))


def available(device: str) -> int | None:
    """Bytes that may still be taken of the torch device `device`: of a GPU, or of main memory."""
    if device == "cpu":
        return of_host()[1]
    import torch

    return torch.cuda.mem_get_info(device)[0]


def _of_machine() -> tuple[int | None, int | None]:
    total = free = None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    return total, free


def _of_group(folder: Path = GROUP) -> tuple[int | None, int | None]:
    try:
        limit = int((folder / "memory.max").read_text("ascii"))  # "max" where there is none
        used = int((folder / "memory.current").read_text("ascii"))
        parts = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
        return limit, limit - used + int(parts.get("file", 0))
    except (OSError, ValueError):
        return None, None
