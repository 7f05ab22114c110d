"""Help texts: one whose label names a term of the glossary leads to it, on every page, whatever draws it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pages.components.terms import explained, to_term
from quantviz.lessons.glossary import term_of, terms
from quantviz.lessons.words import CALLED
from tests.pages.running import opened

NAMED_OTHERWISE = {"source"}  # a column with the source of a format


def helps(node: Any) -> Iterator[tuple[str, str]]:
    """Label and help of every element and column with help."""
    proto = getattr(node, "proto", None)
    if getattr(proto, "help", ""):
        yield getattr(proto, "label", "") or getattr(proto, "body", ""), proto.help
    columns = getattr(proto, "columns", "")
    for name, column in (json.loads(columns) if isinstance(columns, str) and columns else {}).items():
        if column.get("help"):
            yield column.get("label") or name, column["help"]
    for child in getattr(node, "children", {}).values():
        yield from helps(child)


@pytest.mark.parametrize("page", ["explore", "number_formats"])
def test_a_help_text_leads_to_the_term_that_its_label_names(page):
    app = opened(page)
    found = [*helps(app.main), *helps(app.sidebar)]
    named = {label: (term_of(label), help) for label, help in found if label not in NAMED_OTHERWISE}
    without = [label for label, (term, help) in named.items() if term and "](glossary?term=" not in help]
    assert without == [] and sum(term is not None for term, _ in named.values()) > 4


def test_every_name_leads_to_a_term():
    assert {*CALLED.values()} <= terms().keys()
    assert explained("Schemes (3)", "Which.") == f"Which.\n\n{to_term('scheme')}"
    assert explained("Seed", "Any.") == "Any." and explained("Scheme", None) is None
    with pytest.raises(KeyError):
        to_term("no such term")
