"""The calls into quantviz that pages make, each kept by what it depends on and never by a tensor.

Kept here rather than with st.cache_data: results are frozen and shared, not copied at every rerun; limits are in
bytes; and background jobs fill the same caches.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import quantviz as qv
from quantviz import figures, outliers
from quantviz.calibration.gptq_story import Story, prepared, told
from quantviz.calibration.importance import importance_names, load_importance, of_rows
from quantviz.calibration.problem import Problem
from quantviz.evaluation import Evaluation, default_engine
from quantviz.evaluation.comparison import part_of
from quantviz.evaluation.layer_output import LayerOutput
from quantviz.evaluation.limits import ScalarQuantizer, optimal_scalar
from quantviz.evaluation.predicted import expected_errors
from quantviz.inspection import Block
from quantviz.schemes import Scheme
from quantviz.sources import Model, TensorInfo
from quantviz.sources.files import home_path
from quantviz.sources.picture import PREFIX
from quantviz.statistics import TensorStatistics
from quantviz.sweep.glance import glance as some_rows
from quantviz.tensors import StoredTensor
from quantviz.text.wording import size

from ..selection import Importance, ModelRef, TensorPart
from . import jobs
from .bounded import BoundedCache
from .imports import HUB, import_each
from .jobs import Job

MEMORY = 4 << 30  # bytes of tensors that are kept; those of files and the Hub cost no memory, but an open file
LARGEST_RANDOM = 2 << 30  # bytes of a random tensor, which has to be in memory whole
MODEL_LIFETIME = 600  # seconds until a Hub repository is asked again what it holds
MADE_UP = "random:", "values:"  # references that say all there is to the weights
_SALT = secrets.token_bytes(16)


def source_of(ref: str, opens: str, root: str | None, token: str | bool | None) -> ModelRef:
    if opens.startswith(MADE_UP) or opens.strip() == PREFIX:
        return ModelRef(ref, opens)
    if opens.startswith("hf:"):
        visitor = hashlib.blake2b(str(token).encode(), key=_SALT, digest_size=8).hexdigest()
        return ModelRef(ref, opens, None, str(int(time.time() // MODEL_LIFETIME)), visitor)
    try:
        path = opens.removeprefix(PREFIX).strip() if opens.startswith(PREFIX) else opens
        facts = (Path(root, path) if root else home_path(path)).stat()
        return ModelRef(ref, opens, root, f"{facts.st_mtime_ns}-{facts.st_size}")
    except (OSError, ValueError):
        return ModelRef(ref, opens, root)  # opening it reports the error


def _evaluation_bytes(e: Evaluation) -> int:
    counted = 0 if e.code_counts is None else e.code_counts.nbytes
    return e.block_errors.nbytes + counted + (1 << 16)


_models: BoundedCache[Model] = BoundedCache(200, lambda _: 1)
_made_up: BoundedCache[Model] = BoundedCache(200, lambda _: 1, had_again=True)
_tensors: BoundedCache[StoredTensor] = BoundedCache(
    MEMORY, lambda t: max(t.nbytes, MEMORY >> 8), had_again=True
)  # so, at most 256 open files
_glances: BoundedCache[StoredTensor] = BoundedCache(64 << 20, lambda t: t.data.nbytes, had_again=True)
_statistics: BoundedCache[TensorStatistics] = BoundedCache(1000, lambda _: 1, had_again=True)
_evaluations: BoundedCache[Evaluation] = BoundedCache(512 << 20, _evaluation_bytes, had_again=True)
_predictions: BoundedCache[tuple] = BoundedCache(1000, lambda _: 1, had_again=True)
_problems: BoundedCache[Problem] = BoundedCache(
    512 << 20, lambda given: given.weights.nbytes + given.u.nbytes, had_again=True
)
# Without the errors of each block, which grow with the tensor, so that hundreds of schemes fit.
_compared: BoundedCache[Evaluation] = BoundedCache(
    256 << 20, lambda e: (1 << 16) + (0 if e.code_counts is None else e.code_counts.nbytes), had_again=True
)
_pairs: BoundedCache[tuple] = BoundedCache(
    256 << 20, lambda pair: sum(weights.nbytes for weights in pair), had_again=True
)
_optima: BoundedCache[list[ScalarQuantizer]] = BoundedCache(1000, lambda _: 1, had_again=True)


def opened(source: ModelRef) -> Model | None:
    """The model, if it was opened before; where the reference says all there is to it, it is opened here."""
    if source.opens.startswith(MADE_UP):
        return _made_up.get(source, lambda: qv.open_model(source.opens))
    return _models.peek(source)


def open_model(source: ModelRef, token: str | bool | None, job: Job) -> Model:
    """The model, opened if need be. The token goes no further than to the Hub."""
    job.step("reading the list of tensors", "B")
    if source.opens.startswith("hf:"):
        import_each(*HUB)
    return _models.get(source, lambda: qv.open_model(source.opens, token=token, root=source.root))


def opening(source: ModelRef, token: str | bool | None, kind: str | None = None) -> Model | None:
    """The model; None, with progress on the page, while it is opened. kind: see `jobs.start`."""
    return opened(source) or jobs.result(
        ("model", source), f"Opening {source.ref}", lambda job: open_model(source, token, job), kind=kind
    )


def _model(source: ModelRef) -> Model:
    model = opened(source)
    if model is None:
        raise qv.QuantvizError(f"{source.ref} has been closed; load the page again.")
    return model


def _tensor(at: TensorPart, progress: Callable | None = None) -> StoredTensor:
    model = _model(at.source)
    info = model.info(at.tensor)
    start, stop = at.rows or (0, info.rows)
    if at.source.opens.startswith("random:") and 4 * (stop - start) * info.cols > LARGEST_RANDOM:
        raise qv.QuantvizError(
            f"{at.source.ref} takes {size(info.nbytes)} of memory, and this app gives a random tensor "
            f"{size(LARGEST_RANDOM)}; choose fewer rows or columns, or a range of rows."
        )
    if at.edit is None:
        return _tensors.get(at, lambda: model.open(at.tensor, at.rows, progress))
    unedited = replace(at, edit=None)
    before = _tensor(unedited, progress)
    return _tensors.get(at, lambda: outliers.apply(before, at.edit, _statistics_of(unedited, before)))


def _statistics_of(at: TensorPart, stored: StoredTensor, progress: Callable | None = None) -> TensorStatistics:
    return _statistics.get(at, lambda: qv.describe(stored, progress))


def described(at: TensorPart, job: Job) -> tuple[StoredTensor, TensorStatistics]:
    """The tensor and its statistics, reported to `job` step by step."""
    stored = _tensor(at, job.step("loading", "B"))
    return stored, _statistics_of(at, stored, job.step("reading its statistics", "weights"))


def described_apart(at: TensorPart, loading: Callable, reading: Callable) -> tuple[StoredTensor, TensorStatistics]:
    """`described` for one of many tensors: it is not kept open. loading, reading: are told how far that is."""
    stored = _model(at.source).open(at.tensor, at.rows, loading)
    return stored, _statistics_of(at, stored, reading)


def ready(at: TensorPart, key: str, importance: Importance | None = None) -> Evaluation | None:
    """The evaluation, if it was made before."""
    return _evaluations.peek((at, key, importance and importance.digest))


def evaluate(at: TensorPart, key: str, importance: Importance | None, job: Job) -> Evaluation:
    """The full evaluation of a tensor under a scheme, reported to `job` step by step."""
    stored, statistics = described(at, job)
    progress = job.step(f"evaluating {key}", "weights")
    return _evaluations.get(
        (at, key, importance and importance.digest),
        lambda: qv.evaluate(
            stored, key, device=default_engine(), statistics=statistics, progress=progress, **_given(importance)
        ),
    )


def glance(at: TensorPart, key: str, importance: Importance | None = None) -> tuple[Evaluation, float]:
    """The evaluation of some of the tensor's rows, in a moment, and the share of the rows that these are."""
    weighing, model = importance and importance.digest, _model(at.source)
    info = model.info(at.tensor)
    first, end = at.rows or (0, info.rows)

    def read() -> StoredTensor:
        return some_rows(lambda a, b: model.open(at.tensor, (first + a, first + b)), end - first, info.cols)

    few = _glances.get(at, read)
    known = {"importance": importance.values} if importance else {}
    found = _evaluations.get(
        ("glance", at, key, weighing), lambda: qv.evaluate(few, key, device=default_engine(), **known)
    )
    return found, few.rows / (end - first)


