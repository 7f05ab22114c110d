"""Measuring several tensors in the background: starting it, its progress, what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Outcome, Refusal, refusal
from quantviz.schemes import Scheme
from quantviz.sources import Model, TensorInfo
from quantviz.sweep.several import rows_within, tabulate_tensors
from quantviz.text.wording import plural, size

from .. import say
from ..selection import Importance, TensorPart, View
from ..work import jobs
from ..work.tensors import Asked, Refused, figures_of, measure_each
from ..work.visitors import agree, agreed

Weigh = Callable[[TensorInfo, tuple[int, int] | None], Importance | None]

AT_ONCE = 200e6  # weights times schemes that are measured without asking: a second or two
POLL = 1.0  # seconds between looks: drawing takes time from measuring
_UNREAD = "_unread"  # of the session: for which job, and why there are no figures of a tensor under a scheme


def measured(
    view: View, model: Model, names: Sequence[str], schemes: Sequence[Scheme], weigh: Weigh | None,
    live: Callable[[pd.DataFrame], None],
) -> pd.DataFrame | None:  # fmt: skip
    """The table of all tensors; None, with its progress and `live` of the tensors so far, while it is made."""
    asked, refused = _asked(view, model, names, schemes, weigh)
    by_name = {one.at.tensor: one for one in asked}
    key = "several", tuple((one.at, one.keys, one.weighing) for one in asked)
    known, unread = st.session_state.get(_UNREAD, (None, {}))
    refused |= unread if known == key else {}

    def outcome(name: str, scheme: str) -> Outcome | None:
        return refused.get((name, scheme)) or figures_of(by_name[name], scheme)

    def so_far() -> pd.DataFrame:
        found = {name: [outcome(name, scheme.key) for scheme in schemes] for name in names}
        return tabulate_tensors((name, [o for o in outcomes if o]) for name, outcomes in found.items())

    if missing := list(filter(None, (_left(one, outcome) for one in asked))):
        if not (jobs.running(key) or agreed(_of(view, names))) and _measurements(missing) > AT_ONCE:
            _ask_first(view, model, names, missing)
            return None
        title = f"{plural(len(missing), 'tensor')}, {plural(len(schemes), 'scheme')}"
        unread = jobs.result(
            key, title, lambda job: measure_each(missing, job), lambda: live(so_far()), patience=0.5, poll=POLL
        )
        if unread is None:
            return None
        st.session_state[_UNREAD] = key, unread
        refused |= unread
    jobs.want("several", None)
    _say_weighing(asked)
    _offer_again(st.session_state.get(_UNREAD, (None, {})), key)
    return so_far()


def _asked(
    view: View, model: Model, names: Sequence[str], schemes: Sequence[Scheme], weigh: Weigh | None
) -> tuple[list[Asked], Refused]:
    """What can be measured, and why the rest cannot."""
    asked, refused = [], {}
    for name in names:
        info = model.info(name)
        try:
            if info.why_not:
                raise QuantvizError(info.why_not)
            rows = rows_within(view.at.rows, info)
            importance = weigh and weigh(info, rows)
        except QuantvizError as problem:
            refused |= {(name, scheme.key): Refusal(scheme.key, str(problem)) for scheme in schemes}
            continue
        start, stop = rows or (0, info.rows)
        shape = stop - start, info.cols
        unfit = {s.key: r for s in schemes if (r := refusal(s, shape, importance is not None))}
        refused |= {(name, key): why for key, why in unfit.items()}
        keys = tuple(scheme.key for scheme in schemes if scheme.key not in unfit)
        asked.append(Asked(TensorPart(view.at.source, name, rows), shape[0] * shape[1], keys, importance))
    return asked, refused


def _left(one: Asked, outcome: Callable[[str, str], Outcome | None]) -> Asked | None:
    """What of it is neither there nor known not to be had; None where that is nothing."""
    keys = tuple(key for key in one.keys if outcome(one.at.tensor, key) is None)
    return replace(one, keys=keys) if keys else None


def _measurements(asked: Sequence[Asked]) -> int:
    return sum(one.weights * len(one.keys) for one in asked)


def _of(view: View, names: Sequence[str]) -> tuple:
    return "several", view.at.source, view.at.rows, tuple(names)


def _say_weighing(asked: Sequence[Asked]) -> None:
    weighed = [one.importance.file for one in asked if one.importance is not None]
    if weighed:
        say.caption(f"Errors of {len(weighed):,} of {plural(len(asked), 'tensor')} are weighed by {weighed[0]}.")


def _offer_again(kept: tuple, key: tuple) -> None:
    """A way to try again what could not be read."""
    if kept[0] == key and kept[1]:
        label = f"Try {plural(len({name for name, _ in kept[1]}), 'tensor')} again"
        st.button(label, icon=":material/refresh:", on_click=st.session_state.pop, args=(_UNREAD, None))


def _ask_first(view: View, model: Model, names: Sequence[str], missing: Sequence[Asked]) -> None:
    infos = [(one, model.info(one.at.tensor)) for one in missing]
    nbytes = sum(one.weights * info.nbytes / info.size for one, info in infos)
    schemes = max(len(one.keys) for one in missing)
    weights = plural(sum(one.weights for one in missing), "weight")
    lines = [f"{plural(len(missing), 'tensor')} of {weights} under {plural(schemes, 'scheme')}"]
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
