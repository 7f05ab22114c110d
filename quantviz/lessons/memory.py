"""What the weights of a model take, format by format, beside the memory of this machine."""

from __future__ import annotations

from dataclasses import dataclass

from ..machine.memory import of_host
from ..schemes import Scheme

MODELS = (0.5, 1, 1.5, 3, 4, 7, 8, 14, 24, 32, 70)  # billions of weights
# Coarse to fine: what people store weights as.
SCHEMES = ("fp32", "bf16", "fp8_e4m3-channel", "int8-sym-b32", "int6-asym-b32", "int4-asym-b32", "nf4-b64", "mxfp4",
           "int3-asym-b32", "int2-asym-b32")  # fmt: skip
_LAYER = (4096, 4096)  # a typical layer, over which scales and the like are counted


@dataclass(frozen=True)
class Stored:
    """The weights of a model under a scheme. bits: a weight, scales and all else counted."""

    scheme: str
    bits: float
    nbytes: float


def sizes(billions: float, schemes: tuple[str, ...] = SCHEMES) -> list[Stored]:
    """What a model of so many billion weights takes under each scheme, all its weights stored so.

    >>> [(s.scheme, s.bits, s.nbytes) for s in sizes(1, ("fp32", "bf16", "int4-asym-b32"))]
    [('fp32', 32.0, 4000000000.0), ('bf16', 16.0, 2000000000.0), ('int4-asym-b32', 4.625, 578125000.0)]
    """
    found = []
    for key in schemes:
        bits = Scheme.parse(key).bits_per_weight(_LAYER)
        found.append(Stored(key, bits, billions * 1e9 * bits / 8))
    return found


def memory() -> int | None:
    """Bytes of main memory here; None where the system does not say."""
    return of_host()[0]


def largest_that_fits(scheme: str, nbytes: float) -> float | None:
    """The largest of MODELS whose weights take no more than `nbytes` under a scheme; None where none does."""
    fitting = [billions for billions in MODELS if sizes(billions, (scheme,))[0].nbytes <= nbytes]
    return max(fitting, default=None)
