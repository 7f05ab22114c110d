"""quantviz in the browser: `streamlit run app.py`."""

from __future__ import annotations

import streamlit as st

from pages.components.work.imports import import_first

# Before the imports below: the first visitors may come all at once, each on a thread of its own.
import_first()

from pages.components.shell.frame import ABOUT, enter, navigation, remember
from pages.components.link.address import begin
from pages.components.shell.history import keep_steps
from pages.components.sidebar.sidebar import around
from pages.components.shell.style import style
from pages.components.shell.warm_up import warm_up
from pages.components.shared.charts import blocked_notice

# A tab has an icon of ours: Streamlit's own would be fetched from another host.
st.set_page_config(page_icon="pages/components/icon.svg", layout="wide", menu_items={"About": ABOUT})
name, page = navigation()
st.set_page_config(f"{page.title} · quantviz")
style()
warm_up()
remember(name)
keep_steps()
begin(name)
blocked_notice()


def run() -> None:
    enter()
    page.run()


around(name, run)
