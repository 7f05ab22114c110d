"""What to measure: checked before anything is allocated, with defaults that suit the device."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import QuantvizError, did_you_mean
from ..schemes import Scheme
from . import devices
from .results import WORKLOADS
from .shapes import ModelShape, model_shape

MOST_TOKENS = 4096
MOST_ROUNDS = 1000
LARGEST_AXIS = 1 << 24


@dataclass(frozen=True)
class Plan:
    """What `run` measures.

    schemes: keys; fp32, fp16 and bf16 are the plain casts, which torch multiplies. Where nothing is multiplied, fp32
    is left out, for weights come in it.
    tensor: [rows, cols] that quantize, dequantize and evaluate take.  layer: [out, in] of the linear workload.
    batch: tokens multiplied at once.  model: whose decode step is timed.
    rounds: how often all contenders take turns.  seconds: after which no round begins that the median does not need.
    bandwidth: whether the memory's is measured too, and with every workload again, for lines to be held against.
    """

    device: str
    workloads: tuple[str, ...]
    schemes: tuple[str, ...]
    tensor: tuple[int, int]
    layer: tuple[int, int]
    batch: int
    model: ModelShape
    rounds: int
    seconds: float
    bandwidth: bool = True

    @classmethod
    def make(
        cls,
        device: str | None = None,
        workloads: Iterable[str] | None = None,
        schemes: Iterable[str] | None = None,
        tensor: tuple[int, int] | None = None,
        layer: tuple[int, int] | None = None,
        batch: int = 1,
        model: str | ModelShape | None = None,
        rounds: int | None = None,
        seconds: float | None = None,
    ) -> Plan:
        """A checked plan. device: None is the best here; the rest: None is the default of the device.

        model: a preset such as "8b", a reference whose config.json is read, or what `model_shape` gave.
        Raises QuantvizError with what is wrong and what would be right.
        """
        device = devices.checked(device or devices.available()[0])
        default = DEFAULTS.get(device, DEFAULTS["reference"])
        names = tuple(dict.fromkeys(workloads if workloads is not None else default.workloads))
        if not names:
            raise QuantvizError(f"There is nothing to measure; choose a workload: {', '.join(WORKLOADS)}.")
        for name in names:
            if name not in WORKLOADS:
                raise QuantvizError(
                    f"There is no workload {name!r}; choose {', '.join(WORKLOADS)}.{did_you_mean(name, WORKLOADS)}"
                )
        if schemes is None:
            schemes = (
                default.schemes if devices.takes_bf16(device) else (s.replace("bf16", "fp16") for s in default.schemes)
            )
        parsed = [Scheme.parse(s) for s in schemes]
        if fed := next((s for s in parsed if s.act is not None), None):
            raise QuantvizError(f"{fed} cannot be timed: layers are timed with inputs as they come; leave act= out.")
        keys = tuple(dict.fromkeys(s.key for s in parsed))
        if not keys:
            raise QuantvizError("There is no scheme to measure; give at least one, for example int4-sym-b64.")
        if not isinstance(model, ModelShape):
            model = model_shape(model or default.model)
        return cls(
            device, names, keys, _shape(tensor or default.tensor), _shape(layer or default.layer),
            _whole(batch, "The batch", MOST_TOKENS), model,
            _whole(default.rounds if rounds is None else rounds, "The number of rounds", MOST_ROUNDS),
            default.seconds if seconds is None else seconds,
        )  # fmt: skip

    @property
    def title(self) -> str:
        """Shown to those who wait for the device.

        >>> Plan.make("cpu", ["linear", "decode"]).title
        'linear, decode on the CPU'
        """
        return f"{', '.join(self.workloads)} on the {devices.NAMES[self.device]}"


@dataclass(frozen=True)
class _Default:
    workloads: tuple[str, ...]
    schemes: tuple[str, ...]
    tensor: tuple[int, int]
    layer: tuple[int, int]
    model: str
    rounds: int
    seconds: float


_ALL = tuple(WORKLOADS)
_FEW = ("fp32", "bf16", "int8-sym-b64", "int4-sym-b64", "int4-asym-b64")
_MANY = (
    "bf16", "fp8_e4m3-b128", "int8-sym-b64", "int8-asym-b64", "int4-sym-b64", "int4-asym-b64", "nf4-b64",
    "fp4_e2m1-b64", "mxfp4", "nvfp4", "int3-asym-b64", "int2-asym-b64",
)  # fmt: skip
DEFAULTS = {
    "cuda": _Default(_ALL, _MANY, (32768, 16384), (16384, 16384), "9b", 15, 120.0),
    "cpu": _Default(_ALL, _FEW, (4096, 4096), (4096, 14336), "0.5b", 7, 25.0),
    "reference": _Default(("quantize", "dequantize", "evaluate"), _FEW, (2048, 4096), (4096, 14336), "0.5b", 5, 30.0),
}


def _whole(value: int, what: str, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise QuantvizError(f"{what} must be a whole number from 1 to {most:,}, and not {value!r}.")
    return value


def _shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or any(type(n) is not int or not 1 <= n <= LARGEST_AXIS for n in shape):
        raise QuantvizError(
            f"A layer's shape is two whole numbers from 1 to {LARGEST_AXIS:,}, rows and columns, and not {list(shape)}."
        )
    return shape[0], shape[1]


def parse_shape(text: str) -> tuple[int, int]:
    """Rows and columns as people write them. Raises QuantvizError for anything else.

    >>> parse_shape("4096x14336"), parse_shape(" 4096 × 64 ")
    ((4096, 14336), (4096, 64))
    """
    match = re.fullmatch(r"([0-9]{1,9})\s*[x×]\s*([0-9]{1,9})", text.strip())
    if not match:
        raise QuantvizError(f"{text[:40]!r} is no shape; write rows and columns, for example 4096x14336.")
    return int(match[1]), int(match[2])
