"""Sentences on the page. Text is shown as text: what Streamlit would read as Markdown is escaped here, and only here.

st.markdown, headings, captions, notices, tooltips, the labels of widgets and the values of metrics all read Markdown
and fetch the images it names. What comes from a file, a link, the Hub or an exception goes through `plain`, or through
one of the functions below, which do it for all they are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import streamlit as st

from quantviz.text.printable import LONGEST, LONGEST_NAME, printable
from quantviz.text.wording import MINUS

from .terms import explained

_JOINER = "\u2060"  # has no width; breaks up what Streamlit replaces after it has read the Markdown
# Characters that Markdown reads anywhere in a line; the underline only outside of words such as q4_0.
_INLINE = re.compile(r"[\\`*\[\]<>$~|{}^]|(?<![^\W_])_|_(?![^\W_])|&(?=[#\w])|:(?=[a-z])")
_AT_START = re.compile(r"^(\s*\d{0,9})([-+=#.)](?=[-+=#\s]|$))")
_SHORTCODE = re.compile(r":(?=[\w+/-]+:)")
_ADDRESS = re.compile(r"(https?|ftps?|mailto|xmpp)(?=:)|(www)(?=\.)", re.IGNORECASE)
_MAIL = re.compile(r"(?<=[\w.+-]@)(?=[\w-]+\.)")
_ARROWS = re.compile(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)")


def plain(text: object, longest: int = LONGEST) -> str:
    """Markdown that shows `text` as it is, in one line and at most `longest` characters of it."""
    line = printable(text, longest)
    for seen_later in (_ADDRESS, _MAIL, _SHORTCODE, _ARROWS):
        line = seen_later.sub(_parted, line)
    line = _INLINE.sub(lambda found: "\\" + found[0], line)
    line = _AT_START.sub(r"\1\\\2", line)
    return re.sub(r"^ +| +$| {2,}", lambda found: "\u00a0" * len(found[0]), line)


def _parted(found: re.Match) -> str:
    text = found[0]
    return text[:1] + _JOINER + text[1:] if text[:1] in ":<>-~" else text + _JOINER


def name(text: object) -> str:
    """`plain` for a name: of a tensor, a file, a model."""
    return plain(text, LONGEST_NAME)


def error(problem: object, on: Any = st) -> None:
    """What went wrong, in the words of an exception or of this app."""
    on.error(plain(problem), icon=":material/error:")


def warning(text: object, on: Any = st) -> None:
    on.warning(plain(text), icon=":material/warning:")


def notice(text: object, on: Any = st) -> None:
    """Something that was put right or left out, and that a visitor should know."""
    on.warning(plain(text), icon=":material/info:")


def info(text: object, icon: str = ":material/info:", on: Any = st) -> None:
    on.info(plain(text), icon=icon)


def plan(what: object, *items: object, on: Any = st) -> None:
    """What is about to be done, and what it will take."""
    on.info("\n".join([plain(what), *(f"- {plain(item)}" for item in items)]), icon=":material/hourglass_top:")


def text(*sentences: object, on: Any = st) -> None:
    """Sentences, each on a line of its own."""
    on.markdown("  \n".join(plain(sentence) for sentence in sentences))


def points(sentences: Iterable[object], on: Any = st) -> None:
    """Sentences as a list with bullets."""
    on.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def bold(text: object, on: Any = st) -> None:
    """A small heading."""
    on.markdown(f"**{plain(str(text).strip())}**")


def caption(*sentences: object, on: Any = st) -> None:
    on.caption("  \n".join(plain(sentence) for sentence in sentences))


def title(text: object, on: Any = st) -> None:
    """The heading of a page: there is one."""
    on.title(name(text), anchor=False)


def metric(
    label: object, value: object, change: str | None = None, better: str = "neither", *, help: str | None = None,
    border: bool = False, on: Any = st,
) -> None:  # fmt: skip
    """A figure, and how it differs from another: green where that is `better`, "higher" or "lower"; red where not.

    help: Markdown of this app's own.
    """
    help = explained(label, help)
    if change is None:
        on.metric(plain(label), plain(value), help=help, border=border)
        return
    falls, nothing = change.startswith(MINUS), not any(digit in change for digit in "123456789")
    color = "off" if nothing or better == "neither" else "green" if falls == (better == "lower") else "red"
    on.metric(
        plain(label), plain(value), plain(change), help=help, border=border, delta_color=color,
        delta_arrow="off" if nothing else "down" if falls else "up",
    )  # fmt: skip


def subheader(text: object, on: Any = st, *, help: str | None = None) -> None:
    """help: Markdown of this app's own."""
    on.subheader(name(text), anchor=False, help=explained(text, help))
