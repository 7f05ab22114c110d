"""Error against block size, and against the magnitude of outliers.

>>> w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
>>> [p.scheme for p in block_size_sweep(w, 4, ("sym",), ("channel", "b64"))]
['int4-sym-channel', 'int4-sym-b64']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..evaluation import describe, evaluate
from ..schemes import GRANULARITIES, Scheme
from ..statistics import TensorStatistics
from ..tensors import StoredTensor, as_stored
from .edits import Injection, Removal, apply

MAGNITUDES = (3.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # in σ
MAGNITUDE_GRANULARITIES = ("tensor", "channel", "b256", "b64", "b16")
OUTLIER_SHARE = 0.001
CLEAN_SIGMAS = 6.0  # outliers that a tensor has beyond this are taken out before others are put in
SAMPLE = 1 << 21  # weights; of a larger tensor, rows spread over it are taken

Step = Callable[[int, int, str], None]  # (schemes done, schemes in all, key of the next); raising stops the work


@dataclass(frozen=True)
class Point:
    """A tensor under one scheme. metrics is empty, and reason says why, where the scheme does not apply."""

    scheme: str
    granularity: str
    symmetry: str
    metrics: dict[str, float]
    reason: str = ""


def block_size_sweep(
    w: Any,
    format_bits: int = 4,
    symmetries: Sequence[str] = ("sym", "asym"),
    granularities: Sequence[str] = GRANULARITIES,
    statistics: TensorStatistics | None = None,
    step: Step | None = None,
    device: str = "cpu",
) -> list[Point]:
    """Moment metrics of integer schemes, for every symmetry and granularity, coarse to fine within a symmetry.

    format_bits: 1 to 8.  statistics: of `w`, if known.  device: the engine, as `evaluate` has it.
    A block longer than a row, which only repeats "channel", gives a point with its reason. Raises QuantvizError for
    other bad input.
    """
    stored = as_stored(w)
    statistics = statistics or describe(stored)
    keys = [(f"int{format_bits}-{s}-{g}", g, s) for s in symmetries for g in granularities]
    points = []
    for i, (key, granularity, symmetry) in enumerate(keys):
        if step:
            step(i, len(keys), key)
        scheme = Scheme.parse(key)
        if reason := left_out(scheme, stored):
            points.append(Point(scheme.key, granularity, symmetry, {}, reason))
            continue
        found = evaluate(stored, scheme, device=device, detail="metrics", statistics=statistics)
        points.append(Point(found.scheme, granularity, symmetry, found.metrics))
    return points


@dataclass(frozen=True, eq=False)
class MagnitudeSweep:
    """Error against the magnitude of injected outliers.

    rmse: float64 [schemes, magnitudes], root mean squared error in σ of the tensor without outliers.
    baseline: float64 [schemes], the same before anything is injected.
    weights: of the sample; rows of it.  removed: outliers of the tensor's own, set to zero first.
    count: outliers injected, spread.
    """

    schemes: tuple[str, ...]
    magnitudes: tuple[float, ...]
    rmse: np.ndarray
    baseline: np.ndarray
    count: int
    weights: int
    rows: int
    of_rows: int
    removed: int
    reasons: dict[str, str]

    @property
    def sampled(self) -> bool:
        """Whether rows were left out."""
        return self.rows < self.of_rows


@dataclass(frozen=True)
class Growing:
    """The outliers of a magnitude sweep: `share` of the weights, at the same places of `seed` for each magnitude."""

    magnitudes: tuple[float, ...] = MAGNITUDES
    share: float = OUTLIER_SHARE
    seed: int = 0


def magnitude_sweep(
    w: Any,
    format_bits: int = 4,
    symmetry: str = "sym",
    granularities: Sequence[str] = MAGNITUDE_GRANULARITIES,
    outliers: Growing = Growing(),  # noqa: B008  (frozen)
    sample: int = SAMPLE,
    step: Step | None = None,
    device: str = "cpu",
) -> MagnitudeSweep:
    """Injects outliers of growing magnitude and measures the error that each granularity makes of them.

    Outliers that the tensor has beyond CLEAN_SIGMAS are zeroed first, so that the injected ones are the largest;
    σ is that of the tensor without them.  sample: weights looked at, at most; rows spread evenly over the tensor.
    device: the engine, as `evaluate` has it.
    """
    part = row_sample(as_stored(w), sample)
    first = describe(part)
    clean = apply(part, Removal(CLEAN_SIGMAS), first) if first.crest_factor > CLEAN_SIGMAS else part
    statistics = describe(clean) if clean is not part else first
    if not statistics.std:
        raise QuantvizError("All weights are equal but for outliers, so σ is 0 and outliers have no size.")
    schemes, reasons = _applicable([f"int{format_bits}-{symmetry}-{g}" for g in granularities], part)
    magnitudes, count = outliers.magnitudes, max(1, round(outliers.share * clean.size))
    total, done = len(schemes) * (len(magnitudes) + 1), 0
    columns = []
    for magnitude in (None, *magnitudes):
        edited, known = clean, statistics
        if magnitude is not None:
            edited = apply(clean, Injection(count, magnitude, seed=outliers.seed), statistics)
            known = describe(edited)
        column = []
        for scheme in schemes:
            if step:
                step(done, total, scheme.key)
            done += 1
            found = evaluate(edited, scheme, device=device, detail="metrics", statistics=known)
            column.append(found.metrics["rmse"] / statistics.std)
        columns.append(column)
    table = np.array(columns, np.float64).T.reshape(len(schemes), -1)
    return MagnitudeSweep(
        tuple(s.key for s in schemes), tuple(float(m) for m in magnitudes), table[:, 1:], table[:, 0], count,
        clean.size, clean.rows, as_stored(w).rows, statistics.zeros - first.zeros, reasons,
    )  # fmt: skip


def row_sample(stored: StoredTensor, weights: int) -> StoredTensor:
    """The tensor itself, or rows spread evenly over it, about `weights` weights together, as float32."""
    rows = max(1, weights // stored.cols)
    if rows >= stored.rows:
        return stored
    picks = np.linspace(0, stored.rows - 1, rows).astype(np.int64)
    data = np.concatenate([stored.read(r * stored.cols, (r + 1) * stored.cols) for r in picks])
    return StoredTensor(data, "float32", (rows, stored.cols), stored.name)


def _applicable(keys: Sequence[str], stored: StoredTensor) -> tuple[list[Scheme], dict[str, str]]:
    schemes, reasons = [], {}
    for key in keys:
        scheme = Scheme.parse(key)
        if reason := left_out(scheme, stored):
            reasons[scheme.key] = reason
        else:
            schemes.append(scheme)
    return schemes, reasons


def left_out(scheme: Scheme, stored: StoredTensor) -> str:
    """Why a block size is left out: it does not apply, or is longer than a row and so repeats "channel"; "" else."""
    try:
        scheme.check_shape(stored.rows, stored.cols)
    except QuantvizError as reason:
        return str(reason)
    longer = scheme.granularity is not None and scheme.granularity.rows == 1
    said = scheme.shape_notices(stored.rows, stored.cols) if longer else ()
    return f"{said[0].removesuffix('.')}, as with one scale a channel." if said else ""