def _given(importance: Importance | None) -> dict:
    """What is known of the layer's inputs, as `evaluate` and `quantize` take it."""
    return {"importance": importance.values, "calibration": importance.calibration} if importance else {}


def predicted_errors(at: TensorPart, evaluation: Evaluation, importance: Importance | None = None):
    """What uniform rounding predicts for the bins of the error figure; None where it predicts nothing."""

    def predict() -> tuple:
        edges = figures.error_bins(evaluation)[0]
        scheme = Scheme.parse(evaluation.scheme)
        facts = evaluation.statistics, evaluation.code_counts
        return (expected_errors(_tensor(at), scheme, *facts, edges, importance and importance.values),)

    return _predictions.get((at, evaluation.scheme, importance and importance.digest), predict)[0]


def inspect(
    at: TensorPart, evaluation: Evaluation, row: int, col: int, importance: Importance | None = None,
    around: tuple[int, int] | None = None, quantized: qv.Quantized | None = None,
) -> Block:  # fmt: skip
    return qv.inspect_block(
        _tensor(at), evaluation.scheme, row, col, evaluation.statistics, importance and importance.values, around,
        quantized,
    )  # fmt: skip


def quantized(at: TensorPart, key: str, importance: Importance, job: Job) -> qv.Quantized:
    """What a scheme that looks at data makes of a tensor, reported to `job`."""
    stored = _tensor(at, job.step("loading", "B"))
    return qv.quantize(stored, key, progress=job.step(f"quantizing under {key}", "weights"), **_given(importance))


