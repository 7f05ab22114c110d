"""Frames with the columns of a sweep, measured on the demo model or made up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import quantviz as qv
from quantviz import metrics
from quantviz.checkpoints.names.roles import role
from quantviz.errors import QuantvizError
from quantviz.kernels.engines import verbs
from quantviz.schemes import Scheme

_LAYER = re.compile(r"\.layers\.([0-9]+)\.")
_EXPERT = re.compile(r"experts\.([0-9]+)\.|\[([0-9]+)\]$")
STORED = {"bfloat16": 16, "float16": 16, "float32": 32}


def row(
    name: str, shape: tuple[int, int], scheme: str, squared_error: float, stored_as: str = "bfloat16", **others: Any
) -> dict[str, Any]:
    """A row with what the planner reads; `others` replace or add columns."""
    layer, expert = _LAYER.search(name), _EXPERT.search(name)
    weights = shape[0] * shape[1]
    try:
        bits = float(Scheme.parse(scheme).bits_stored(shape))
    except QuantvizError:
        bits = float("nan")
    return {
        "tensor": name, "role": role(name.partition("[")[0]), "layer": int(layer[1]) if layer else None,
        "expert": int(expert[1] or expert[2]) if expert else None, "rows": shape[0], "cols": shape[1],
        "weights": weights, "stored_as": stored_as, "stored_bits": STORED[stored_as], "scheme": scheme,
        "squared": float(weights), "squared_error": squared_error, "weighted_squared_error": float("nan"),
        "importance": float("nan"), "bits": bits, "share": 1.0, "notices": "", "refused": "", "seconds": 0.0,
        "engine": "cpu", "version": "", "ref": "demo", "revision": "",
    } | others  # fmt: skip


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).astype({"layer": "Int64", "expert": "Int64"})


def made_up(tensors: Mapping[str, tuple[int, int]], schemes: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Errors that halve by the bit, and differ between tensors."""
    rng = np.random.default_rng(seed)
    harm = {name: 10 ** rng.normal(0, 1) for name in tensors}
    return frame_of(
        row(name, shape, s, shape[0] * shape[1] * harm[name] * 4.0 ** -Scheme.parse(s).fmt.bits * rng.uniform(0.5, 2))
        for name, shape in tensors.items()
        for s in schemes
    )


@cache
def demo(schemes: tuple[str, ...]) -> pd.DataFrame:
    """The demo model's matrices, the embedding among them, under each scheme."""
    model = qv.open_model("demo")
    names = [info.name for info in model.tensors if len(info.shape) == 2]
    return frame_of(measured(name, model.open(name), s) for name in names for s in schemes)


def measured(name: str, w: Any, scheme: str, importance: np.ndarray | None = None) -> dict[str, Any]:
    cpu = verbs("cpu")
    stored = cpu.take(w)
    sums = cpu.measure(stored, Scheme.parse(scheme), None, importance, None, None).sums
    weighted = {} if importance is None else {
        "weighted_squared_error": sums.weighted_squared_error, "importance": sums.importance
    }  # fmt: skip
    made = row(
        name, (stored.rows, stored.cols), Scheme.parse(scheme).key, sums.squared_error, stored.stored_as,
        squared=sums.squared, **weighted,
    )  # fmt: skip
    return made | metrics.from_sums(sums)
