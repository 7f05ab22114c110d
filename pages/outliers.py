"""Outliers: put them in or take them out, see who carries the error, and what cures it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.components import say
from pages.components.outliers import laboratory
from pages.components.outliers.controls import edit_controls
from pages.components.outliers.details import details_section
from pages.components.outliers.sections import attribution_section, before_and_after, cures_section, curves_section
from pages.components.shared.importance_upload import importance_upload
from pages.components.shared.results import evaluated
from pages.components.shell.frame import end_page, opened_view
from quantviz import QuantvizError
from quantviz.evaluation.sentences import on_top_of
from quantviz.text.wording import shape

view = opened_view()

first = st.container()
title = f"Outliers of {view.info.name} under {view.scheme}"
view = replace(view, importance=importance_upload(view))
try:
    with first:
        before = evaluated(view, view.scheme, view.importance)
except QuantvizError as problem:
    say.title(title, on=first)
    say.error(problem)
    end_page()
if before is None:  # not computed yet: the page shows progress, or asks first
    end_page()

with first:
    say.title(title)
    facts = f"{view.at.source.ref} · {shape(before.shape)} {before.dtype} · engine {before.engine}"
    say.caption(facts, *filter(None, [on_top_of(before.dtype)]))
for notice in before.notices:
    say.warning(notice)
edited, after = replace(view, at=replace(view.at, edit=edit_controls(view))), None
if edited.at.edit:
    try:
        after = evaluated(edited, view.scheme, view.importance, "edited")
    except QuantvizError as problem:
        say.notice(f"{problem} Showing the tensor as it is.")
        edited = view
    else:
        if after is None:
            end_page()

for task in (laboratory.attribution(edited), laboratory.cures(edited)):
    task.begin()  # in the background, while what comes first is drawn
before_and_after(edited, before, after)
attribution_section(edited)
curves_section(edited)
cures_section(edited)
details_section(edited, before, after)
