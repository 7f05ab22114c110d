"""What a measurement of speed gives: the device's card, a line a contender, and the events that bring them.

Every workload moves a known number of weights, so that `math.prod(shape)` weights stand behind each figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from ..text.plain import plain

# Name -> what one timed call does.
WORKLOADS: Mapping[str, str] = MappingProxyType(
    {
        "quantize": "Weights to codes and scales.",
        "dequantize": "Codes and scales back to weights.",
        "evaluate": "Quantize, dequantize and measure the error, in one pass.",
        "linear": "One linear layer: activations times its quantized weights.",
        "decode": "All linear layers of a model, one after the other: what one step of generating text has to do.",
    }
)
MULTIPLIES = ("linear", "decode")  # workloads in which weights meet activations
STEADY = 1.5  # a median this many times the least time says that the device was not ours alone
UNSTEADY = "The times vary so much that something else must use this machine: measure again when it is quiet."


@dataclass(frozen=True)
class Spread:
    """Seconds of repeated runs: the median counts, the least and the most say how far to trust it."""

    median_s: float
    min_s: float
    max_s: float
    repeats: int


@dataclass(frozen=True)
class Card:
    """The device that is measured, and the software that measures it.

    device: "cpu", "cuda", "mps", "xpu" or "reference".  engine: of quantize, dequantize and evaluate on it.
    memory_bytes, free_bytes: in all, and when the run began; None where the system does not say.
    cache_bytes: of the last cache before memory; timed buffers are rotated so that it never holds the next one.
    copy_bytes_per_s, read_bytes_per_s: medians measured in this run, bytes read and written both counted; None
    until they are. versions: of python, torch, numba, triton, whichever there are.
    notices: sentences the reader must see first, such as that there is no GPU.
    """

    device: str
    name: str
    engine: str
    memory_bytes: int | None
    free_bytes: int | None
    cache_bytes: int
    threads: int
    driver: str | None
    versions: Mapping[str, str]
    copy_bytes_per_s: float | None = None
    copy: Spread | None = None
    read_bytes_per_s: float | None = None
    notices: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return vars(self) | {"versions": dict(self.versions), "copy": self.copy and asdict(self.copy),
                             "notices": list(self.notices)}  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """One scheme in one workload. `bf16`, `fp16` and `fp32` are the plain casts, multiplied by torch itself.

    shape: of the tensor or layer; of a decode step [weights of all its layers].
    batch: tokens that are multiplied at once; None where nothing is multiplied.
    median_s, min_s, max_s: of `repeats` interleaved rounds; None where the check failed, which voids the timing.
    bytes_per_s: bytes that had to be read and written.  share_of_copy: of the copy bandwidth of the same run.
    tokens_per_s: of a decode step, all tokens of the batch.
    speedup_over_bf16, speedup_over_fp32: median of the plain cast over this one's, in the same rounds; None where
    it was not among them.
    correct: whether the result passed its check before anything was timed; None while that is being done.
    memory_bytes: what the weights take on the device, as packed.
    model, products: of a decode step, and how many matrices it multiplies by.  kernel: what computes, in a few words.
    relative_error: of the check, ‖y - ŷ‖/‖ŷ‖ against float64, or the share of codes that differ.
    sqnr_db: what the scheme costs on the weights that were timed.
    notices: what the reader must know, such as layers measured once and counted many times.
    final: whether more rounds are to come.
    """

    workload: str
    scheme: str
    shape: tuple[int, ...]
    batch: int | None
    device: str
    median_s: float | None = None
    min_s: float | None = None
    max_s: float | None = None
    repeats: int = 0
    weights_per_s: float | None = None
    bytes_per_s: float | None = None
    share_of_copy: float | None = None
    tokens_per_s: float | None = None
    speedup_over_bf16: float | None = None
    correct: bool | None = None
    memory_bytes: int | None = None
    model: str | None = None
    products: int | None = None
    kernel: str = ""
    relative_error: float | None = None
    speedup_over_fp32: float | None = None
    sqnr_db: float | None = None
    notices: tuple[str, ...] = ()
    final: bool = False

    @property
    def unsteady(self) -> bool:
        """Whether the median lies so far above the least that something else must have had a part in it."""
        return self.median_s is not None and self.min_s is not None and self.median_s > STEADY * self.min_s

    @property
    def key(self) -> tuple[str, str]:
        """What tells the lines of one run apart."""
        return self.workload, self.scheme

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return plain({name: value for name, value in vars(self).items() if name != "final"})


@dataclass(frozen=True)
class Refused:
    """A contender that could not be measured, and the sentence that says why and what would work."""

    workload: str
    scheme: str
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Someone else measures on this device. ahead: how many go first, the one who measures now counted."""

    ahead: int
    sentence: str


@dataclass(frozen=True)
class Doing:
    """What is being done now. done of total rounds (or 0 of 0 where there is no telling)."""

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Finished:
    """The run is over. stopped: it was cancelled before its end."""

    seconds: float
    stopped: bool = False


Event = Waiting | Doing | Card | Measurement | Refused | Finished


@dataclass(frozen=True)
class Report:
    """All that has arrived so far; `take` an event to get the next one.

    >>> Report().take(Waiting(1, "One measurement goes first.")).take(Doing("compiling")).waiting is None
    True
    """

    card: Card | None = None
    measurements: tuple[Measurement, ...] = ()
    refused: tuple[Refused, ...] = ()
    waiting: Waiting | None = None
    doing: Doing | None = None
    finished: Finished | None = None

    def take(self, event: Event) -> Report:
        """A newer measurement of the same line replaces the older; lines keep the order in which they came."""
        if isinstance(event, Waiting):
            return replace(self, waiting=event)
        if isinstance(event, Doing):
            return replace(self, doing=event, waiting=None)
        if isinstance(event, Card):
            return replace(self, card=event, waiting=None)
        if isinstance(event, Refused):
            return replace(self, refused=(*self.refused, event))
        if isinstance(event, Finished):
            return replace(self, finished=event, doing=None, waiting=None)
        keys = [m.key for m in self.measurements]
        place = keys.index(event.key) if event.key in keys else len(keys)
        return replace(self, measurements=(*self.measurements[:place], event, *self.measurements[place + 1 :]))

    def of(self, workload: str) -> tuple[Measurement, ...]:
        """The lines of one workload."""
        return tuple(m for m in self.measurements if m.workload == workload)

    def document(self) -> dict[str, Any]:
        """What `python -m quantviz throughput --json` prints."""
        return {
            "card": self.card and self.card.record(),
            "measurements": [m.record() for m in self.measurements],
            "refused": [asdict(r) for r in self.refused],
            "seconds": self.finished and self.finished.seconds,
            "stopped": bool(self.finished and self.finished.stopped),
        }
