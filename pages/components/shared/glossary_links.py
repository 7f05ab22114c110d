"""Tooltips that end in a link to the glossary."""

from __future__ import annotations

from quantviz.metrics import Metric, tooltip


def to_term(key: str) -> str:
    """Markdown: a link to a term. Relative, so that it holds wherever the app is served."""
    return f"[In the glossary](glossary?term={key})"


def metric_help(metric: Metric) -> str:
    """What a figure is: formula, unit, direction, meaning, and where it stands in the glossary."""
    return f"{tooltip(metric)}\n\n{to_term(metric.name)}"
