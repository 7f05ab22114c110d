"""The address bar holds what the visitor has chosen, each choice under its own name, and nothing else.

The session keeps the choices as text, by key; a choice equal to its default is neither there nor in the address. The
app reads the address on a first visit, after a link, and on Back and Forward. It writes the address once a change, so
that Back undoes one change.

Streamlit's own binding is not used: with it a change by hand adds no step to the history, a button adds several, and
links lack a default that depends on the rest of the view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from .. import say

SIDEBAR = ("ref", "tensor", "rows", "scheme", "pinned")  # on every page
SHARED = ("axis", "range")  # meant to be the same on both pages that have them
PAGES = {
    "learn": (
        "chapter", "present", "learn_size", "learn_format", "learn_value",
        "learn_n1", "learn_n2", "learn_n3", "learn_n4",
        "learn_n5", "learn_n6", "learn_bits", "learn_symmetry", "learn_sigmas", "learn_block", "learn_codes",
        "learn_sentence", "learn_model_bits", "learn_model_codes", "learn_model", "learn_shipped", "learn_weights",
        "learn_gigabytes", "learn_runtime", "learn_wish", "learn_tokens",
    ),
    "explore": (*SHARED, "block", "stored"),
    "compare": ("schemes", "tensors", "tensors_metric", "tensors_against"),
    "outliers": (
        *SHARED, "edit", "inject_count", "inject_magnitude", "inject_where", "inject_channel", "inject_seed",
        "remove_by", "remove_sigmas", "remove_percent", "remove_how", "beyond", "bits", "swept", "along",
    ),
    "quality": (
        "model", "text", "text_id", "tokens", "context", "method", "layers", "measured", "prompt", "length",
        "calibration_text", "calibration_id", "calibration_tokens", "inputs", "imatrix",
    ),
    "published_files": ("gguf", "beside", "files", "mix", "mix_importance"),
    "whole_model": (
        "sweep_schemes", "sample", "shown", "metric", "cell", "kl_by", "plan_bits", "plan_damage",
        "plan_shared", "plan_kept", "plan_floor", "recipe",
    ),
    "throughput": (
        "workloads", "device", "batch", "throughput_model", "throughput_schemes", "tensor_shape", "layer", "rounds",
        "seconds",
    ),
    "number_formats": (
        "number_format", "number_value", "number_scale", "line_formats", "line_window", "line_axis", "block_type",
        "packed_format",
    ),
    "glossary": ("term",),
}  # fmt: skip
# Where two pages call different things by one name, one of the keys differs from the name in the address.
NAMES = {"throughput_model": "model", "throughput_schemes": "schemes", "sweep_schemes": "schemes", "plan_bits": "bits",
         "tensors_metric": "metric", "tensors_against": "against"}  # fmt: skip

_PAGE, _CHOSEN, _SAID, _BOX, _INSIDE, _SEEN = "_page", "_chosen", "_said", "_notices", "_changing", "_address"


def begin(page: str) -> None:
    """Called before anything is drawn: reads the address if it has changed, and draws the notices."""
    state = st.session_state
    before, going_back = state.get(_PAGE), is_going_back()
    state[_PAGE] = page
    if before is None or going_back or page != before:
        state[_SAID] = {}
        _read(page, keep=before is not None and not going_back)
        if before is not None and not going_back:
            _write()
    elif _there() != state[_SEEN]:  # a link of the page to itself, drawn before the last change
        _write()
    state[_SEEN] = _there()
    state[_BOX] = st.container()
    for text in state[_SAID].values():
        say.notice(text, state[_BOX])


def page() -> str:
    """The page that is drawn, by its key in PAGES."""
    return st.session_state.get(_PAGE, "")


def is_going_back() -> bool:
    """Whether this run answers Back or Forward: the address is right then, and the values of controls are outdated."""
    return get_script_run_ctx().is_history_navigation


def chosen(key: str) -> list[str] | None:
    """The choice as text; None where there is none."""
    return st.session_state.get(_CHOSEN, {}).get(key)


def chosen_text(key: str) -> str:
    """The choice as a single text; "" where there is none."""
    return (chosen(key) or [""])[-1]


def put(**choices: str | Sequence[str] | None) -> None:
    """For callbacks: sets choices by key, None for the default; together they are one step for Back.

    Does nothing on Back: a control that still shows the page before it is no choice of the visitor's.
    """
    if is_going_back():
        return
    with changing():
        for key, value in choices.items():
            if value is None:
                st.session_state[_CHOSEN].pop(key, None)
            else:
                st.session_state[_CHOSEN][key] = [value] if isinstance(value, str) else list(value) or [""]


@contextmanager
def changing() -> Iterator[None]:
    """All changes inside are one step for Back; they also remove the notices that were there before. None on Back."""
    state = st.session_state
    if state.get(_INSIDE) or is_going_back():
        yield
        return
    before, state[_SAID], state[_INSIDE] = state[_SAID], {}, True
    shared = [chosen(key) for key in SHARED]
    try:
        yield
    finally:
        state[_INSIDE] = False
    _write()
    run = get_script_run_ctx()
    if run.fragment_ids_this_run and not run.has_script_started:
        if state[_SAID] != before or [chosen(key) for key in SHARED] != shared:
            st.rerun()  # notices and links to pages stand outside the fragment, which alone would be redrawn


def settle(key: str, texts: list[str]) -> None:
    """Replaces a choice by what the control shows of it, so that its wrong parts are reported once."""
    st.session_state[_CHOSEN][key] = texts


def wrong(key: str, text: str) -> None:
    """Drops a choice that cannot be shown, and says so: `text` stays until the visitor changes something."""
    st.session_state[_CHOSEN].pop(key, None)
    notice(text, key)


def notice(text: str, key: str = "") -> None:
    """A sentence at the top of the page until the visitor changes something; another of the same key replaces it."""
    state = st.session_state
    state[_SAID][key or text] = text
    if get_script_run_ctx().has_script_started:
        say.notice(text, state[_BOX])


def passing(text: str) -> None:
    """A notice at the top of the page, for this run alone."""
    say.notice(text, st.session_state[_BOX])


def link(page: str, **instead: str) -> dict[str, list[str]]:
    """The query of a link to a page with the current choices: name -> texts. instead: choices that differ, by key."""
    there = st.session_state[_CHOSEN] | {key: [text] for key, text in instead.items()}
    return {NAMES.get(key, key): there[key] for key in (*SIDEBAR, *PAGES[page]) if key in there}


def _read(page: str, keep: bool) -> None:
    """keep: choices that the address does not name stay."""
    held = st.session_state.setdefault(_CHOSEN, {})
    for key in (*SIDEBAR, *PAGES[page]):
        name = NAMES.get(key, key)
        if name in st.query_params:
            held[key] = st.query_params.get_all(name)
        elif not keep:
            held.pop(key, None)


def _write() -> None:
    wanted = link(st.session_state[_PAGE])
    if wanted != _there():
        st.query_params.from_dict(wanted)
    st.session_state[_SEEN] = _there()


def _there() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}
