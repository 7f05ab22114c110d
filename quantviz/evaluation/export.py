"""An evaluation as data for other programs: a JSON-ready dictionary, and its metrics as a table."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

import numpy as np

from ..metrics import METRICS
from ..statistics import TensorStatistics
from ..text.plain import plain
from .tensor import Evaluation

BlockErrors = Literal["summary", "full", "none"]


def evaluation_dict(evaluation: Evaluation, block_errors: BlockErrors = "summary") -> dict[str, Any]:
    """Everything an evaluation holds, JSON-ready.

    block_errors: "summary" gives the grid's shape, smallest, mean, median and largest error; "full" adds
    "values", a list a grid row; "none" leaves them out. What detail="metrics" did not compute is None.
    """
    e = evaluation
    return plain(
        {
            "scheme": e.scheme,
            "shape": e.shape,
            "dtype": e.dtype,
            "engine": e.engine,
            "seconds": e.seconds,
            "metrics": e.metrics,
            "percentile_resolution": e.percentile_resolution,
            "notices": e.notices,
            "statistics": e.statistics and _statistics(e.statistics),
            "histograms": e.histograms and {name: vars(h) for name, h in e.histograms.items()},
            "code_counts": e.code_counts,
            "block_errors": None if e.block_errors is None else _block_errors(e.block_errors, block_errors),
        }
    )


def _statistics(s: TensorStatistics) -> dict[str, Any]:
    """All but the histogram, which an evaluation gives as "original"."""
    stored = {f.name: getattr(s, f.name) for f in fields(s) if f.name != "histogram"}
    return stored | {"max_abs": s.max_abs, "crest_factor": s.crest_factor, "incoherence": s.incoherence}


def _block_errors(errors: np.ndarray, how: BlockErrors) -> dict[str, Any] | None:
    if how == "none":
        return None
    summary = {"shape": errors.shape, "min": errors.min(), "mean": errors.mean(dtype=np.float64),
               "median": np.median(errors), "max": errors.max()}  # fmt: skip
    return summary | ({"values": errors} if how == "full" else {})


def metrics_table(evaluation: Evaluation) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The metrics as a table: its heading, and a row a metric with its value, unit and direction."""
    declared = [(METRICS[name], value) for name, value in evaluation.metrics.items()]
    return ("metric", "value", "unit", "direction"), [(m.name, float(v), m.unit, m.direction) for m, v in declared]
