"""Timing: contenders take turns, each on memory that no cache holds, and medians count.

A visit to a contender begins with calls that are not timed: they wake its threads, and let those of the one before
fall asleep. Then come a few timed calls, each on the next of the contender's buffers. The order turns around every
round, so that none always follows the same one.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .results import Measurement, Spread

SETTLE = 0.02  # seconds of calls before the timed ones; threads of torch's CPU kernels spin some milliseconds longer
PER_VISIT = 3  # timed calls of a visit, fewer where one takes long
VISIT = 0.15  # seconds after which a visit times no further call
FEWEST_ROUNDS = 3
COLD = 4  # buffers in rotation hold this many times the last cache, together

Clock = Callable[[Callable[[], Any]], float]  # runs a function and gives the seconds it took on the device


@dataclass(eq=False)
class Contender:
    """One line of a workload, ready to run.

    line: what is known of it before it is timed.  runs: the same work on other memory each, called in turn.
    bytes_moved: that one call has to read and write.  steps: how often one call does the work (a chain of layers).
    """

    line: Measurement | None
    runs: Sequence[Callable[[], Any]]
    bytes_moved: float
    steps: int = 1
    times: list[float] = field(default_factory=list)
    _next: int = 0

    def call(self, clock: Clock) -> float:
        """Seconds of the next call, for one step of it."""
        run = self.runs[self._next % len(self.runs)]
        self._next += 1
        return clock(run) / self.steps

    @property
    def spread(self) -> Spread:
        return Spread(statistics.median(self.times), min(self.times), max(self.times), len(self.times))

    @property
    def bytes_per_s(self) -> float:
        return self.bytes_moved / self.spread.median_s


def copies_for(nbytes: int, cache: int) -> int:
    """How many buffers of `nbytes` in rotation leave nothing of one in the cache when its turn comes again.

    >>> copies_for(1 << 30, 32 << 20), copies_for(33 << 20, 32 << 20), copies_for(8 << 20, 32 << 20)
    (1, 4, 16)
    """
    return 1 if nbytes >= COLD * cache else -(-COLD * cache // max(nbytes, 1))


def rounds(
    contenders: Sequence[Contender], clock: Clock, count: int, until: float, cancel: threading.Event
) -> Iterator[int]:
    """Times all contenders in turns and yields the number of rounds done; ends early when cancelled.

    until: of time.monotonic(); past it no round is begun, once there are FEWEST_ROUNDS.
    """
    for done in range(count):
        if done >= FEWEST_ROUNDS and time.monotonic() > until:
            return
        for contender in contenders if done % 2 == 0 else reversed(contenders):
            if not _visit(contender, clock, cancel):
                return
        yield done + 1


def _visit(contender: Contender, clock: Clock, cancel: threading.Event) -> bool:
    """False when it was cancelled."""
    began = time.monotonic()
    long = (
        bool(contender.times) and min(contender.times) > VISIT
    )  # so long that what is left of another's threads fades
    while not (long or cancel.is_set()):
        contender.call(clock)
        if time.monotonic() - began > SETTLE:
            break
    began = time.monotonic()
    for _ in range(PER_VISIT):
        if cancel.is_set():
            return False
        contender.times.append(contender.call(clock))
        if time.monotonic() - began > VISIT:
            break
    return True


def host_clock(synchronize: Callable[[], None] | None = None) -> Clock:
    """The processor's clock; with `synchronize`, of work that the device has finished."""

    def seconds(run: Callable[[], Any]) -> float:
        began = time.perf_counter()
        run()
        if synchronize:
            synchronize()
        return time.perf_counter() - began

    return seconds


def cuda_clock() -> Clock:
    """CUDA events: the GPU's own time between the first and the last of what was started."""
    import torch

    def seconds(run: Callable[[], Any]) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3

    return seconds


def clock_of(device: str) -> Clock:
    if device == "cuda":
        return cuda_clock()
    if device in ("mps", "xpu"):
        import torch

        return host_clock(getattr(torch, device).synchronize)
    return host_clock()


def bandwidth(device: str, cache: int, free: int | None) -> tuple[Contender, Contender]:
    """Contenders that copy memory and that read it; bytes read and bytes written both count."""
    import torch

    nbytes = max(256 << 20, COLD * cache) if device != "cuda" else 1 << 30
    if free is not None:
        nbytes = min(nbytes, free // 8)
    source = torch.zeros(max(nbytes // 4, 1), dtype=torch.float32, device=device)
    into = torch.ones_like(source)
    return (
        Contender(None, [lambda: into.copy_(source)], 2 * source.nbytes),
        Contender(None, [lambda: source.sum()], source.nbytes),
    )


def with_times(contender: Contender, weights: int, copy: Contender | None, others: Sequence[Contender]) -> Measurement:
    """The line of a contender with what its times and those of the others say."""
    line, spread = contender.line, contender.spread
    assert line is not None

    def factor(cast: str) -> float | None:
        for other in others:
            if other.line is not None and other.line.scheme == cast and other.times:
                return other.spread.median_s / spread.median_s
        return None

    return replace(
        line, median_s=spread.median_s, min_s=spread.min_s, max_s=spread.max_s, repeats=spread.repeats,
        weights_per_s=weights / spread.median_s, bytes_per_s=contender.bytes_per_s,
        share_of_copy=contender.bytes_per_s / copy.bytes_per_s if copy and copy.times else None,
        tokens_per_s=line.batch / spread.median_s if line.workload == "decode" and line.batch else None,
        speedup_over_bf16=factor("bf16"), speedup_over_fp32=factor("fp32"),
    )  # fmt: skip
