"""Which engines can run here. Nothing is asked of a device before it is needed, and torch is loaded only for one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..errors import QuantvizError
from ..machine.nvidia import missing

if TYPE_CHECKING:
    import torch

ENGINES = ("cpu", "cuda", "reference")


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


def cuda_problem() -> str | None:
    """Why the cuda engine cannot run here, in a sentence; None where it can."""
    lacking = missing()
    return lacking and f"The engine cuda cannot run: {lacking.instead('choose the engine cpu, or reference')}"
