"""What a worker does with a tensor: it opens the source itself, and gives the rows of the table."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import __version__
from ..errors import QuantvizError
from ..kernels.cpu import workers
from ..models import open_model
from ..schemes import Scheme
from ..sources import Model
from .bands import measure
from .frame import SUMS
from .given import Fed
from .results import Measured, Refusal
from .targets import Target

Row = dict[str, Any]
_MODELS_KEPT = 2  # open models of a worker
_TOO_LITTLE = "This takes more memory than there is; sweep with a smaller budget or fewer workers."


@dataclass(frozen=True)
class Job:
    """What all tensors of a sweep share, as it travels to workers.

    run: names the sweep.  ref: opens the source at its revision.  shown: the reference as it was asked for.
    where: (name, value) of what else `open_model` takes.  threads: of this worker's kernels; 0 for all processors.
    """

    run: str
    ref: str
    shown: str
    revision: str
    version: str
    schemes: tuple[str, ...]
    detail: str
    budget: int | None
    sample: Any = None
    where: tuple[tuple[str, Any], ...] = ()
    threads: int = 0


@dataclass(frozen=True)
class Ended:
    """The sweep cannot go on, and why."""

    reason: str


class Live:
    """How far a sweep is, for workers that are threads of the process that asked for it."""

    def __init__(self) -> None:
        self._parts: dict[str, float] = {}
        self.stopped = False

    def note(self, name: str, share: float) -> None:
        """What raises stops the work."""
        if self.stopped:
            raise _Stopped
        self._parts[name] = share

    def forget(self, name: str) -> None:
        self._parts.pop(name, None)

    def shares(self) -> dict[str, float]:
        """Share of each tensor at hand that is done."""
        return dict(self._parts)


class _Stopped(Exception):
    pass


LIVE: dict[str, Live] = {}  # by the sweep's name; only where it is watched from this process


@dataclass
class _Models:
    """The models that this process has open, the last ones used."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: OrderedDict[Any, Model] = field(default_factory=OrderedDict)

    def get(self, job: Job, anew: bool = False) -> Model:
        """Raises QuantvizError where it cannot be opened, or is not at the job's revision."""
        key = _key(job)
        with self.lock:
            model = self.kept.pop(key, None)
            if model is None or anew:
                model = open_model(job.ref, **dict(job.where))
                if (model.revision or model.ref) != job.revision:
                    raise QuantvizError(
                        f"{job.shown} is no longer what it was when the sweep began: its revision is "
                        f"{model.revision or model.ref}, and was {job.revision}; sweep it anew."
                    )
            self._keep(key, model)
        return model

    def give(self, job: Job, model: Model) -> None:
        with self.lock:
            self._keep(_key(job), model)

    def _keep(self, key: Any, model: Model) -> None:
        self.kept[key] = model
        while len(self.kept) > _MODELS_KEPT:
            self.kept.popitem(last=False)


def _key(job: Job) -> tuple:
    return job.ref, job.revision, job.where


_MODELS = _Models()
give = _MODELS.give  # so that a model that is open already is not opened again
_COMPUTING = threading.Lock()  # one tensor at a time, on all processors; meanwhile the next one is fetched


def version() -> str:
    """Of the quantviz that a worker has."""
    return __version__


def run(job: Job, target: Target, importance: Any = None, notices: tuple[str, ...] = ()) -> list[Row] | Ended:
    """The rows of one tensor under every scheme of the job, or why the whole sweep must end.

    What is wrong with the tensor is a row that says so; where the source is gone or another than it was, no row that
    would be kept can be right.
    """
    if job.version != __version__:
        return Ended(f"A worker has quantviz {__version__}, and this is {job.version}; install the same on all.")
    if target.refused:
        return refusals(job, target, target.refused)
    if job.threads:
        workers.THREADS = job.threads
    live = LIVE.get(job.run)
    try:
        outcomes = _measured(job, target, importance, live)
    except _Stopped:
        return Ended("The sweep was stopped.")
    except _Gone as problem:
        return Ended(str(problem))
    except MemoryError:
        outcomes = [Refusal(key, _TOO_LITTLE) for key in job.schemes]
    return [
        _refused(job, target, found) if isinstance(found, Refusal) else _row(job, target, found, notices)
        for found in outcomes
    ]


