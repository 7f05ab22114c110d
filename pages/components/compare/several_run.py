"""Measuring several tensors in the background: starting it, its progress, what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Outcome, Refusal, refusal
from quantviz.schemes import Scheme
from quantviz.sources import Model
from quantviz.sweep.several import rows_within, tabulate_tensors
from quantviz.text.wording import count, plural, size

from .. import say
from ..selection import TensorPart, View
from ..work import jobs
from ..work.tensors import Asked, figures_of, measure_each
from ..work.visitors import agree, agreed

AT_ONCE = 200e6  # weights times schemes that are measured without asking: a second or two
POLL = 1.0  # seconds between looks: drawing takes time from measuring
_UNREAD = "_unread"  # of the session: for which job, and why there are no figures of a tensor under a scheme


def measured(
    view: View, model: Model, names: Sequence[str], schemes: Sequence[Scheme], live: Callable[[pd.DataFrame], None]
) -> pd.DataFrame | None:
    """The table of all tensors; None, with its progress and `live` of the tensors so far, while it is made."""
    asked, refused = _asked(view, model, names, schemes)
    key = "several", tuple((one.at, one.keys) for one in asked)
    unread = st.session_state.get(_UNREAD, (None, {}))
    unread = unread[1] if unread[0] == key else {}

    def outcome(name: str, scheme: Scheme) -> Outcome | None:
        at = TensorPart(view.at.source, name, parts.get(name))
        return refused.get((name, scheme.key)) or unread.get((at, scheme.key)) or figures_of(at, scheme.key)

    parts = {one.at.tensor: one.at.rows for one in asked}

    def so_far() -> list[tuple[str, list[Outcome]]]:
        found = [(name, [outcome(name, scheme) for scheme in schemes]) for name in names]
        return [(name, [o for o in each if o]) for name, each in found]

    missing = [left for one in asked if (left := _left(one, unread))]
    if not missing:
        jobs.want("several", None)
        _again(unread)
        return tabulate_tensors(so_far())
    if not (jobs.running(key) or agreed(_of(view, names))) and _measurements(missing) > AT_ONCE:
        _ask_first(view, model, names, missing)
        return None
    title = f"{plural(len(missing), 'tensor')}, {plural(len(schemes), 'scheme')}"
    done = jobs.result(
        key, title, lambda job: measure_each(missing, job), lambda: live(tabulate_tensors(so_far())), patience=0.5,
        poll=POLL,
    )  # fmt: skip
    if done is None:
        return None
    st.session_state[_UNREAD] = key, done
    unread = done
    _again(unread)
    return tabulate_tensors(so_far())


def _asked(
    view: View, model: Model, names: Sequence[str], schemes: Sequence[Scheme]
) -> tuple[list[Asked], dict[tuple[str, str], Refusal]]:
    """What can be measured, and why the rest cannot: by tensor and scheme."""
    asked, refused = [], {}
    for name in names:
        info = model.info(name)
        try:
            if info.why_not:
                raise QuantvizError(info.why_not)
            rows = rows_within(view.at.rows, info)
        except QuantvizError as problem:
            refused |= {(name, scheme.key): Refusal(scheme.key, str(problem)) for scheme in schemes}
            continue
        start, stop = rows or (0, info.rows)
        unfit = {s.key: r for s in schemes if (r := refusal(s, (stop - start, info.cols)))}
        refused |= {(name, key): why for key, why in unfit.items()}
        keys = tuple(scheme.key for scheme in schemes if scheme.key not in unfit)
        asked.append(Asked(TensorPart(view.at.source, name, rows), (stop - start) * info.cols, keys))
    return asked, refused


def _left(one: Asked, unread: dict) -> Asked | None:
    """What of it is neither there nor known not to be had; None where that is nothing."""
    keys = tuple(key for key in one.keys if (one.at, key) not in unread and figures_of(one.at, key) is None)
    return Asked(one.at, one.weights, keys) if keys else None


def _measurements(asked: Sequence[Asked]) -> int:
    return sum(one.weights * len(one.keys) for one in asked)


def _of(view: View, names: Sequence[str]) -> tuple:
    return "several", view.at.source, view.at.rows, tuple(names)


def _again(unread: dict) -> None:
    """A way to try again what could not be read."""
    if unread:
        names = len({at.tensor for at, _ in unread})
        label = f"Try {plural(names, 'tensor')} again"
        st.button(label, icon=":material/refresh:", on_click=st.session_state.pop, args=(_UNREAD, None))


def _ask_first(view: View, model: Model, names: Sequence[str], missing: Sequence[Asked]) -> None:
    infos = [(one, model.info(one.at.tensor)) for one in missing]
    nbytes = sum(one.weights * info.nbytes / info.size for one, info in infos)
    schemes = max(len(one.keys) for one in missing)
    weights = count(sum(one.weights for one in missing))
    lines = [f"{plural(len(missing), 'tensor')} of {weights} weights under {plural(schemes, 'scheme')}"]
    if view.at.source.ref.startswith("hf:"):
        lines.append(f"Download: {jobs.estimate(nbytes, 'B')}, unless it is in the cache already")
    else:
        lines.append(f"Read: {size(nbytes)}")
    lines.append(f"Time: {jobs.estimate(_measurements(missing), 'weights')}, one tensor in memory at a time")
    say.plan(*lines)
    st.button(
        f"Measure {plural(len(missing), 'tensor')}", type="primary", icon=":material/play_arrow:", on_click=agree,
        args=(_of(view, names),),
    )  # fmt: skip
