"""How many tokens a second a device's memory allows, and what this machine really gives."""

from __future__ import annotations

from collections.abc import Iterator

from ..quality.results import Finding, Verdict
from ..throughput import PRESETS, Event, Plan, Report, run
from ..throughput.claim import STATEMENT, speed_verdict
from ..throughput.roofline import Ceiling, ceilings

MODELS = tuple(PRESETS)
SCHEMES = ("bf16", "int8-sym-b64", "int4-sym-b64", "int2-asym-b64")
_MODEL = "0.5b"  # what is timed here: it fits everywhere
_SECONDS = 6.0  # of timing
_FINDINGS: dict[str, Finding] = {"holds": "holds", "partly": "holds in part", "fails": "does not hold"}


def allowed(model: str, report: Report | None = None) -> list[Ceiling]:
    """Tokens a second by device and scheme: bandwidth / bytes of a token; this machine's once it was measured."""
    return ceilings(PRESETS[model], SCHEMES, report.card if report else None)


def plan() -> Plan:
    """A decode step of a small model under SCHEMES on the best device here."""
    return Plan.make(None, ["decode"], ["fp32", *SCHEMES], model=_MODEL, seconds=_SECONDS)


def measured() -> Iterator[Event]:
    """The events of `plan`, as `throughput.run` gives them."""
    return run(plan())


def verdict(report: Report | None) -> Verdict:
    """Claim 8, from what was timed here; cannot tell where nothing was, or where there is no GPU."""
    said = speed_verdict(report.of("decode") if report else ())
    evidence = tuple(
        f"{row.scheme}: {row.tokens_per_s:.3g} tokens/s, {row.factor:.2f} times as many as plain weights."
        for row in said.rows
    )
    return Verdict(8, STATEMENT, _FINDINGS.get(said.state, "cannot tell"), said.sentence, evidence)
