"""How fast methods that look at data are on this CPU: python -m tests.benchmarks.calibration [--cols 4096]

Beside GPTQ stands the same algorithm in torch, as libraries have it: a loop over columns in blocks of 128. Its output
error is compared before anything is said of time.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np
import torch

import quantviz as qv
from quantviz import Calibration
from quantviz.calibration import gptq
from quantviz.calibration.output_error import output_metrics, power, power_of
from quantviz.calibration.synthetic import synthetic_inputs
from quantviz.tensors import as_stored

KEY = "int4-asym-b128:scale=fp32"
TOLERANCE = 1e-3


def in_torch(w: np.ndarray, moment: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Weights after GPTQ; scale and zero: [rows, groups of 128]."""
    left, out = torch.from_numpy(w.copy()), torch.empty(w.shape)
    s, z = torch.from_numpy(scale), torch.from_numpy(zero.astype(np.float32))
    h = torch.from_numpy(moment.copy())
    h.diagonal().add_(0.01 * h.diagonal().mean())
    u = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    for first in range(0, w.shape[1], 128):
        stop = min(first + 128, w.shape[1])
        block, inner, group = left[:, first:stop].clone(), u[first:stop, first:stop], first // 128
        errors = torch.empty_like(block)
        for i in range(stop - first):
            column = block[:, i]
            code = (torch.round(column / s[:, group]) + z[:, group]).clamp(0, 15)
            out[:, first + i] = (code - z[:, group]) * s[:, group]
            errors[:, i] = (column - out[:, first + i]) / inner[i, i]
            block[:, i:] -= errors[:, i : i + 1] * inner[i, i:]
        left[:, stop:] -= errors @ u[first:stop, stop:]
    return out.numpy()


def seconds(what: str, run) -> object:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, used = time.perf_counter(), time.process_time()
    made = run()
    took, used = time.perf_counter() - began, time.process_time() - used
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{what:40s} {took:7.2f} s, of processors {used:7.2f} s   peak memory +{more / 1024:,.0f} MB", flush=True)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cols", type=int, default=4096, help="width and height of the layer")
    n = parser.parse_args().cols
    small = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    for solver in ("gptq", "awq"):  # compiled, or loaded, before it is timed
        qv.evaluate(small, f"{KEY},solver={solver}", calibration=Calibration.of(synthetic_inputs(256, 512)))
    print(f"{n:,} × {n:,} weights, {torch.get_num_threads()} threads; E[x xᵀ] takes {4 * n * n >> 20:,} MB\n")
    x, w = synthetic_inputs(n, 4096), np.random.default_rng(1).standard_normal((n, n), dtype=np.float32)
    c = seconds(f"E[x xᵀ] from {len(x):,} tokens", lambda: Calibration.of(x, heldout=0))
    nearest = seconds("round to nearest", lambda: qv.quantize(w, KEY))
    q = seconds("GPTQ", lambda: qv.quantize(w, f"{KEY},solver=gptq", calibration=c))
    seconds("  of which: the inverse's triangle", lambda: gptq.factor(c.moment, 1.0))
    theirs = seconds("GPTQ in torch", lambda: in_torch(w, c.moment, nearest.scales, nearest.zero_points))
    signal = seconds("power of the output", lambda: power_of(as_stored(w), c))
    ours, other = (output_metrics(power(made - w, c), signal)["output_relative_error"]
                   for made in (np.asarray(q.dequantize()), theirs))  # fmt: skip
    if abs(ours - other) > TOLERANCE * other:
        sys.exit(f"The output's error is {ours}, that of torch {other}.")
    seconds("GPTQ, order=act", lambda: qv.quantize(w, f"{KEY},solver=gptq,order=act", calibration=c))
    seconds("AWQ", lambda: qv.quantize(w, f"{KEY},solver=awq", calibration=c))
    seconds("evaluate, round to nearest", lambda: qv.evaluate(w, KEY, calibration=c))
    print(f"\nOutput error: {ours:.5f} here, {other:.5f} in torch")


if __name__ == "__main__":
    main()
