"""The controls whose values the address holds: each shows what is chosen, and chooses what it is set to.

All take a label, a key of `address` and a default, and where they are drawn: `on` a container, or by `draw`, a method
of one such as `left.selectbox`. They give the value that the page shows, so that a page and its link always agree. A
wrong value, from a link or typed, is refused with a notice. `then` is called after a change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.text.wording import number as written

from ..terms import explained
from . import address

MOST_NAMED, MOST_SHOWN = 12, 3  # options that a notice offers, and names
LONGEST_NUMBER, LONGEST_QUOTED = 40, 80  # characters
_ABSENT = object()

Check = Callable[[str], Any]  # raises QuantvizError, in words, for a text that is wrong


@dataclass(frozen=True)
class _Choice:
    """read: texts of the address -> value.  write: value -> such texts.  empty: what an emptied control returns.
    named: label of a text.
    """

    key: str
    default: Any
    read: Callable[[list[str]], Any]
    write: Callable[[Any], list[str]]
    empty: Any = None
    then: Callable[[], None] | None = None
    named: Callable[[str], str] = str

    def value(self) -> Any:
        """The choice or the default, which the control then shows."""
        value, texts = self.default, address.chosen(self.key)
        if texts is not None:
            try:
                value = self.read(texts)
                address.settle(self.key, self.write(value))
            except QuantvizError as problem:
                said = f"The link asks for {_asked(self.key, texts)}."
                address.wrong(self.key, f"{said} {problem} {self._instead(value)}")
        # On Back, what the browser reported may be outdated: an answer on its way has changed the control since.
        if address.is_going_back() or st.session_state.get(self.key, _ABSENT) != value:
            st.session_state[self.key] = value
        return value

    def drawn(self, draw: Callable[..., Any], label: str, *options: Any, **more: Any) -> Any:
        """more: the widget's other arguments. Its own default must be the value it shows: if a run is cut short, the
        browser draws the widget anew with that default, and reports it as if the visitor had chosen it.
        """
        more["help"] = explained(label, more.get("help"))
        return draw(label, *options, key=self.key, on_change=self._take, args=(st.session_state[self.key],), **more)

    def _take(self, shown: Any) -> None:
        """Called when a control that showed `shown` has changed: by the visitor, or, on Back, by the address."""
        if address.is_going_back():
            return
        state = st.session_state
        with address.changing():
            moved = self.default if state[self.key] == self.empty else state[self.key]
            try:
                value = self.read(self.write(moved)) if moved != self.default else self.default
            except QuantvizError as problem:
                address.notice(f"{problem} {self._instead(shown)}", self.key)
                state[self.key] = shown
                return
            address.put(**{self.key: None if value == self.default else self.write(value)})
            if self.then:
                self.then()

    def _instead(self, value: Any) -> str:
        if value in (None, "", []):
            return "It is left out."
        texts = [self.named(text) for text in self.write(value)]
        return f"Showing {', '.join(texts) if len(texts) <= MOST_SHOWN else f'{len(texts)} others'} instead."


def text(
    label: str,
    key: str,
    default: str = "",
    *,
    check: Check | None = None,
    empty: str | None = None,
    on: Any = st,
    then: Callable[[], None] | None = None,
    **more: Any,
) -> str:
    """A line of text. empty: the value of an empty field, which is `default` unless given."""

    def read(texts: list[str]) -> str:
        said = texts[-1].strip() or (default if empty is None else empty)
        if check:
            check(said)
        return said

    choice = _Choice(key, default, read, lambda value: [value], then=then)
    value = choice.value()
    choice.drawn(on.text_input, label, value=value, **more)
    return value


def number(
    label: str, key: str, default: float | None, least: float, most: float, step: float = 1, *, on: Any = st,
    draw: str = "number_input", **more: Any,
) -> float | None:  # fmt: skip
    """A number from least to most, whole where `step` is. default: None shows the placeholder; an emptied field
    returns to the default. draw: number_input or slider.
    """
    kind = type(step)
    first = None if default is None else kind(default)
    choice = _Choice(key, first, lambda texts: _as_number(texts[-1], label, kind, least, most), _written)
    value = choice.value()
    choice.drawn(getattr(on, draw), label, kind(least), kind(most), value, step=step, **more)
    return value


def one_of(
    draw: Callable[..., Any], label: str, key: str, options: Sequence[str], default: str | None, *,
    check: Check | None = None, missing: Check | None = None, named: Callable[[str], str] = str,
    then: Callable[[], None] | None = None, **more: Any,
) -> str:  # fmt: skip
    """One of several. draw: a selectbox, segmented_control or select_slider. check: for options that visitors may type.
    missing: raises the reason why there is no such option. named: the label of an option, which links may use too.
    """
    names = {named(option): option for option in options}

    def read(texts: list[str]) -> str:
        said = names.get(texts[-1], texts[-1])
        if check:
            check(said)
        elif said not in options:
            if missing:
                missing(said)
            raise QuantvizError(f"{label} has no choice {said!r}; {_offer([named(option) for option in options])}.")
        return said

    choice = _Choice(key, default, read, lambda value: [value], then=then, named=named)
    value = choice.value()
    if check:
        options = list(dict.fromkeys([*options, value]))
        more["accept_new_options"] = True
    if draw.__name__ == "segmented_control":
        more |= {"required": True, "default": value}
    elif draw.__name__ == "select_slider":
        more["value"] = value
    else:
        more["index"] = list(options).index(value)
    choice.drawn(draw, label, options, format_func=named, **more)
    return value


def some_of(
    draw: Callable[..., Any], label: str | Callable[[list[str]], str], key: str, options: Sequence[str],
    default: Sequence[str], *, check: Callable[[list[str]], tuple[list[str], list[str]]] | None = None,
    empty: list[str] | None = None, most: int | None = None, **more: Any,
) -> list[str]:  # fmt: skip
    """Any of several, in the order they were chosen. draw: a multiselect or pills. check: allows typed texts;
    returns the values they mean, and a sentence for each that means none. label: may depend on the value. empty: [] if
    an emptied control means the default. most: how many may be chosen.
    """

    def known(texts: list[str]) -> tuple[list[str], list[str]]:
        wrong = [text for text in texts if text not in options]
        return [text for text in texts if text in options], [
            f"The link asks for {_asked(key, [text])}, which does not exist and is left out; {_offer(options)}."
            for text in wrong
        ]

    def read(texts: list[str]) -> list[str]:
        found, problems = (check or known)([text for text in texts if text])
        if problems and not found:
            raise QuantvizError(" ".join(problems) if check else f"{_offer(options).capitalize()}.")
        for problem in problems:
            address.notice(problem)
        found = list(dict.fromkeys(found))
        if most and len(found) > most:
            address.notice(f"{len(found):,} were asked for; the first {most} are taken.", key)
        return found[:most]

    choice = _Choice(key, list(default), read, lambda value: list(value) or [""], empty)
    value = choice.value()
    if draw.__name__ == "pills":
        more["selection_mode"] = "multi"
    else:
        more["max_selections"] = most
    if check:
        options = list(dict.fromkeys([*options, *value]))
        more["accept_new_options"] = True
    choice.drawn(draw, label if isinstance(label, str) else label(value), options, default=value, **more)
    return value


def unneeded(key: str, only: str, check: Check) -> None:
    """For a choice of one option, which needs no control: `check` refuses a link that asks for another."""
    if address.chosen(key) is not None:
        choice = _Choice(key, only, lambda texts: texts[-1] if texts[-1] == only else check(texts[-1]), lambda v: [v])
        choice.value()


def toggle(label: str, key: str, *, on: Any = st, **more: Any) -> bool:
    """Off unless it is chosen."""

    def read(texts: list[str]) -> bool:
        said = {"1": "true", "0": "false"}.get(texts[-1], texts[-1].lower())
        if said not in ("true", "false"):
            raise QuantvizError(f"{label} is true or false, not {texts[-1]!r}.")
        return said == "true"

    choice = _Choice(key, False, read, lambda value: [str(value).lower()])
    value = choice.value()
    choice.drawn(on.toggle, label, value=value, **more)
    return value


# -- as text -------------------------------------------------------------------------------------


def _as_number(text: str, label: str, kind: type, least: float, most: float) -> float:
    try:
        value = kind(text) if len(text) <= LONGEST_NUMBER else None
    except ValueError:
        value = None
    if value is None or not least <= value <= most:  # NaN included
        what = "a whole number" if kind is int else "a number"
        raise QuantvizError(f"{label} takes {what} from {_short(least)} to {_short(most)}, not {text!r}.")
    return value


def _written(value: float) -> list[str]:
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 1e16)
    return [str(int(value)) if whole else repr(value)]


def _asked(key: str, texts: Sequence[str]) -> str:
    """As the address has it."""
    return f"{address.NAMES.get(key, key)}={', '.join(texts)[:LONGEST_QUOTED]}"


def _short(limit: float) -> str:
    return f"{int(limit):,d}" if float(limit).is_integer() else written(limit)


def _offer(options: Sequence[str]) -> str:
    if len(options) > MOST_NAMED:
        return f"there are {len(options):,} to choose from"
    return "choose " + " or ".join(", ".join(options).rsplit(", ", 1))
