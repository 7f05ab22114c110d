"""The claim that quantized models run 1.5 to 2 times faster on GPUs, against the decode steps measured here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..schemes import Scheme
from .devices import NAMES
from .multiply import CASTS
from .results import UNSTEADY, Measurement

STATEMENT = "Quantized models run 1.5 to 2 times faster on GPUs (177 against 107 tokens/s for bfloat16)."
LEAST, MOST = 1.5, 2.0
WIDTHS = (8, 4)  # bits a code, which the claim is about

State = Literal["holds", "partly", "fails", "cannot tell", "not measured"]
GPUS = ("cuda", "mps", "xpu")
SIXTEEN_BIT = ("bf16", "fp16")


@dataclass(frozen=True)
class Row:
    """The fastest scheme of a width: tokens a second, those of the plain step it is compared with, and their ratio."""

    bits: int
    scheme: str
    tokens_per_s: float
    baseline_tokens_per_s: float

    @property
    def factor(self) -> float:
        return self.tokens_per_s / self.baseline_tokens_per_s


@dataclass(frozen=True)
class SpeedVerdict:
    """state: "holds" where every width measured is at least 1.5 times as fast as plain weights, "partly" where some
    are. "cannot tell" off a GPU, which the claim is about, and where the times vary too much to stand on."""

    state: State
    sentence: str
    rows: tuple[Row, ...] = ()

    @property
    def holds(self) -> bool | None:
        """None where nothing was measured that could say."""
        return None if self.state in ("not measured", "cannot tell") else self.state == "holds"


def speed_verdict(measurements: Iterable[Measurement]) -> SpeedVerdict:
    """What the decode steps among `measurements` say about the claim. Only checked results count.

    They are compared with the step in 16 bit, or in fp32 where that is faster: a CPU may emulate bfloat16.

    >>> def step(scheme, tokens):
    ...     return Measurement("decode", scheme, (8,), 1, "cuda", tokens_per_s=tokens, correct=True, model="M")
    >>> print(speed_verdict([step("bf16", 10.0), step("int4-sym-b64", 30.0), step("int8-sym-b64", 12.0)]).sentence)
    The claim holds in part for M on this CUDA GPU: 8 bits (int8-sym-b64) give 12 tokens/s, 1.20 times as many as \
bf16's 10, and 4 bits (int4-sym-b64) 30, 3.00 times.
    """
    steps = [m for m in measurements if m.workload == "decode" and m.correct and m.tokens_per_s]
    plain = {m.scheme: m for m in steps if m.scheme in CASTS}
    if not any(name in plain for name in SIXTEEN_BIT):
        return SpeedVerdict("not measured", "No decode step in 16 bit was measured here to compare with.")
    base = max(plain.values(), key=lambda m: m.tokens_per_s or 0)
    found = [(bits, best) for bits in WIDTHS if (best := _fastest(bits, steps)) is not None]
    rows = tuple(Row(bits, m.scheme, m.tokens_per_s or 0.0, base.tokens_per_s or 0.0) for bits, m in found)
    if not rows:
        return SpeedVerdict("not measured", "No decode step in 8 or 4 bits was measured here.")
    unsteady = any(m.unsteady for m in (base, *(m for _, m in found)))
    reached = [row.factor >= LEAST for row in rows]
    state: State = "holds" if all(reached) else "partly" if any(reached) else "fails"
    if unsteady or base.device not in GPUS:
        state = "cannot tell"
    return SpeedVerdict(state, _sentence(state, rows, base, unsteady) + _slower(base, plain), rows)


def _fastest(bits: int, steps: list[Measurement]) -> Measurement | None:
    found = [m for m in steps if m.scheme not in CASTS and Scheme.parse(m.scheme).fmt.bits == bits]
    return max(found, key=lambda m: m.tokens_per_s or 0, default=None)


def _number(tokens: float) -> str:
    return f"{tokens:,.0f}" if tokens >= 100 else f"{tokens:.3g}"


def _sentence(state: State, rows: tuple[Row, ...], base: Measurement, unsteady: bool) -> str:
    first, others = rows[0], rows[1:]
    told = (
        f"{first.bits} bits ({first.scheme}) give {_number(first.tokens_per_s)} tokens/s, {first.factor:.2f} times as "
        f"many as {base.scheme}'s {_number(first.baseline_tokens_per_s)}"
    )
    told += "".join(f", and {r.bits} bits ({r.scheme}) {_number(r.tokens_per_s)}, {r.factor:.2f} times" for r in others)
    device = NAMES[base.device]
    if state == "cannot tell":
        why = "" if base.device in GPUS else f" It speaks of GPUs, and this is a {device}."
        noise = f" {UNSTEADY}" if unsteady else ""
        return f"Whether the claim holds cannot be told here.{why}{noise} Measured for {base.model}: {told}."
    opening = {"holds": "holds", "partly": "holds in part", "fails": "does not hold"}[state]
    more = " That is more than it promises." if state == "holds" and min(r.factor for r in rows) > MOST else ""
    return f"The claim {opening} for {base.model} on this {device}: {told}.{more}"


def _slower(base: Measurement, plain: dict[str, Measurement]) -> str:
    """Why the comparison is not with 16 bit, where it is not."""
    name = next(name for name in SIXTEEN_BIT if name in plain)
    if base.scheme in SIXTEEN_BIT:
        return ""
    return f" {name} is slower here than {base.scheme}, with {_number(plain[name].tokens_per_s or 0)} tokens/s."
