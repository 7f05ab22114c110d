"""A tensor of one weight on the pages of one tensor: whatever they say of one is singular."""

from __future__ import annotations

import re

import pytest

from .running import figures, opened, shown

# What follows a 1 and ends in s, and is no noun.
NO_NOUN = "is was has as its lies stands takes becomes carries loses holds uses codes".split()
PLURAL = re.compile(rf"(?<![\w.,−=-])1 (?!(?:{'|'.join(NO_NOUN)})\b)[a-z]+s\b")


@pytest.mark.parametrize("scheme", ["int4-sym-tensor", "int4-asym-b64", "q4_0", "fp16"])
@pytest.mark.parametrize("page", ["explore", "compare", "outliers"])
def test_one_weight_is_singular(page: str, scheme: str):
    app = opened(page, ref="values:0.5", scheme=scheme)
    assert not app.exception
    kinds = (app.markdown, app.caption, app.warning, app.error, app.info, app.subheader)
    texts = [shown(element) for kind in kinds for element in kind] + [figure["alt"] for figure in figures(app)]
    assert [found[0] for text in texts for found in PLURAL.finditer(text)] == []
