"""Quantizing with a calibration: schemes whose solver looks at the layer's inputs, and all others as ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import kernels
from ..kernels.arrays import in_arrays_of
from ..kernels.results import Quantized
from ..schemes import Scheme
from ..schemes.options import DATA_SOLVERS
from ..tensors import StoredTensor, as_stored, check_importance, refuse_non_finite
from ..text.wording import plural
from . import gptq, smoothing
from .layer import Calibration
from .problem import problem

Progress = Callable[[int, int], None]


def quantize(
    w: Any,
    key: str | Scheme,
    importance: Any = None,
    engine: str = "cpu",
    calibration: Calibration | None = None,
    progress: Progress | None = None,
) -> Quantized:
    """Codes, scales and zero points of `w` under a scheme: `quantviz.kernels.quantize`, and what looks at data.

    calibration: the inputs of the layer that `w` is the weights of; solver=gptq, solver=awq and smooth= need one, and
    nothing else takes notice of it. They run on the processor: with engine="reference" GPTQ in plain torch, column by
    column.
    progress: of solvers that look at data, called as progress(weights done, weights in all); what it raises stops them.
    Raises QuantvizError for a calibration of another layer or width, or of the diagonal alone, besides what
    `quantviz.kernels.quantize` raises it for.

    >>> rng = np.random.default_rng(0)
    >>> w, x = (rng.standard_normal((n, 64)).astype(np.float32) @ rng.standard_normal((64, 64)) for n in (32, 512))
    >>> c, key = Calibration.of(x), "int4-sym-b32"
    >>> off = lambda q: float(np.linalg.norm((q.dequantize() - w) @ x.T) / np.linalg.norm(w @ x.T))
    >>> off(quantize(w, key + ":solver=gptq", calibration=c)) < 0.8 * off(quantize(w, key))
    True
    """
    scheme = Scheme.parse(key)
    if not scheme.uses_data:
        return kernels.quantize(w, scheme, importance, engine)
    kernels.check_engine(engine)
    scheme.check_importance_given(importance is not None, calibration is not None)
    stored = as_stored(w)
    q = solve(stored, scheme, calibration, check_importance(importance, stored.cols), engine, progress)
    said = scheme.shape_notices(*q.matrix)
    q = in_arrays_of(w, q.shaped(stored.shape, stored.input_axes))
    return replace(q, notices=(*said, *q.notices))


def solve(
    stored: StoredTensor,
    scheme: Scheme,
    calibration: Calibration,
    importance: np.ndarray | None = None,
    engine: str = "cpu",
    progress: Progress | None = None,
) -> Quantized:
    """Quantized of rows and columns, under a scheme that looks at data, in NumPy's arrays."""
    scheme.check_shape(*stored.matrix)
    calibration.check_fits(stored.cols, stored.name)
    if scheme.solver in DATA_SOLVERS:
        calibration.second_moment(f"solver={scheme.solver}")
    refuse_non_finite(stored)
    if scheme.solver == "awq":
        from .awq import solve as solve_awq

        return solve_awq(stored, scheme, calibration, importance, progress)
    if scheme.smooth is None:
        return _gptq(stored, scheme, calibration, importance, engine, progress)
    return _smoothed(stored, scheme, calibration, importance, engine, progress)


def _smoothed(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, importance: Any, engine: str, progress: Any
) -> Quantized:
    """Weights times SmoothQuant's scales, rounded to nearest or by GPTQ, whose inputs are divided by them."""
    scales, larger, smaller, h = smoothing.smoothed(stored, scheme, calibration, importance)
    if scheme.solver == "gptq":
        q = _gptq(larger, scheme, smaller, h, engine, progress)
    else:
        q = kernels.quantize(larger.read().reshape(stored.matrix), scheme.without_data, h)
    said = smoothing.said(scheme.smooth, scales)
    return replace(q, scheme=scheme, input_scales=scales, notices=(*q.notices, said))


def _gptq(
    stored: StoredTensor, scheme: Scheme, calibration: Calibration, importance: Any, engine: str, progress: Any
) -> Quantized:
    given = problem(stored, scheme, calibration, importance)
    if engine == "reference":
        from .gptq_reference import solve as by_column

        codes = by_column(given.weights, scheme, given.steps, given.u, given.order)
    else:
        codes = gptq.solve(given.weights, given.steps, given.u, given.order, progress)
    notices = (*given.nearest.notices, *calibration.remarks, *_dead(len(given.dead)))
    return replace(given.nearest, scheme=scheme, codes=codes.astype(scheme.code_dtype), notices=notices)


def _dead(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    were = "was" if count == 1 else "were"
    return (f"The weights of {plural(count, 'input')} that {were} always 0 became 0, as GPTQ has it.",)