def gptq_story(at: TensorPart, key: str, importance: Importance, row: int, cols: tuple[int, int], job: Job) -> Story:
    """How GPTQ comes to the codes of some columns of a row, reported to `job`."""
    stored = _tensor(at, job.step("loading", "B"))
    job.step("inverting the inputs' second moment", "weights")
    given = _problems.get(
        (at, key, importance.digest), lambda: prepared(stored, key, importance.calibration, importance.values)
    )
    return told(given, Scheme.parse(key), row, cols, job.step("column by column", "columns"))


def before_and_after(at: TensorPart, key: str, importance: Importance | None = None) -> tuple:
    """A tensor's weights and what a scheme makes of them, both float32 [rows, columns]."""

    def make() -> tuple:
        stored = _tensor(at)
        q = qv.quantize(stored, key, **_given(importance))
        return stored.numpy().reshape(stored.rows, stored.cols), q.dequantize().reshape(stored.rows, stored.cols)

    return _pairs.get((at, key, importance and importance.digest), make)


def layer_output(
    at: TensorPart, key: str, importance: Importance, quantized: qv.Quantized | None, job: Job
) -> LayerOutput:
    """A layer seen from the inputs that its calibration holds, reported to `job`."""
    stored = _tensor(at, job.step("loading", "B"))
    progress = job.step(f"quantizing under {key}", "weights")
    return qv.layer_output(stored, key, importance.calibration, importance.values, progress, quantized)


# -- many schemes ------------------------------------------------------------------------------


def compared(at: TensorPart, key: str, importance: Importance | None) -> Evaluation | None:
    """The evaluation for a comparison, if it was made before; it lacks block_errors."""
    return _compared.peek((at, key, importance and importance.digest))


def compare(at: TensorPart, keys: list[str], importance: Importance | None, job: Job) -> dict[str, Evaluation]:
    """Evaluates the schemes one after the other; `compared` has each as soon as it is made. Gives them by key."""
    stored, statistics = described(at, job)
    progress, made = job.step("", "weights"), {}
    for i, key in enumerate(keys):
        job.name = f"{key}, {i + 1} of {len(keys)}"
        made[key] = compare_one(at, key, importance, stored, statistics, part_of(progress, i, len(keys)))
    return made


def compare_one(
    at: TensorPart, key: str, importance: Importance | None, stored: StoredTensor, statistics: TensorStatistics,
    progress: Callable,
) -> Evaluation:  # fmt: skip
    """What `compared` has from then on."""
    make = partial(_slim, stored, key, importance, statistics, progress)
    return _compared.get((at, key, importance and importance.digest), make)


def _slim(
    stored: StoredTensor, key: str, importance: Importance | None, statistics: TensorStatistics, progress
) -> Evaluation:
    made = qv.evaluate(
        stored, key, device=default_engine(), statistics=statistics, progress=progress, **_given(importance)
    )
    return replace(made, block_errors=None)


def best_scalar(at: TensorPart, statistics: TensorStatistics) -> list[ScalarQuantizer]:
    """The best scalar quantizer of 1 to 8 bits for the tensor's histogram."""
    return _optima.get(at, lambda: optimal_scalar(statistics.histogram))


def importance_of(
    file: str, path: str, entry: str, info: TensorInfo, rows: tuple[int, int] | None = None
) -> Importance:
    """One entry of an uploaded file, kept at `path`, for these rows. Raises QuantvizError for what cannot be used."""
    every = load_importance(path, entry, info.cols)
    values = of_rows(every, info.rows, rows)
    if values.ndim < every.ndim:  # rows of one expert
        entry = f"{entry}[{rows[0] * len(every) // info.rows}]"
    digest = hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()
    return Importance(file, entry if importance_names(path) else "", values, digest)
