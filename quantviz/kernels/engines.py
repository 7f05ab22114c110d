"""The engines: one table, and the same verbs from each. Nothing is asked of a device before it is needed.

Each engine is a folder with a module `engine`, which holds

    take(w)                        a tensor as the engine reads it: a StoredTensor, where it lies
    check_finite(stored)           refuses NaN and infinity
    describe(stored, progress)     its facts: TensorStatistics
    measure(stored, scheme, bins, importance, statistics, progress)    the sums, and with bins the counts: Pass
    quantize(stored, scheme, importance)    Quantized, of rows and columns, in the engine's own arrays
    dequantize(q)                  float32 weights of such a one
    name(scheme, weighted, wide)   what computed a result: the engine, and what it left to another

To add an engine, write its folder and a line below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import QuantvizError
from ..machine.nvidia import missing

if TYPE_CHECKING:
    import torch


def cuda_problem() -> str | None:
    """Why the cuda engine cannot run here, in a sentence; None where it can."""
    lacking = missing()
    return lacking and f"The engine cuda cannot run: {lacking.instead('choose the engine cpu, or reference')}"


@dataclass(frozen=True)
class Engine:
    """title: what it is made of.  problem: says why it cannot run here, or None.  borrows: what it lets another do."""

    title: str
    problem: Callable[[], str | None]
    borrows: str = ""


TABLE = {
    "cpu": Engine("compiled by numba, on the processor's threads", lambda: None),
    "cuda": Engine(
        "Triton kernels on an NVIDIA GPU", lambda: cuda_problem(),
        "searches for a range, rotation, weights kept apart, nested scales and float64 to reference, on the same "
        "device; the bytes of block types that take a search to cpu",
    ),
    "reference": Engine(
        "plain torch, on any device: the definition, to be read", lambda: None,
        "the facts of a tensor and the bytes of block types to cpu",
    ),
}  # fmt: skip
ENGINES = tuple(TABLE)


def check_engine(name: str) -> None:
    """Raises QuantvizError for an engine that does not exist, or that cannot run here, with the reason."""
    if name not in TABLE:
        raise QuantvizError(f"There is no engine {name!r}; choose {' or '.join(ENGINES)}.")
    if reason := TABLE[name].problem():
        raise QuantvizError(reason)


def present() -> list[str]:
    """The engines that can run here."""
    return [name for name, engine in TABLE.items() if engine.problem() is None]


def verbs(name: str) -> Any:
    """The module of an engine's verbs, loaded at first use."""
    return import_module(f"{__package__}.{name}.engine")


@cache
def default_engine() -> str:
    """`cuda` where it can run, else "cpu": what the app computes with."""
    return "cuda" if cuda_problem() is None else "cpu"


def cuda_device() -> torch.device:
    """The device of the engine cuda. Raises QuantvizError with the reason where there is none."""
    check_engine("cuda")
    import torch

    return torch.device("cuda", torch.cuda.current_device())
