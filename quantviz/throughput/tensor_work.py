"""The workloads of one tensor: quantize, dequantize, evaluate, each checked against the reference engine first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import QuantvizError
from ..kernels.arrays import as_numpy
from ..kernels.results import Quantized
from ..schemes import Scheme
from ..text.wording import shape as shape_text
from .bench import Bench, device_errors
from .plan import Plan
from .results import Doing, Measurement, Refused
from .timing import Contender, copies_for

CHECKED = 1 << 18  # weights on which an engine must agree with the reference
# Σ e² of the same float32 terms, which engines add up in different orders.
SUMS_TOLERANCE = 1e-5
# Bytes a weight that an engine needs beside what it reads and gives: torch's arithmetic holds several copies.
BESIDE = {"cpu": 0, "cuda": 1, "reference": 48}
KERNELS = {"cpu": "numba", "cuda": "Triton", "reference": "torch"}


def contenders(workload: str, plan: Plan, bench: Bench) -> Iterator[Doing | Refused | Contender]:
    """Every scheme of `schemes_of`, ready to be timed, or the reason why it is not."""
    rows, cols = plan.tensor
    keys = schemes_of(plan)
    base = copies_for(rows * cols * bench.engine_itemsize, bench.card.cache_bytes)
    _ask(workload, plan, bench, base)
    inputs: list[Any] = []
    for place, key in enumerate(keys):
        bench.check()
        yield Doing(f"{workload}: checking {key}", place, len(keys))
        scheme = Scheme.parse(key)
        try:
            scheme.check_shape(rows, cols)
            with device_errors(bench.device, f"{workload} under {key}"):
                if not inputs:
                    first = bench.weights(rows, cols)
                    inputs += [
                        first,
                        *(first.copy() if bench.device == "cpu" else first.clone() for _ in range(base - 1)),
                    ]
                yield _contender(workload, scheme, inputs, bench)
        except QuantvizError as problem:
            bench.release()  # what was made of it
            yield Refused(workload, key, str(problem))


def schemes_of(plan: Plan) -> tuple[str, ...]:
    """The schemes but fp32: weights come in that type or a narrower one, so there is nothing to turn into it."""
    return tuple(key for key in plan.schemes if key != "fp32")


def _contender(workload: str, scheme: Scheme, inputs: list[Any], bench: Bench) -> Contender:
    correct, error = _check(workload, inputs[0], scheme, bench)
    w = inputs[0]
    line = Measurement(
        workload, scheme.key, tuple(w.shape), None, bench.device, correct=correct, relative_error=error,
        memory_bytes=-(-scheme.bits_stored(tuple(w.shape)) // 8),
        kernel=f"{KERNELS[bench.card.engine]}, from {_name(bench)}", final=not correct,
    )  # fmt: skip
    if not correct:
        return Contender(line, [], 0)
    if workload == "evaluate":
        return Contender(line, [lambda x=x: bench.measure(x, scheme) for x in inputs], w.nbytes)
    q = bench.quantize(w, scheme)
    if workload == "quantize":
        return Contender(line, [lambda x=x: bench.quantize(x, scheme) for x in inputs], w.nbytes + nbytes_of(q))
    stored, values = [q], w.nbytes * 4 // bench.engine_itemsize
    for x in inputs[1:] if values + nbytes_of(q) < 4 * bench.card.cache_bytes else ():
        stored.append(bench.quantize(x, scheme))
    return Contender(line, [lambda q=q: bench.dequantize(q) for q in stored], nbytes_of(q) + values)


def _name(bench: Bench) -> str:
    return str(bench.engine_dtype).removeprefix("torch.")


def nbytes_of(q: Quantized) -> int:
    """Bytes of the arrays themselves, in which a code takes a byte or more."""
    arrays = (q.codes, q.scales, q.zero_points, q.minima, q.kept_index, q.kept_values)
    return sum(a.nbytes for a in arrays if a is not None)


# -- the check ---------------------------------------------------------------------------------


def _check(workload: str, w: Any, scheme: Scheme, bench: Bench) -> tuple[bool, float]:
    """Whether the engine agrees with the reference (that one with the CPU's) on some rows, and how far it is off."""
    rows = min(w.shape[0], max(128, CHECKED // w.shape[1]))
    part = w[:rows]
    host = np.ascontiguousarray(part) if bench.device == "cpu" else part.float().cpu().numpy()
    mine, theirs = as_numpy_of(bench.quantize(part, scheme)), other(host, scheme, bench.card.engine)
    if workload == "quantize":
        differ = float(np.mean(np.asarray(mine.codes) != np.asarray(theirs.codes)))
        same = all(_equal(getattr(mine, name), getattr(theirs, name)) for name in ("scales", "zero_points", "minima"))
        return differ == 0 and same, differ
    right = np.asarray(theirs.dequantize(), np.float32)
    if workload == "dequantize":
        values = bench.dequantize(bench.quantize(part, scheme))
        values = np.asarray(values) if bench.device == "cpu" else values.cpu().numpy()
        differ = float(np.mean(values.view(np.uint32) != right.view(np.uint32)))
        return differ == 0, differ
    squared = float(np.sum((right.astype(np.float64) - host) ** 2))
    off = abs(bench.measure(part, scheme).squared_error - squared) / (squared or 1.0)
    return off <= SUMS_TOLERANCE, off


def other(host: np.ndarray, scheme: Scheme, engine: str) -> Quantized:
    """The same weights quantized by an engine that is not `engine`, as NumPy arrays."""
    from ..kernels import quantize

    return as_numpy_of(quantize(host, scheme, engine="cpu" if engine == "reference" else "reference"))


def as_numpy_of(q: Quantized) -> Quantized:
    return q if isinstance(q.codes, np.ndarray) else as_numpy(q)


def _equal(a: Any, b: Any) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


# -- memory ------------------------------------------------------------------------------------


def _ask(workload: str, plan: Plan, bench: Bench, copies: int) -> None:
    """Refuses a tensor that will not fit, before it is made."""
    rows, cols = plan.tensor
    widest = max((-(-Scheme.parse(key).fmt.bits // 8) for key in schemes_of(plan)), default=1)
    width = bench.engine_itemsize
    beside = BESIDE[bench.card.engine]
    if workload == "evaluate":
        each = copies * width + beside
    elif workload == "quantize":
        each = copies * width + widest + beside
    else:
        each = copies * (width + widest * len(schemes_of(plan))) + 4 + beside

    def fits(nbytes: int) -> str | None:
        most = nbytes // (each * cols)
        return f"{shape_text((most, cols))} weights" if most else None

    bench.ask(rows * cols * each, f"{workload} of {shape_text((rows, cols))} weights", fits)
