"""Which engines can run here. Nothing is asked of a device before it is needed, and torch is loaded only for one."""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import QuantvizError

if TYPE_CHECKING:
    import torch

ENGINES = ("cpu", "cuda", "reference")
OLDEST = (7, 5)  # compute capability that Triton compiles for

_INSTEAD = "choose the engine cpu, or reference"


def check_engine(name: str) -> None:
    """Raises QuantvizError for an engine that does not exist, or that cannot run here, with the reason."""
    if name not in ENGINES:
        raise QuantvizError(f"There is no engine {name!r}; choose {' or '.join(ENGINES)}.")
    if name == "cuda" and (reason := cuda_problem()):
        raise QuantvizError(reason)


@cache
def default_engine() -> str:
    """`cuda` where it can run, else "cpu": what the app computes with."""
    return "cuda" if cuda_problem() is None else "cpu"


def cuda_device() -> torch.device:
    """The device of the engine cuda. Raises QuantvizError with the reason where there is none."""
    check_engine("cuda")
    import torch

    return torch.device("cuda", torch.cuda.current_device())


def has_driver() -> bool:
    """Whether an NVIDIA driver finds a GPU. Asked of the driver itself: importing torch takes seconds."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


@cache
def cuda_problem() -> str | None:
    """Why the cuda engine cannot run here, in a sentence; None where it can."""
    if not has_driver():
        return f"The engine cuda needs an NVIDIA GPU with its driver, and there is none here; {_INSTEAD}."
    if find_spec("triton") is None:
        return f"The engine cuda needs Triton, which is not installed: run pip install triton, or {_INSTEAD}."
    import torch

    if torch.version.cuda is None:
        return (
            "The engine cuda needs torch with CUDA, and this one is built without: install it as pytorch.org says, "
            f"or {_INSTEAD}."
        )
    if not torch.cuda.is_available():
        return (
            f"The engine cuda finds an NVIDIA GPU, but torch (built for CUDA {torch.version.cuda}) cannot use it: "
            f"update the driver, or {_INSTEAD}."
        )
    found = torch.cuda.get_device_capability()
    if found < OLDEST:
        return (
            f"The engine cuda needs a GPU of compute capability {OLDEST[0]}.{OLDEST[1]} or newer, and "
            f"{torch.cuda.get_device_name()} has {found[0]}.{found[1]}; {_INSTEAD}."
        )
    return None
