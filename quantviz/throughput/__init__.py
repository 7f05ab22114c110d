"""How fast schemes are on the machine at hand, measured beside what its memory allows."""

from __future__ import annotations

from .results import MULTIPLIES, WORKLOADS, Card, Doing, Event, Finished, Measurement, Refused, Report, Spread, Waiting

__all__ = ["MULTIPLIES", "WORKLOADS", "Card", "Doing", "Event", "Finished", "Measurement", "Refused", "Report", "Spread",
           "Waiting"]  # fmt: skip
