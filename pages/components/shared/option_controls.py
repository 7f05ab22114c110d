"""The controls of a scheme's options, each drawn from its declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.lessons.glossary import option_key
from quantviz.schemes import OPTIONS, Option, Scheme
from quantviz.schemes.option import Group

from .. import say
from ..terms import to_term


def option_controls(scheme: Scheme, group: Group, change: Callable[[str], None]) -> None:
    """Draws the options of a group that the scheme takes, toggles last. change: called with an option's key."""
    offered = [o for o in OPTIONS.values() if o.group == group and o.control and scheme.takes(o)]
    for option in sorted(offered, key=lambda option: option.control.kind == "toggle"):
        _draw(option, scheme, change)


def moved_to(option: Option) -> Any:
    """For `change`: the value that the control of an option shows."""
    shown = st.session_state[f"scheme_{option.key}"]
    if option.control.kind == "toggle":
        return option.control.choices[shown]
    return option.default if shown is None else shown


def _fits(scheme: Scheme, option: Option, value: Any) -> bool:
    """Whether a value of an option can be chosen for the format, symmetry and granularity."""
    try:
        return bool(Scheme.parse(f"{scheme.key.partition(':')[0]}:{option.key}={option.write(value)}"))
    except QuantvizError:
        return False


def _draw(option: Option, scheme: Scheme, change: Callable[[str], None]) -> None:
    control, value, key = option.control, getattr(scheme, option.field), f"scheme_{option.key}"
    st.session_state[key] = value != option.default if control.kind == "toggle" else value
    helped = f"{control.help.format(fmt=scheme.fmt)}\n\n{to_term(option_key(option.key))}"
    more = {"key": key, "on_change": change, "args": (option.key,), "help": helped}
    match control.kind:
        case "toggle":
            st.toggle(control.label, **more)
        case "number":
            least, most, step = control.choices
            st.number_input(control.label, least, most, None, step=step, format="%0.4g", **more)
        case "list":
            offered = [c for c in control.choices if c == option.default or _fits(scheme, option, c)]
            choices = list(dict.fromkeys((*offered, value)))
            st.selectbox(control.label, choices, format_func=control.named, **more)
        case "buttons":
            st.segmented_control(
                control.label, control.choices, required=True, width="stretch",
                format_func=lambda choice: say.plain(control.named(choice)), **more,
            )  # fmt: skip
