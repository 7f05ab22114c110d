"""Finite weights at the ends of float32, and what may come of them: finite numbers or one sentence.

Run as a program it tries schemes on all of them and writes a line before each: what kills a process is then named by
the last line. `python -m tests.kernels.hostile ENGINE KEY...`; without keys it takes every one of the catalogue, under
every set of options that applies to it, which takes minutes.
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import quantviz as qv
from quantviz.schemes import Scheme

from .. import compiled_once  # noqa: F401  (as in the tests that run beside this)
from .test_engines import needed

MAX = float(np.finfo(np.float32).max)
# 1 takes every tensor under a key; n one tensor in n, beginning one further with each key.
EVERY = int(os.environ.get("HOSTILE_EVERY", "1"))
FEW = os.environ.get("HOSTILE_TENSORS", "").split(",") if "HOSTILE_TENSORS" in os.environ else ()  # names, or all
OPTIONS = (
    "clip=mse", "clip=99.9", "rotate=hadamard", "keep=1%", "double=1", "solver=hqq", "scale=fp32", "scale=fp16",
    "scale=bf16", "rotate=hadamard,scale=bf16", "rotate=hadamard,keep=1%", "clip=mse,scale=bf16",
    "solver=hqq,scale=fp32", "double=1,rotate=hadamard",
)  # fmt: skip


def tensors(rows: int) -> Iterator[tuple[str, Any]]:
    """Finite tensors, most of [rows, 256], whose squares, sums, ranges or reciprocals leave float32."""
    rng = np.random.default_rng(7)
    normal = rng.standard_normal((rows, 256)).astype(np.float32)
    one = normal * np.float32(0.02)
    one[rows // 2, 100] = MAX
    mask = torch.from_numpy(normal * np.float32(0.02)).bfloat16()
    mask[0, 3] = torch.finfo(torch.bfloat16).min
    signs = np.sign(normal)
    yield "one largest number", one
    yield "a bfloat16 mask", mask
    yield "all 3e34", np.full((rows, 256), 3e34, np.float32)
    yield "all 1e38", np.full((rows, 256), 1e38, np.float32)
    yield "both ends", signs * np.float32(MAX)
    yield "the lower end", np.full((rows, 256), -MAX, np.float32)
    yield "subnormal", normal * np.float32(1e-40)
    yield "smallest and largest", np.where(signs > 0, np.float32(1e-45), np.float32(1e38))
    yield "zeros", np.zeros((rows, 256), np.float32)
    yield "one weight", np.full((1, 1), MAX, np.float32)
    yield "one row", one[rows // 2 : rows // 2 + 1]
    yield "one column", np.ascontiguousarray(one[:, 100:101])


def with_options(key: str) -> list[str]:
    """The key under every set of options that applies to it."""
    found = []
    for options in OPTIONS:
        try:
            found.append(Scheme.parse(f"{key}:{options}").key)
        except qv.QuantvizError:
            continue
    return [k for k in dict.fromkeys(found) if k != key]


def faults(x: Any, key: str, engine: str) -> Iterator[str]:
    """What is wrong with what comes of a tensor under a scheme."""
    w = x.float().numpy() if isinstance(x, torch.Tensor) else x
    h = needed(key, w)
    evaluated, quantized = [], None
    for detail in ("full", "metrics"):
        try:
            evaluated.append(qv.evaluate(x, key, h, device=engine, detail=detail))
        except qv.QuantvizError as refused:
            evaluated.append(None)
            yield from _sentence(refused)
    try:
        quantized = np.asarray(qv.quantize(x, key, h, engine=engine).dequantize())
    except qv.QuantvizError as refused:
        yield from _sentence(refused)
    for e in filter(None, evaluated):
        m = e.metrics
        wrong = [n for n in ("mse", "rmse", "mean_abs_error", "max_abs_error") if not math.isfinite(m[n])]
        wrong += [n for n, v in m.items() if math.isnan(v) and w.any() and n != "cosine_similarity"]
        if wrong:
            yield f"{wrong} are not finite"
        if e.code_counts is not None and e.code_counts.sum() != w.size:
            yield "the counts of codes do not add up"
        for name, h_ in (e.histograms or {}).items():
            if h_.below + h_.counts.sum() + h_.above != w.size:
                yield f"the histogram {name} does not add up"
    if quantized is None:
        if any(evaluated):
            yield "quantize refuses what evaluate measures"
        return
    if not np.isfinite(quantized).all():
        yield "quantize gives infinity or NaN"
        return
    error = quantized.astype(np.float64) - w
    if np.abs(error).max() > MAX:
        return
    rmse = math.sqrt(np.mean(error**2))
    for e in evaluated:
        if e is None:
            yield "evaluate refuses what quantize takes"
        elif not math.isclose(e.metrics["rmse"], rmse, rel_tol=1e-5):
            yield f"evaluate says an rmse of {e.metrics['rmse']}, and it is {rmse}"


def _sentence(refused: qv.QuantvizError) -> Iterator[str]:
    text = str(refused)
    if not text.endswith(".") or "\n" in text or len(text) > 400:
        yield f"no sentence: {text}"


def everything() -> list[str]:
    keys = [key + ":pad=1" * (Scheme.parse(key).rule == "block type") for key in qv.catalogue()]
    return [each for key in keys for each in (key, *with_options(key))]


def main(engine: str, keys: list[str]) -> None:
    warnings.filterwarnings("error", module="quantviz")
    torch.set_num_threads(1)  # on tensors as small as these, more are slower
    for number, key in enumerate(keys):
        g = Scheme.parse(key).granularity
        for place, (name, x) in enumerate(tensors(max(4, g.rows if g else 0))):
            if (FEW and name not in FEW) or (number + place) % EVERY:
                continue
            print(json.dumps([key, name]), flush=True)
            try:
                found = list(faults(x, key, engine))
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"]
            if found:
                print(json.dumps([key, name, found]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or everything())
