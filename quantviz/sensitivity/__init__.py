"""The dear grade of damage: what a model's own predictions lose when one part of it alone is quantized.

>>> import quantviz as qv
>>> frames = qv.sensitivity("demo", "int4-sym-b32", "role", tokens=64, context=32, targets=["down_proj"])
>>> [(row.unit, row.tensors, row.kl_mean > 0) for frame in frames for row in frame.itertuples()]
[('mlp down', 4, True)]

The folder has the name of what it does, so it can be called: `qv.sensitivity(…)`, beside `qv.sensitivity.additivity`.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .additivity import Additivity, additivity
from .agreement import GRADES, Agreement, agreement
from .dataset import Sensitivity, Spec, load_sensitivity
from .frame import COLUMNS
from .measure import TARGETS, sensitivity
from .units import BY

__all__ = [
    "BY", "COLUMNS", "GRADES", "TARGETS", "Additivity", "Agreement", "Sensitivity", "Spec", "additivity", "agreement",
    "load_sensitivity", "sensitivity",
]  # fmt: skip


class _Called(ModuleType):
    """A module that can be called; Python sets a folder's name on its package whatever else had that name."""

    def __call__(self, *given: Any, **named: Any) -> Iterator[Any]:
        return sensitivity(*given, **named)


_Called.__call__.__doc__ = sensitivity.__doc__
sys.modules[__name__].__class__ = _Called
