"""The evaluations of a view: at once where that is quick, else by a job whose progress is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from quantviz.errors import QuantvizError
from quantviz.evaluation import Evaluation
from quantviz.evaluation.comparison import Outcome, refusal
from quantviz.schemes import Scheme
from quantviz.text.wording import plural, size

from .. import say
from ..link.address import put
from ..selection import Importance, TensorPart, View
from ..work import cached, jobs
from ..work.visitors import agree, agreed

LARGE = 1 << 26  # weights; a larger tensor is not loaded before the visitor agrees
FIRST_LOOK = 1 << 24  # weights of the row range offered instead


def evaluated(
    view: View, scheme: Scheme, importance: Importance | None = None, role: str = "shown"
) -> Evaluation | None:
    """The evaluation under `scheme`, weighed by `importance` if there is any.

    role: its place on the page; another scheme in the same role stops a computation that nobody else waits for.
    None while it is computed, and while the visitor has not agreed to a large tensor.
    Raises QuantvizError for a tensor or a scheme that does not fit.
    """
    if view.at is None:
        return None
    found = cached.ready(view.at, scheme.key, importance)
    job = view.at, scheme.key, importance and importance.digest
    if found is not None:
        jobs.want(role, None)
        return found
    scheme.check_shape(view.rows, view.info.cols)  # before anything is read or downloaded
    scheme.check_importance_given(importance is not None, _is_calibrated(importance))
    if view.weights > LARGE and not agreed(_unedited(view)):
        _ask_first(view)
        return None
    return jobs.result(
        job, view.at.tensor, lambda at_work: cached.evaluate(view.at, scheme.key, importance, at_work), kind=role
    )


def against_pinned(view: View, importance: Importance | None = None) -> tuple[Evaluation | None, str]:
    """(the evaluation under the pinned scheme, why there can be none); (None, "") while it is computed."""
    try:
        return view.pinned and evaluated(view, view.pinned, importance, "pinned"), ""
    except QuantvizError as problem:
        return None, f"There is nothing to compare with: the pinned scheme does not fit this tensor. {problem}"


def outcomes(
    view: View,
    schemes: Sequence[Scheme],
    importance: Importance | None,
    show: Callable[[list[Outcome], Scheme | None], None] | None = None,
) -> list[Outcome] | None:
    """The evaluation of each scheme, or why it does not apply; None until all are computed, one after another.

    show: draws those that are ready until then; it is given them and the pinned scheme.
    Raises QuantvizError for a tensor that cannot be evaluated.
    """

    def so_far() -> list[Outcome | None]:
        return [refused.get(s) or cached.compared(view.at, s.key, importance) for s in schemes]

    shape, given = (view.rows, view.info.cols), (importance is not None, _is_calibrated(importance))
    refused = {s: r for s in schemes if (r := refusal(s, shape, *given))}
    found = so_far()
    missing = [s.key for s, outcome in zip(schemes, found, strict=True) if outcome is None]
    if not missing:
        jobs.want("compare", None)  # complete: no job is waited for any more
        return found
    if view.weights > LARGE and not agreed(_unedited(view)):
        _ask_first(view, len(missing) + 1)
        return None
    known = {s.key: outcome for s, outcome in zip(schemes, found, strict=True) if outcome is not None}

    def work(job: jobs.Job) -> dict[str, Outcome]:
        """The outcome of each scheme, held here: what is kept may make room for other visitors' meanwhile."""
        return known | cached.compare(view.at, missing, importance, job)

    done = jobs.result(
        (view.at, schemes, importance and importance.digest), view.at.tensor, work,
        meanwhile=show and (lambda: show([o for o in so_far() if o], view.pinned)), patience=0.2, kind="compare",
    )  # fmt: skip
    return done and [done[s.key] for s in schemes]


def _is_calibrated(importance: Importance | None) -> bool:
    return importance is not None and importance.calibration is not None


def _ask_first(view: View, passes: int = 2) -> None:
    """Draws an estimate for a large tensor, and offers a part of it instead."""
    weights, info = view.weights, view.info
    nbytes = weights * info.nbytes / info.size
    rows = max(1, min(info.rows, FIRST_LOOK // info.cols))
    lines = [f"{info.name} has {plural(weights, 'weight')}, {size(nbytes)} as stored."]
    if view.at.source.ref.startswith("hf:"):
        lines.append(f"Download: {jobs.estimate(nbytes, 'B')}, unless it is in the cache already")
    # Once for the tensor's own statistics, once under each scheme.
    lines.append(f"Evaluation: {jobs.estimate(passes * weights, 'weights')}, in pieces, never held whole as float32")
    say.plan(*lines)
    with st.container(horizontal=True):
        st.button("Evaluate all of it", type="primary", on_click=agree, args=(_unedited(view),))
        if rows < info.rows:
            st.button(f"Only the first {plural(rows, 'row')}", on_click=_take_rows, args=(rows,))
    st.caption("Any other range of rows can be written in the sidebar.")


def _unedited(view: View) -> TensorPart:
    return replace(view.at, edit=None)


def _take_rows(rows: int) -> None:
    put(rows=f"0:{rows}")