def refusals(job: Job, target: Target, reason: str) -> list[Row]:
    """The rows of a tensor that no scheme could be measured on."""
    return [_refused(job, target, Refusal(key, reason)) for key in job.schemes]


class _Gone(Exception):
    """The source cannot be opened as it was."""


def _measured(job: Job, target: Target, importance: Any, live: Live | None) -> list[Measured | Refusal]:
    """Tried a second time where the source may have been at fault, if it is still what it was."""
    outcomes: list[Measured | Refusal] = []
    fits = _fitting(job, target, importance)
    for again in (False, True):
        try:
            model = _MODELS.get(job, again)
        except QuantvizError as problem:
            raise _Gone(str(problem)) from None
        try:
            outcomes = list(_measure(job, model, target, importance, live))
        except QuantvizError as problem:
            outcomes = [Refusal(key, str(problem)) for key in job.schemes]
        if not any(isinstance(found, Refusal) and found.scheme in fits for found in outcomes):
            break
    return outcomes


def _fitting(job: Job, target: Target, importance: Any) -> set[str]:
    """The schemes that nothing known beforehand speaks against."""
    found = set()
    for key in job.schemes:
        scheme = Scheme.parse(key)
        try:
            scheme.check_shape(*target.shape)
            scheme.check_importance_given(importance is not None, isinstance(importance, Fed))
        except QuantvizError:
            continue
        found.add(key)
    return found


def _measure(
    job: Job, model: Model, target: Target, importance: Any, live: Live | None
) -> Iterator[Measured | Refusal]:
    first = target.rows[0] if target.rows else 0

    def told(done: int, total: int) -> None:
        if live:
            live.note(target.name, done / total)

    def fetched(done: int, total: int) -> None:
        if live:
            live.note(target.name, 0.0)

    def rows(start: int, stop: int) -> Any:
        return model.open(target.tensor, (first + start, first + stop), fetched)

    if job.sample is None:
        whole = rows(0, target.shape[0])  # bytes of a Hub model travel here, while another tensor is computed

        def rows(start: int, stop: int) -> Any:
            return whole if (start, stop) == (0, target.shape[0]) else whole.row_range(start, stop)

    with _COMPUTING if job.sample is None else nullcontext():
        fetched(0, 0)  # may have been stopped while it waited
        sample = None if job.sample is None else job.sample.of(target.name)
        yield from measure(
            rows, target.shape, job.schemes, importance, job.detail, job.budget, sample, progress=told
        )  # fmt: skip


def _common(job: Job, target: Target, scheme: str) -> Row:
    rows, cols = target.shape
    return {
        "tensor": target.name, "role": target.role, "layer": target.layer, "expert": target.expert, "rows": rows,
        "cols": cols, "weights": target.weights, "stored_as": target.stored_as, "stored_bits": target.stored_bits,
        "scheme": scheme, "notices": "", "refused": "", "engine": "", "version": job.version, "ref": job.shown,
        "revision": job.revision,
    }  # fmt: skip


def _refused(job: Job, target: Target, found: Refusal) -> Row:
    return {**_common(job, target, found.scheme), "refused": found.reason}


def _row(job: Job, target: Target, found: Measured, notices: tuple[str, ...]) -> Row:
    sums = asdict(found.sums)
    return {
        **_common(job, target, found.scheme), **found.metrics,
        **{f"se_{name}": error for name, error in found.errors.items()}, **{name: sums[name] for name in SUMS},
        "bits": float(Scheme.parse(found.scheme).bits_stored(target.shape)), "share": found.share,
        "notices": "\n".join(dict.fromkeys((*notices, *found.notices))), "seconds": found.seconds,
        "engine": found.engine,
    }  # fmt: skip
