"""What a plan may spend: bits a weight, bytes, or milliseconds a token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import QuantvizError
from ..text.wording import number, size

# Those of 1,000 and those of 1,024.
UNITS = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}  # fmt: skip
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([a-z]{1,3})", re.IGNORECASE)
_ROOM = 1e-6  # of a bit: what rounding may add to 4.5 times a number of weights
Kind = Literal["bits", "size", "ms"]


def parse_size(text: str) -> float:
    """Bytes. GB is 10⁹ bytes, GiB is 2³⁰. Raises QuantvizError for what is no size.

    >>> parse_size("4.2GB"), parse_size("3 GiB"), parse_size("700mb")
    (4200000000.0, 3221225472.0, 700000000.0)
    """
    found = _SIZE.fullmatch(text.strip())
    unit = found and {name.lower(): nbytes for name, nbytes in UNITS.items()}.get(found[2].lower())
    if not found or unit is None:
        raise QuantvizError(f"{text[:40]!r} is no size; write for example 4.2GB (10⁹ bytes) or 4GiB (2³⁰ bytes).")
    return float(found[1]) * unit


@dataclass(frozen=True)
class Budget:
    """amount: bits a weight over the tensors of the sweep; bytes of the file; or milliseconds a token.

    rest: bytes of the file that are in no tensor of the sweep, which a size counts too; 0 where they are unknown.
    """

    kind: Kind
    amount: float
    weights: int
    rest: int = 0

    @property
    def cost(self) -> float:
        """In the unit in which options cost: bits in all, or seconds."""
        if self.kind == "ms":
            return self.amount / 1e3
        return self.amount * self.weights + _ROOM if self.kind == "bits" else 8 * (self.amount - self.rest) + _ROOM

    def text(self, cost: float | None = None) -> str:
        """The budget, or what a cost is in its unit."""
        amount = self.amount if cost is None else self._amount(cost)
        if self.kind == "bits":
            return f"{number(amount, 5)} bits per weight"
        return f"{number(amount, 4)} ms a token" if self.kind == "ms" else f"{size(amount)} ({amount:,.0f} bytes)"

    def _amount(self, cost: float) -> float:
        if self.kind == "ms":
            return cost * 1e3
        return cost / self.weights if self.kind == "bits" else cost / 8 + self.rest

    def check(self, least: float, most: float) -> None:
        """Refuses a budget below the cost of the smallest plan, or above that of the largest."""
        if not self.amount > 0:
            raise QuantvizError(f"A budget of {self.text()} buys nothing; give more than 0.")
        if self.cost < least * (1 - 1e-12):
            raise QuantvizError(
                f"{self.text()} is below the smallest plan that these schemes and rules allow: {self.text(least)}."
            )
        if self.cost > max(most, least) * (1 + 1e-12) + 2 * _ROOM * (self.kind != "ms"):
            raise QuantvizError(
                f"{self.text()} is above the largest plan that these schemes and rules allow: {self.text(most)}."
            )


def budget_of(bits: float | None, nbytes: float | str | None, ms: float | None, weights: int, rest: int) -> Budget:
    """Raises QuantvizError unless exactly one is given."""
    given: list[tuple[Kind, float | str]] = [
        (kind, amount) for kind, amount in (("bits", bits), ("size", nbytes), ("ms", ms)) if amount is not None
    ]
    if len(given) != 1:
        raise QuantvizError("A plan needs one budget: bits a weight, a size such as 4.2GB, or milliseconds a token.")
    kind, amount = given[0]
    return Budget(kind, parse_size(amount) if isinstance(amount, str) else float(amount), weights, rest)
