"""Every term of the app in a sentence or two: made from the declarations there are, and the words that have none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ..block_types import BLOCK_TYPES
from ..formats import FORMATS, worked
from ..metrics import BETTER, METRICS, Metric
from ..quality.results import QUALITY_METRICS
from ..schemes import OPTIONS
from ..text.wording import number
from .words import CALLED, WORDS

GROUPS = ("Words", "Measures", "What it does to a language model", "Number formats", "GGUF's block types", "Options")


@dataclass(frozen=True)
class Term:
    """key: as links have it.  formula: "" where there is none."""

    key: str
    name: str
    group: str
    text: str
    formula: str = ""

    def holds(self, wanted: str) -> bool:
        """Whether a text that somebody looks for stands in it, in whatever case."""
        wanted = wanted.casefold()
        return any(wanted in part.casefold() for part in (self.key, self.name, self.text))


def option_key(option: str) -> str:
    """The key of an option's term: options and words may have one name."""
    return f"option-{option}"


@cache
def terms() -> dict[str, Term]:
    """All terms by key, group by group."""
    return {term.key: term for term in _declared()}


def term_of(label: str) -> str | None:
    """The key of the term that a control, a figure or a column is called by; None where that names no term.

    >>> term_of("Granularity"), term_of("Schemes (3)"), term_of("Scale, stored as fp16"), term_of("Seed")
    ('granularity', 'scheme', 'scale', None)
    """
    names = _names()
    return names.get(label.casefold()) or names.get(re.split(r" \(|, ", label.casefold(), maxsplit=1)[0])


@cache
def _names() -> dict[str, str]:
    named = {term.name.casefold(): key for key, term in reversed(terms().items())}
    return named | {label.casefold(): key for label, key in CALLED.items()}


def found(wanted: str) -> list[Term]:
    """The term of that very key; else every one that holds the text; all of them for an empty one."""
    wanted = wanted.strip()
    return [terms()[wanted]] if wanted in terms() else [term for term in terms().values() if term.holds(wanted)]


def _declared() -> Iterator[Term]:
    for key, (name, text) in sorted(WORDS.items(), key=lambda item: item[1][0].casefold()):
        yield Term(key, name, GROUPS[0], text)
    yield from _measures(METRICS, GROUPS[1])
    yield from _measures({k: m for k, m in QUALITY_METRICS.items() if k not in METRICS}, GROUPS[2])
    for name in FORMATS:
        yield Term(name, name, GROUPS[3], _format_text(name))
    for name, kind in BLOCK_TYPES.items():
        size = f"{kind.nbytes} bytes for {kind.block} weights, {number(8 * kind.nbytes / kind.block)} bits a weight."
        yield Term(name, name, GROUPS[4], f"{size} {kind.rule}")
    for key, option in OPTIONS.items():
        text = f"{option.what[0].upper()}{option.what[1:]}.".replace("`", "")
        yield Term(option_key(key), option.written[0], GROUPS[5], text)


def _measures(metrics: dict[str, Metric], group: str) -> Iterator[Term]:
    for key, metric in metrics.items():
        better = BETTER[metric.direction]
        yield Term(key, metric.label, group, f"{metric.meaning} {better[0].upper()}{better[1:]}.", metric.formula)


def _format_text(name: str) -> str:
    """From the properties that the table of formats shows."""
    has = worked.properties(FORMATS[name])
    scale = f" Scale: {has['scale']}." if has["scale"] else ""
    values = "" if has["finite values"] is None else f"{has['finite values']:,} values, "
    return (
        f"{number(has['bits a weight'])} bits a weight ({has['layout']}); {values}the largest {number(has['largest'])}."
        f"{scale} From {has['source']}."
    )
