"""The measurement of a language model in the background: starting it, its progress, stopping it."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from quantviz.calibration.moments import moment_bytes
from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.measure import measure_quality
from quantviz.quality.model.parts import refuse_other_than_causal
from quantviz.text.wording import plural, share, size

from .. import say
from ..work import cached, jobs
from ..work.jobs import Job
from ..work.visitors import agree, agreed
from .state import Ask, keep, missing

AT_ONCE = 200_000  # tokens times schemes of the demo model up to which it starts by itself: some 30 seconds
POLL = 1.0  # seconds between looks: drawing takes time from measuring


def measure(ask: Ask, schemes: tuple[str, ...], live: Callable[[], None]) -> bool:
    """Measures the schemes that have no result yet; returns whether all are done, or the measurement has failed.

    Draws its progress, and what `live` draws under that; or an estimate, with a button that starts it; or its error.
    When the visitor asks for something else, a measurement that nobody else waits for is stopped.
    """
    key = "quality", ask, schemes
    jobs.want("quality", key)
    rest = missing(ask, schemes)
    if not rest:
        jobs.forget(key)
        return True
    state = st.session_state
    if state.get("_quality_failed", (None,))[0] == key:  # not tried again at every rerun
        say.error(state["_quality_failed"][1])
        st.button("Try again", icon=":material/refresh:", on_click=lambda: state.pop("_quality_failed", None))
        return True
    if not (jobs.running(key) or _agreed(ask, len(rest))):
        return _ask_first(ask, rest)
    title = f"{ask.source.ref}, {plural(len(schemes), 'scheme')}"
    job = jobs.start(key, title, lambda job: _work(ask, schemes, job), heavy=True)
    try:
        done = jobs.result(key, title, lambda job: None, live, patience=0.3, heavy=True, poll=POLL)
    except QuantvizError as problem:
        state["_quality_failed"] = key, str(problem)
        say.error(problem)
        return True
    return done is not None or job.future.done()


# -- the work ----------------------------------------------------------------------------------


def _work(ask: Ask, schemes: tuple[str, ...], job: Job) -> int:
    """Measures the missing schemes one after another, and keeps each result as it grows."""
    rest = missing(ask, schemes)
    job.step("opening the model", "windows")
    began = time.monotonic()
    progress = _Progress(job, len(rest))
    arriving = measure_quality(
        ask.source.opens, rest, method=ask.method, targets=ask.targets, progress=progress,
        calibrating=ask.calibrating, **ask.measuring, **ask.opening,
    )  # fmt: skip
    try:
        for result in arriving:
            scheme = rest[progress.scheme]
            keep(ask, scheme, result)
            if isinstance(result, Refusal) or result.complete:
                progress.scheme += 1
    finally:
        arriving.close()
    _learn_speed(ask, rest, time.monotonic() - began)
    return len(rest)


class _Progress:
    """Progress over the stored model and all schemes together, in windows."""

    def __init__(self, job: Job, schemes: int) -> None:
        self.scheme = 0  # the one that is being measured
        self._job, self._schemes = job, schemes
        self._windows: Callable[[int, int], None] | None = None
        self._reading = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        job = self._job
        if unit := jobs.unit_of(what, ""):
            if self._reading != what:
                self._reading, self._report = what, job.step(what, unit)
            return self._report(done, total)
        if self._windows is None:
            self._windows = job.step(what, "windows")
        if ": " in what or "imatrix" in what:  # calibrating and quantizing: layers, not windows of the text
            job.name = f"{what}, {share(done / total)}"
            return self._windows(job.done, job.total)
        base = what.endswith("stored")
        place = 0 if base else 1 + self.scheme
        job.name = "the model as it is stored" if base else f"{what}, {place} of {self._schemes}"
        self._windows(place * total + done, (1 + self._schemes) * total)


def _learn_speed(ask: Ask, schemes: tuple[str, ...], seconds: float) -> None:
    """Keeps how fast this machine multiplies, for the next estimate."""
    model = cached.opened(ask.source)
    if model is not None and ask.tokens:
        jobs.RATES["multiplications"] = _multiplications(ask, model, schemes) / seconds


# -- before it begins --------------------------------------------------------------------------


def _agreed(ask: Ask, schemes: int) -> bool:
    return agreed(ask) or (ask.is_demo and ask.tokens is not None and ask.tokens * schemes <= AT_ONCE)


def _ask_first(ask: Ask, schemes: tuple[str, ...]) -> bool:
    """Draws an estimate of the measurement, and the button that starts it."""
    ref = ask.source.ref
    lines = [f"{ref} under {plural(len(schemes), 'scheme')}"]
    try:
        model = cached.opening(ask.source, ask.token, "quality model")
    except QuantvizError as problem:
        say.error(problem)
        return True
    if model is None:
        return False
    try:
        refuse_other_than_causal(model.config, ref)
    except QuantvizError as problem:
        say.error(problem)
        return True
    if using := [scheme for scheme in schemes if ask.data.used_by(scheme)]:
        widest = max(info.cols for info in model.tensors if len(info.shape) == 2)
        lines.append(
            f"Calibration: {', '.join(using)} read {_calibration(ask)} first; E[x xᵀ] of the widest layer takes "
            f"{size(moment_bytes(widest))}"
        )
    nbytes = sum(info.nbytes for info in model.tensors)
    expanded = ", expanded to 16 or 32 bits a weight in memory" if ref.lower().endswith(".gguf") else ""
    lines.append(f"Model: {size(nbytes)} in {plural(len(model.tensors), 'tensor')}{expanded}")
    if ref.startswith("hf:"):
        lines.append(f"Download: {jobs.estimate(nbytes, 'B')}, unless it is in the cache already")
    if ask.tokens:
        lines.append(f"Time: {jobs.estimate(_multiplications(ask, model, schemes), 'multiplications')}")
    say.plan(*lines)
    st.button("Measure", type="primary", icon=":material/play_arrow:", on_click=agree, args=(ask,))
    return True


def _calibration(ask: Ask) -> str:
    return "all tokens of a text" if ask.data.tokens is None else plural(ask.data.tokens, "token")


def _multiplications(ask: Ask, model, schemes: tuple[str, ...]) -> float:
    """How many there are: one for each weight and token, under each scheme and once for the stored model; and for each
    scheme that uses data, twice for each token that it is calibrated on.
    """
    read = ask.tokens * (len(schemes) + 1)
    read += 2 * (ask.data.tokens or ask.tokens) * sum(map(ask.data.used_by, schemes))
    return float(sum(info.size for info in model.tensors)) * read
