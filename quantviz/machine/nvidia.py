"""What this machine lacks for the engine cuda. torch is loaded only where the driver finds a GPU."""

from __future__ import annotations

import contextlib
import ctypes
import re
import subprocess
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

OLDEST = (7, 5)  # compute capability that Triton compiles for


class Missing(NamedTuple):
    """fault: a sentence without its end.  remedy: what would help, as an order; empty where nothing would."""

    fault: str
    remedy: str = ""

    def instead(self, other: str = "") -> str:
        """The whole sentence. other: what can be done in place of the remedy, such as "choose cpu"."""
        ways = ", or ".join(filter(None, (self.remedy, other)))
        return f"{self.fault}; {ways}." if ways else f"{self.fault}."


@cache
def missing() -> Missing | None:
    """What is missing; None where the engine cuda can run."""
    if not has_driver():
        return Missing("There is no NVIDIA GPU with its driver here (CUDA_VISIBLE_DEVICES may hide it)")
    if find_spec("triton") is None:
        return Missing("The kernels for CUDA need Triton, which is not installed", "run pip install triton")
    import torch

    if torch.version.cuda is None:
        return Missing(
            "The kernels for CUDA need torch with CUDA, and this one is built without", "install it as pytorch.org says"
        )
    if not torch.cuda.is_available():
        return _not_initialised(torch)
    if (found := torch.cuda.get_device_capability()) < OLDEST:
        has, needed = (".".join(map(str, version)) for version in (found, OLDEST))
        return Missing(f"{torch.cuda.get_device_name()} has compute capability {has}, and Triton needs {needed}")
    return None


def has_driver() -> bool:
    """Whether an NVIDIA driver finds a GPU. Asked of the driver itself: importing torch takes seconds."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def _not_initialised(torch: Any) -> Missing:
    """What CUDA itself says when it is started, in our words."""
    said = ""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as problem:
        said = str(problem)
    if "too old" in said:
        found = re.search(r"found version (\d+)", said)
        version = f" (it serves CUDA {int(found[1]) // 1000}.{int(found[1]) % 1000 // 10})" if found else ""
        return Missing(
            f"The NVIDIA driver{version} is too old for this torch, which was built for CUDA {torch.version.cuda}",
            "update the driver, install an older torch",
        )
    return Missing(
        f"There is an NVIDIA GPU, but torch (built for CUDA {torch.version.cuda}) cannot use it", "update the driver"
    )


def driver_version() -> str | None:
    """The version of the NVIDIA driver, as nvidia-smi gives it."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        lines = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split()
        return lines[0] if lines else None
    return None
