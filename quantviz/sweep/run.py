"""The sweep: what it is asked for is checked first, then rows come tensor by tensor."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from .. import __version__
from ..errors import QuantvizError
from ..evaluation.comparison import distinct
from ..evaluation.tensor import DETAILS
from ..models import open_model
from ..schemes import Scheme
from ..sources import Model
from ..sources.files import home_path
from . import engine, worker
from .dataset import Dataset
from .frame import as_frame, as_table
from .given import Importance, Inputs
from .ranges import default_budget
from .sampling import Sample
from .spec import Spec
from .targets import Target, targets
from .worker import Job, Live, Row

if TYPE_CHECKING:
    import pandas as pd

FLUSHED = 2.0  # seconds after which what has come is written, which is what a process that is killed loses
_LAST = ("embedding", "head")  # roles: the largest tensors, so that others do not wait for them
_FROM = ("token", "cache_dir", "root")


class Options(TypedDict, total=False):
    """What `sweep` takes beside the model and the schemes.

    tensors: regular expression that names must match somewhere.  roles: of `checkpoints.names.roles.ROLES`.
    importance: path of an imatrix or of activations.  sample: "1%" or a number of weights of each tensor.
    calibration: path of calibrations, as `quantviz.calibrate` saves them, which workers read themselves: adds the
    errors of layers' outputs, and lets solvers look at inputs.
    seed: of the sample.  detail: "metrics" leaves out what needs counting.
    workers: processes of this machine; without, and without a scheduler, threads of this process.
    scheduler: address of a running Dask cluster.  resume: go on with `out` where it stopped.
    budget: bytes that a worker's tensor may take in memory.
    progress: called as progress(weights done, weights in all) on the caller's thread; what it raises ends the sweep.
    token, cache_dir, root: as `open_model` takes them.
    """

    tensors: str | None
    roles: Iterable[str] | None
    importance: str | os.PathLike[str] | None
    calibration: str | os.PathLike[str] | None
    sample: str | int | None
    seed: int
    detail: str
    workers: int | None
    scheduler: str | None
    resume: bool
    budget: int | None
    progress: Callable[[int, int], object] | None
    token: str | bool | None
    cache_dir: str | os.PathLike[str] | None
    root: str | os.PathLike[str] | None


def sweep(
    ref: str | os.PathLike[str],
    schemes: Iterable[str | Scheme],
    out: str | os.PathLike[str] | None = None,
    **options: Unpack[Options],
) -> Iterator[pd.DataFrame]:
    """Every weight matrix of a model under every scheme: the rows of each tensor as they come (`frame.COLUMNS`).

    out: a folder that keeps them, each part complete or absent; with `resume`, what it has comes first, in one frame.
    A tensor or a scheme that cannot be measured has rows that say why. The model is opened and everything is checked
    when this is called, before the first frame is asked for. Whoever stops early closes the iterator.
    Raises QuantvizError for whatever is wrong with the input, and where the source changes meanwhile.

    >>> frames = list(sweep("demo", ["int8-sym-b32"], tensors="layers.0.self_attn.k", detail="metrics"))
    >>> [(frame.tensor[0], round(float(frame.sqnr_db[0]), 1)) for frame in frames]
    [('model.layers.0.self_attn.k_proj.weight', 45.4)]
    """
    if unknown := set(options) - set(Options.__annotations__):
        raise TypeError(f"sweep() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    plan = _planned(os.fspath(ref), schemes, options)
    return _rows(plan, None if out is None else Path(out), bool(options.get("resume")))


@dataclass(frozen=True, eq=False)
class _Plan:
    """A sweep whose input was found right."""

    spec: Spec
    model: Model
    targets: list[Target]
    job: Job
    importance: Importance | Inputs | None
    progress: Callable[[int, int], object]
    workers: int | None
    scheduler: str | None


def _planned(ref: str, keys: Iterable[str | Scheme], options: Options) -> _Plan:
    schemes = tuple(scheme.key for scheme in distinct(keys))
    detail, seed = options.get("detail") or "full", options.get("seed") or 0
    workers, scheduler = options.get("workers"), options.get("scheduler")
    if detail not in DETAILS:
        raise QuantvizError(f"There is no detail {detail!r}; choose {' or '.join(DETAILS)}.")
    if workers is not None and not 1 <= workers <= 1024:
        raise QuantvizError(f"A sweep takes from 1 to 1,024 workers, not {workers:,}.")
    if workers and scheduler:
        raise QuantvizError("Give either a number of workers on this machine or the address of a scheduler.")
    where = {name: options[name] for name in _FROM if options.get(name) is not None}
    if scheduler and isinstance(where.get("token"), str):
        raise QuantvizError("A token does not travel to the workers of a cluster; set HF_TOKEN where they run.")
    sample = None if options.get("sample") is None else Sample.parse(options["sample"], seed)
    importance = _given(options)
    model = open_model(ref, **where)
    pattern, roles = options.get("tensors") or "", tuple(dict.fromkeys(options.get("roles") or ()))
    found = sorted(targets(model, pattern, roles), key=lambda target: target.role in _LAST)
    revision = model.revision or model.ref
    spec = Spec(
        model.ref, revision, schemes, pattern, roles, _as_text(sample), seed,
        importance.digest if importance else "", detail, __version__,
    )  # fmt: skip
    job = Job(
        uuid.uuid4().hex, _anywhere(model), model.ref, revision, __version__, schemes, detail,
        _budget(options.get("budget"), workers), sample, tuple(where.items()), engine.threads_of(workers),
    )  # fmt: skip
    progress = options.get("progress") or (lambda done, total: None)
    return _Plan(spec, model, found, job, importance, progress, workers, scheduler)


def _given(options: Options) -> Importance | Inputs | None:
    if not options.get("calibration"):
        return Importance(options["importance"]) if options.get("importance") else None
    if options.get("importance"):
        raise QuantvizError("Give either importance or a calibration, which holds it too.")
    if options.get("sample") is not None:
        raise QuantvizError("Give either a sample or a calibration, which takes all rows of a tensor.")
    return Inputs(options["calibration"])


def _as_text(sample: Sample | None) -> str:
    """One text for one sample, however it was written."""
    if sample is None:
        return ""
    return str(sample.weights) if sample.share is None else f"{100 * sample.share:.12g}%"


def _anywhere(model: Model) -> str:
    """The reference for workers, which may run in another folder."""
    path = home_path(model.ref)
    is_path = model.ref != "demo" and os.path.lexists(path)
    return os.path.abspath(path) if is_path else model.pinned


def _budget(given: int | None, workers: int | None) -> int | None:
    """Bytes of one worker; None where each finds out what its machine has."""
    if given is not None and given <= 0:
        raise QuantvizError(f"The memory budget is {given:,} bytes; give some above 0.")
    return default_budget() // workers if given is None and workers else given


# -- rows ------------------------------------------------------------------------------------------


def _rows(plan: _Plan, out: Path | None, resume: bool) -> Iterator[pd.DataFrame]:
    dataset = None
    if out is not None:
        names = [target.name for target in plan.targets]
        dataset = (Dataset.resume if resume else Dataset.create)(out, plan.spec, names)
    with contextlib.closing(dataset) if dataset else contextlib.nullcontext():
        left = plan.targets
        if dataset and len(kept := dataset.rows()):
            have = set(kept["tensor"].to_pylist())
            left = [target for target in plan.targets if target.name not in have]
            yield as_frame(kept)
        counter = _Counter(plan, left)
        counter.tell()
        if left:
            yield from _measured(plan, left, dataset, counter)


def _measured(plan: _Plan, left: list[Target], dataset: Dataset | None, counter: _Counter) -> Iterator[pd.DataFrame]:
    """The rows of what is left, written in parts of some seconds' work."""
    waiting: list[Row] = []
    written = time.monotonic()
    items = ((target, *(plan.importance.of(target) if plan.importance else (None, ()))) for target in left)
    live = worker.LIVE[plan.job.run] = counter.live
    worker.give(plan.job, plan.model)
    try:
        with engine.connected(plan.workers, plan.scheduler, plan.job.sample is not None) as client:
            try:
                with contextlib.closing(engine.results(client, plan.job, items, counter.tell)) as results:
                    for target, rows in results:
                        waiting += rows
                        counter.add(target)
                        if dataset and time.monotonic() - written >= FLUSHED:
                            dataset.append(waiting)
                            waiting, written = [], time.monotonic()
                        yield as_frame(as_table(rows))
            finally:
                live.stopped = True  # before the cluster is closed, which waits for what runs
    finally:
        worker.LIVE.pop(plan.job.run, None)
        if dataset and waiting:
            dataset.append(waiting)


class _Counter:
    """How many weights are done, those of tensors at hand included."""

    def __init__(self, plan: _Plan, left: list[Target]) -> None:
        self.live = Live()
        self._progress = plan.progress
        self._weights = {target.name: target.weights for target in left}
        self._all = sum(target.weights for target in plan.targets)
        self._done = self._told = self._all - sum(self._weights.values())

    def add(self, target: Target) -> None:
        self.live.forget(target.name)
        self._done += target.weights
        self.tell()

    def tell(self) -> None:
        partly = sum(share * self._weights[name] for name, share in self.live.shares().items())
        self._told = max(
            self._told, min(self._done + int(partly), self._all)
        )  # of what is tried again, nothing is lost
        self._progress(self._told, self._all)
