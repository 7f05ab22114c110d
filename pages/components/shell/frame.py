"""The frame that app.py draws around every page: navigation and links; and the check that it was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ..link.address import NAMES, PAGES, SIDEBAR, link
from ..link.state import current
from ..selection import View
from ..work.absence import note_visit
from .script import script

ABOUT = """
**quantviz** shows what quantization does to the weights of a model: point at a layer, choose a number format,
a symmetry and a block size, and see what is lost. Every format is computed exactly as the library that ships it does.
"""


# What the bare address shows: to a visitor who was never here, and to one who was. An address with choices shows the
# page that takes them; before there was Learn, Explore was the only one there.
LANDING, RETURNED = "learn", "explore"
_SEEN = "quantviz_seen"  # a cookie that says no more than that somebody was here, and goes after a year
_HAS_RETURNED, _HERE = "_has_returned", "_here"
ENDS = "_page_may_end"  # of the session: whether somebody waits for `PageEnded`

# Title and icon of each page by the name that its address and its script have, in the order of the sidebar.
_PAGES = {
    "learn": ("Learn", ":material/school:"),
    "explore": ("Explore", ":material/search_insights:"),
    "compare": ("Compare", ":material/balance:"),
    "outliers": ("Outliers", ":material/scatter_plot:"),
    "quality": ("Quality", ":material/psychology:"),
    "whole_model": ("Whole model", ":material/grid_on:"),
    "published_files": ("Published files", ":material/deployed_code:"),
    "throughput": ("Throughput", ":material/speed:"),
    "number_formats": ("Number formats", ":material/123:"),
    "glossary": ("Glossary", ":material/dictionary:"),
}
# Pages by what they are about, in the order of the sidebar; the first group has no heading.
_GROUPS = {
    "": ("learn",),
    "One tensor": ("explore", "compare", "outliers"),
    "A model": ("quality", "whole_model", "published_files"),
    "This machine": ("throughput",),
    "Reference": ("number_formats", "glossary"),
}
# Addresses that pages had before: links that were made then still lead to them.
_BEFORE = {"gguf_files": "published_files"}


def pages() -> dict[str, StreamlitPage]:
    """Every page of the app by its name. Without icons: the browser would fetch one from another host for its tab."""
    return {name: st.Page(f"pages/{name}.py", title=title) for name, (title, _) in _PAGES.items()}


def navigation() -> tuple[str, StreamlitPage]:
    """The page that the address asks for, and its name. Links to the pages are drawn by `page_links`."""
    home = _home()
    earlier = [st.Page(f"pages/{now}.py", title=_PAGES[now][0], url_path=was) for was, now in _BEFORE.items()]
    # Streamlit serves its default page at the bare address alone: a page of its own leaves /learn and /explore valid.
    bare = st.Page(f"pages/{home}.py", title=_PAGES[home][0], url_path="home", default=True)
    page = st.navigation([*pages().values(), *earlier, bare], position="hidden")
    name = _BEFORE.get(page.url_path, page.url_path) or home
    st.session_state[_HERE] = name, page
    return name, page


def _home() -> str:
    """The page of the bare address: by what it asks for; without that, what this visitor found there at first."""
    asked = set(st.query_params)
    for name in (LANDING, RETURNED):
        if asked & {NAMES.get(key, key) for key in PAGES[name]}:
            return name
    if asked & set(SIDEBAR):
        return RETURNED
    returned = st.session_state.setdefault(_HAS_RETURNED, _SEEN in st.context.cookies)
    return RETURNED if returned else LANDING


def remember(page: str) -> None:
    """Lets the browser keep that somebody was here, once they have done anything but open the landing page."""
    if _SEEN in st.context.cookies or (page == LANDING and not st.query_params):
        return
    script("remember", f"document.cookie = '{_SEEN}=1; path=/; max-age=31536000; samesite=strict'")


def page_links() -> None:
    """Links that carry what is chosen to each page: those of st.navigation would lead to its defaults first."""
    here, page = st.session_state[_HERE]
    every = pages() | {here: page}  # under the address at hand, so that it is marked as the one that is open
    for group, names in _GROUPS.items():
        if group:
            st.caption(group)
        for name in names:
            st.page_link(every[name], icon=_PAGES[name][1], query_params=link(name), width="stretch")


def enter() -> None:
    """Called by app.py: the page that runs next has its sidebar."""
    st.session_state["_in_app"] = True
    note_visit()


def require_app() -> None:
    """Begins again through app.py if the page was run without it.

    Until st.navigation is called for the first time on a server, Streamlit takes a folder `pages` for an app of
    its older kind and runs a page that is opened by its own address alone.
    """
    if not st.session_state.pop("_in_app", False):
        navigation()  # the same pages, so that the address still leads to this one
        st.rerun()


class PageEnded(BaseException):
    """A page has drawn what there is to draw. Not an error: fragments and pages show errors themselves."""


def end_page() -> NoReturn:
    """Ends the page here; what app.py draws after it is drawn. After `st.stop` Streamlit draws nothing any more."""
    if st.session_state.get(ENDS):
        raise PageEnded
    st.stop()


def opened_view() -> View:
    """What the sidebar says, for a page about a tensor; the page ends here while no tensor is open."""
    require_app()
    view = current()
    if view.at is None:  # the sidebar says why
        end_page()
    return view


def runs_alone(page: str) -> bool:
    """Whether Streamlit was started with this very page, as tests of a page that needs no sidebar do."""
    return Path(get_script_run_ctx().main_script_path).resolve() == Path(page).resolve()
