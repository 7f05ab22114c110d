"""quantviz: what quantization does to the weights of a model, exact to the last bit.

>>> import numpy as np, quantviz as qv
>>> w = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
>>> round(qv.evaluate(w, "int4-sym-b32").metrics["sqnr_db"], 1)
20.2

Everything heavy (torch, numba) is imported at first use, not here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Public name -> the module that defines it.
_PUBLIC = {
    "Scheme": ".schemes",
    "catalogue": ".schemes",
    "quantize": ".calibration.quantizing",
    "dequantize": ".kernels",
    "Quantized": ".kernels.results",
    "Evaluation": ".evaluation",
    "evaluate": ".evaluation",
    "describe": ".evaluation",
    "expected_errors": ".evaluation.predicted",
    "optimal_scalar": ".evaluation.limits",
    "gptq_story": ".calibration.gptq_story",
    "layer_output": ".evaluation.layer_output",
    "compare": ".evaluation.comparison",
    "compare_tensors": ".sweep.several",
    "evaluations": ".evaluation.comparison",
    "tabulate": ".evaluation.comparison",
    "best": ".evaluation.comparison",
    "inspect_block": ".inspection",
    "METRICS": ".metrics",
    "open_model": ".models",
    "Calibration": ".calibration.layer",
    "Calibrations": ".calibration.files",
    "load_calibration": ".calibration.files",
    "calibrate": ".quality.model.calibrating",
    "synthetic_inputs": ".calibration.synthetic",
    "load_importance": ".calibration.importance",
    "measure_quality": ".quality.measure",
    "Calibrating": ".quality.data",
    "quality_table": ".quality.tables",
    "quality_verdicts": ".quality.verdicts",
    "load_sensitivity": ".sensitivity.dataset",
    "load_sweep": ".sweep.reading",
    "plan": ".planner",
    "recipe": ".planner",
    "QuantvizError": ".errors",
}
# What holds more names than stand above: `qv.formats.get`, `qv.figures.weights`.
_MODULES = ("figures", "formats", "outliers", "planner", "published", "sensitivity", "sweep", "throughput")
__all__ = [*_PUBLIC, *_MODULES]
__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import figures, formats, outliers, planner, published, sensitivity, sweep, throughput
    from .calibration.files import Calibrations, load_calibration
    from .calibration.gptq_story import gptq_story
    from .calibration.importance import load_importance
    from .calibration.layer import Calibration
    from .calibration.quantizing import quantize
    from .calibration.synthetic import synthetic_inputs
    from .errors import QuantvizError
    from .evaluation import Evaluation, describe, evaluate
    from .evaluation.comparison import best, compare, evaluations, tabulate
    from .evaluation.layer_output import layer_output
    from .evaluation.limits import optimal_scalar
    from .evaluation.predicted import expected_errors
    from .inspection import inspect_block
    from .kernels import dequantize
    from .kernels.results import Quantized
    from .metrics import METRICS
    from .models import open_model
    from .planner import plan, recipe
    from .quality.data import Calibrating
    from .quality.measure import measure_quality
    from .quality.model.calibrating import calibrate
    from .quality.tables import quality_table
    from .quality.verdicts import quality_verdicts
    from .schemes import Scheme, catalogue
    from .sensitivity.dataset import load_sensitivity
    from .sweep.reading import load_sweep
    from .sweep.several import compare_tensors


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
