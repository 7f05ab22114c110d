"""Tooltips that end in a link to the glossary: where a label names a term, the help beside it leads to that term.

Controls, figures, headings and columns all get theirs here. No key reaches a link inside a tooltip, but the glossary is
a page of the navigation and holds the same terms.
"""

from __future__ import annotations

from quantviz.lessons.glossary import term_of, terms
from quantviz.metrics import Metric, tooltip


def to_term(key: str) -> str:
    """Markdown: a link to a term. Relative, so that it holds wherever the app is served."""
    return f"[In the glossary](glossary?term={terms()[key].key})"


def explained(label: object, help: str | None) -> str | None:
    """The help beside a label, with a link to the term that the label names, if it names one."""
    term = term_of(str(label))
    return help if not help or term is None or "](glossary?" in help else f"{help}\n\n{to_term(term)}"


def metric_help(metric: Metric) -> str:
    """What a figure is: formula, unit, direction, meaning, and where it stands in the glossary."""
    return f"{tooltip(metric)}\n\n{to_term(metric.name)}"
