"""What measuring a tensor under a scheme gives: figures, or the reason why there are none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import QuantvizError
from ..kernels.results import Pass
from ..metrics import Sums
from ..schemes import Scheme


@dataclass(frozen=True, eq=False)
class Measured:
    """What a scheme does to a tensor.

    metrics: value of each metric of `metrics.METRICS` that applies; NaN where undefined.
    errors: standard error of each that was estimated, in its own unit, widened so that value ± 1.96 of it is a 95%
    interval (`estimates`); empty where the tensor was read whole.
    share: of the tensor's weights, those that were read.
    sums: over the whole tensor; of a sample they are estimates, and max_abs_error is NaN.
    seconds: spent on this scheme; what all share, such as reading, is not in it.
    """

    scheme: str
    metrics: dict[str, float]
    errors: dict[str, float]
    share: float
    sums: Sums
    notices: tuple[str, ...]
    seconds: float
    engine: str


@dataclass(frozen=True)
class Refusal:
    """A scheme that could not be measured on a tensor, and the sentence that says why."""

    scheme: str
    reason: str


@dataclass
class Trial:
    """A scheme while it is measured on parts of a tensor. reason: why it is refused, "" as long as it is not."""

    scheme: Scheme
    passes: list[Pass] = field(default_factory=list)
    seconds: float = 0.0
    reason: str = ""

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Takes the time, and a QuantvizError for the reason to refuse the scheme."""
        began = time.perf_counter()
        try:
            yield
        except QuantvizError as problem:
            self.reason = str(problem)
        self.seconds += time.perf_counter() - began

    @property
    def refusal(self) -> Refusal:
        return Refusal(self.scheme.key, self.reason)
