"""One tensor under several schemes, read once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import QuantvizError
from ..evaluation.tensor import describe, evaluate
from ..metrics import Sums
from ..schemes import Scheme
from ..tensors import StoredTensor


@dataclass(frozen=True, eq=False)
class Measured:
    """What a scheme does to a tensor. errors: standard errors of what was estimated.  share: of the weights read."""

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


def measure(
    open_rows: Callable[[int, int], StoredTensor],
    shape: tuple[int, int],
    schemes: Sequence[str | Scheme],
    importance: Any = None,
    detail: str = "full",
    budget: int | None = None,
    sample: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Measured | Refusal]:
    """What `evaluate` says of a tensor whose rows [start, stop) open_rows gives, under each scheme in their order."""
    stored = open_rows(0, shape[0])
    try:
        statistics = describe(stored)
    except QuantvizError as problem:
        yield from (Refusal(Scheme.parse(key).key, str(problem)) for key in schemes)
        return
    total = len(schemes) * stored.size
    for number, key in enumerate(schemes):

        def told(done: int, _: int, number: int = number) -> None:
            if progress:
                progress(number * stored.size + done, total)

        try:
            found = evaluate(stored, key, importance, "cpu", detail, statistics, told)
        except QuantvizError as problem:
            yield Refusal(Scheme.parse(key).key, str(problem))
            continue
        h = None if importance is None else float(importance.sum(dtype=float)) * shape[0]
        weighted = None if h is None else found.metrics["weighted_mse"] * h
        sums = Sums(
            count=stored.size, squared=statistics.sum_squares, squared_error=found.metrics["mse"] * stored.size,
            weighted_squared_error=weighted, importance=h,
        )  # fmt: skip
        yield Measured(found.scheme, found.metrics, {}, 1.0, sums, found.notices, found.seconds, found.engine)
