"""The sweep in the background: starting it, its progress, stopping it, finding it again.

The server keeps the rows of each scheme. While a sweep runs its rows lie in a folder of the server's own, so that one
that was stopped goes on where it was.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import streamlit as st

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.machine import disk
from quantviz.sweep.targets import targets
from quantviz.text.wording import plural, size

from .. import say
from ..selection import View
from ..work import cached, jobs
from ..work.bounded import BoundedCache
from ..work.imports import SWEEPS, import_each
from ..work.jobs import Job
from ..work.tasks import collect
from ..work.visitors import agree, agreed
from .controls import Ask

AT_ONCE = 200e6  # weights times schemes that are measured without asking: a second or two
POLL = 1.0  # seconds between looks: drawing takes time from measuring
_ROW_BYTES = 2000
_found: BoundedCache[pd.DataFrame] = BoundedCache(256 << 20, lambda frame: _ROW_BYTES * len(frame))


def swept(ask: Ask, view: View, live: Callable[[pd.DataFrame], None]) -> pd.DataFrame | None:
    """The table of the sweep; None, with its progress and `live` of the rows so far, while it is made."""
    missing = tuple(scheme for scheme in ask.schemes if _found.peek((_of(ask), scheme)) is None)
    if not missing:
        jobs.want("sweep", None)
        return _together(ask)
    rest = replace(ask, schemes=missing)
    key = "sweep", _of(rest), missing
    try:
        weights = sum(target.weights for target in targets(cached.opened(ask.source)))
        if not (jobs.running(key) or agreed(_of(ask))) and weights * len(missing) > AT_ONCE:
            _ask_first(rest, weights)
            return None
        title = f"{ask.source.ref}, {plural(len(missing), 'scheme')}"
        weights_of = _kept(ask)
        job = jobs.start(key, title, lambda job: _work(rest, view, job, weights_of))
        done = jobs.result(key, title, lambda job: None, lambda: _live(job, live), patience=0.5, poll=POLL)
    except QuantvizError as problem:
        say.error(problem)
        return None
    return _together(ask) if done else None


def _of(ask: Ask) -> tuple:
    """All that a scheme's rows depend on. A model of the Hub has no version here: a sweep may take hours."""
    source = replace(ask.source, version="") if ask.source.ref.startswith("hf:") else ask.source
    return source, ask.sample, ask.weighing


def _together(ask: Ask) -> pd.DataFrame:
    """The rows of all schemes, as one sweep of them gives them."""
    parts = [_found.peek((_of(ask), scheme)) for scheme in ask.schemes]
    return pd.concat([part for part in parts if part is not None], ignore_index=True)


def _live(job: Job, live: Callable[[pd.DataFrame], None]) -> None:
    if job.found:
        live(pd.concat(job.found, ignore_index=True))


def _kept(ask: Ask) -> Path | None:
    """The importance where it outlasts the visitor: a sweep goes on when the window is closed."""
    if ask.weighing is None:
        return None
    path = _sweeps() / Path(ask.weighing.path).name
    if not path.exists():
        disk.replace(path, Path(ask.weighing.path).read_bytes())
    return path


def _work(ask: Ask, view: View, job: Job, importance: Path | None) -> int:
    import_each(*SWEEPS)
    progress = job.step("measuring", "weights")
    folder = _folder(ask)
    arriving = qv.sweep(
        ask.source.opens, ask.schemes, folder, sample=ask.sample or None, resume=folder.exists(), progress=progress,
        importance=importance, token=view.token, root=ask.source.root,
    )  # fmt: skip
    collect(job, arriving)
    frame = qv.load_sweep(folder).frame
    for scheme in ask.schemes:
        _found.put((_of(ask), scheme), frame[frame["scheme"] == scheme].reset_index(drop=True))
    shutil.rmtree(folder, ignore_errors=True)
    return len(frame)


def _ask_first(ask: Ask, weights: int) -> None:
    nbytes = sum(info.nbytes for info in cached.opened(ask.source).tensors) * ask.share
    lines = [f"{ask.source.ref}: {plural(weights, 'weight')} under {plural(len(ask.schemes), 'scheme')}"]
    if ask.source.ref.startswith("hf:"):
        lines.append(f"Download: {jobs.estimate(nbytes, 'B')}, unless it is in the cache already")
    else:
        lines.append(f"Read: {size(nbytes)}")
    lines.append(f"Time: {jobs.estimate(weights * ask.share * len(ask.schemes), 'weights')}")
    say.plan(*lines)
    st.button("Sweep the model", type="primary", icon=":material/play_arrow:", on_click=agree, args=(_of(ask),))


@cache
def _sweeps() -> Path:
    """The folder of the sweeps that run, which goes when the server ends."""
    folder = Path(tempfile.mkdtemp(prefix="quantviz-sweeps-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _folder(ask: Ask) -> Path:
    name = hashlib.blake2b(repr((_of(ask), ask.schemes)).encode(), digest_size=12).hexdigest()
    return _sweeps() / f"{name}.parquet"
