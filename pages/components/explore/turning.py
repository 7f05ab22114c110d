"""Sliders for what makes most of a difference, answered while they are moved by a sample of the tensor's rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.evaluation import Evaluation
from quantviz.metrics import METRICS, value_text
from quantviz.schemes.nearby import quantities
from quantviz.sources.synthetic import SyntheticSpec
from quantviz.text.wording import number, share

from ..link.state import choose_ref, choose_scheme, current
from ..selection import Importance, TensorPart, View
from ..shared.slider import Turn, place, slider
from ..work import cached

KEY, _RESTED = "turn", "_turn_rested"
MAGNITUDE = "Outlier magnitude"
MAGNITUDES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 25, 30, 40, 50, 70, 100)  # σ
Ways = dict[Turn, tuple[str, ...]]
SHOWN = ("mean_relative_error", "sqnr_db", "bits_per_weight")


@dataclass(frozen=True)
class Turned:
    """What the figures show while the slider moves: no evaluation where there can be none. said: what comes out."""

    said: str
    evaluation: Evaluation | None = None
    pinned: Evaluation | None = None


def turned(view: View, ways: Ways, importance: Importance | None) -> Turned | None:
    """What the slider asks for; None while it rests. Runs the page again where it has come to rest elsewhere."""
    if st.session_state.pop(_RESTED, False):
        st.rerun()
    found = place(KEY, list(ways), "moving")
    if found is None:
        return None
    at, key = _at(view, ways, *found)
    try:
        evaluation, read = cached.glance(at, key, importance)
        pinned = view.pinned and cached.glance(at, view.pinned.key, importance)[0]
    except QuantvizError as problem:
        return Turned(str(problem))
    sample = f"sample of {share(read)} of the rows" if read < 1 else "all rows"
    figures = ", ".join(f"{METRICS[name].label} {value_text(name, evaluation.metrics[name])}" for name in SHOWN)
    return Turned(f"{key}, {sample}. {figures}", evaluation, pinned)


def turning_slider(ways: Ways, now: Turned | None, on: Any) -> None:
    """Draws the slider, where there is anything to turn."""
    if ways:
        with on:
            slider(KEY, list(ways), now.said if now else "", _rest)


def ways_of(view: View) -> Ways:
    """What can be turned -> what is chosen at each place: keys of schemes, or references."""
    ways = {}
    for name, steps in quantities(view.scheme, view.info.cols):
        keys = tuple(scheme.key for _, scheme in steps)
        ways[Turn(name, tuple(written for written, _ in steps), keys.index(view.scheme.key))] = keys
    if view.at.source.ref.startswith("random:"):
        spec = SyntheticSpec.parse(view.at.source.ref)
        if spec.outliers:
            sigmas = sorted({*MAGNITUDES, spec.magnitude})
            turn = Turn(MAGNITUDE, tuple(f"{number(sigma, 4)}σ" for sigma in sigmas), sigmas.index(spec.magnitude))
            ways[turn] = tuple(replace(spec, magnitude=float(sigma)).ref for sigma in sigmas)
    return ways


def _at(view: View, ways: Ways, turn: Turn, step: int) -> tuple[TensorPart, str]:
    """The tensor and the key of the scheme at a place."""
    to = ways[turn][step]
    if turn.name == MAGNITUDE:
        return replace(view.at, source=replace(view.at.source, ref=to, opens=to)), view.scheme.key
    return view.at, to


def _rest() -> None:
    view = current()
    ways = ways_of(view)
    if found := place(KEY, list(ways), "rest"):
        turn, step = found
        if step != turn.at:
            (choose_ref if turn.name == MAGNITUDE else choose_scheme)(ways[turn][step])
            st.session_state[_RESTED] = True
