"""A whole model: every tensor under every scheme, where it hurts, and which scheme to give each tensor."""

from __future__ import annotations

import streamlit as st

from pages.components import say
from pages.components.shell.frame import end_page, opened_view
from pages.components.whole_model.controls import sweep_controls
from pages.components.whole_model.kl import kl_section
from pages.components.whole_model.maps import ranking_section, roles_section, where_section
from pages.components.whole_model.planning import planner_section
from pages.components.whole_model.run import swept
from pages.components.whole_model.take_along import take_along
from pages.components.whole_model.totals import totals_section

view = opened_view()
st.title("Whole model", anchor=False)
say.caption(f"{view.at.source.ref}: every weight matrix under every scheme, each tensor read once.")
ask = sweep_controls(view)
if ask is None:  # the page says why
    end_page()
frame = swept(ask, view, lambda rows: where_section(ask, view, rows, live=True))
if frame is None:  # the rows so far are drawn under the progress
    end_page()
totals_section(ask, frame)
where_section(ask, view, frame)
ranking_section(ask, view, frame)
roles_section(ask, frame)
kl_section(ask, frame)
planner_section(ask, view, frame)
take_along(ask, frame)
