"""The glossary: whatever is declared is in it, once, in a sentence or two that a stranger can look for."""

from __future__ import annotations

import re

from quantviz.block_types import BLOCK_TYPES
from quantviz.formats import FORMATS
from quantviz.lessons.glossary import GROUPS, found, option_key, terms
from quantviz.lessons.words import WORDS
from quantviz.metrics import METRICS
from quantviz.quality.results import QUALITY_METRICS
from quantviz.schemes import OPTIONS


def test_every_declaration_is_a_term():
    declared = [*METRICS, *QUALITY_METRICS, *FORMATS, *BLOCK_TYPES, *map(option_key, OPTIONS)]
    assert set(terms()) == {*WORDS, *declared}
    assert len(terms()) == len(WORDS) + len(set(declared)), "no word takes the place of a declaration"
    assert {term.group for term in terms().values()} == set(GROUPS)


def test_a_term_can_stand_in_a_link_and_is_a_sentence():
    for key, term in terms().items():
        assert re.fullmatch(r"[a-z0-9_-]+", key), key
        assert term.text.endswith((".", "!")) and term.text[0] == term.text[0].upper(), term


def test_terms_are_found_by_key_name_and_words():
    assert [term.name for term in found("sqnr_db")] == ["SQNR"]
    assert "zero_point" in {term.key for term in found("Zero Point")}
    assert {"gptq", option_key("solver")} <= {term.key for term in found("gptq ")} | {t.key for t in found("GPTQ")}
    assert len(found("")) == len(terms()) and found("no such word") == []
