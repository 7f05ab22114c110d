"""How fast schemes are on the machine at hand, measured beside what its memory allows.

>>> plan = Plan.make("cpu", ["decode"], ["bf16", "int4-sym-b64"], model="0.5b")
>>> plan.title, plan.batch, round(plan.model.weights / 1e6)
('decode on the CPU', 1, 494)
"""

from __future__ import annotations

import threading

from .plan import Plan
from .results import MULTIPLIES, WORKLOADS, Card, Doing, Event, Finished, Measurement, Refused, Report, Spread, Waiting
from .runner import run
from .shapes import PRESETS, LayerShape, ModelShape, model_shape

__all__ = [
    "MULTIPLIES", "PRESETS", "WORKLOADS", "Card", "Doing", "Event", "Finished", "LayerShape", "Measurement",
    "ModelShape", "Plan", "Refused", "Report", "Spread", "Waiting", "measure", "model_shape", "run",
]  # fmt: skip


def measure(plan: Plan, cancel: threading.Event | None = None) -> Report:
    """All of a run at once: `run`, taken together in a Report."""
    report = Report()
    for event in run(plan, cancel):
        report = report.take(event)
    return report
