"""How fast options, comparisons and sweeps are on this CPU: python -m tests.benchmarks.outliers [--weights N]

Every option is checked against the reference engine on a part of the tensor before it is timed.
"""

from __future__ import annotations

import argparse
import statistics as stats
import sys

import numpy as np

import quantviz as qv
from quantviz.kernels.cpu import workers
from quantviz.kernels.cpu.loops import rotation
from quantviz.outliers.cures import treat
from quantviz.outliers.curves import block_size_sweep

from .evaluate import TOLERANCE, _seconds, bandwidth, peak_above

OPTIONS = (
    "int4-sym-b32", "int4-sym-b32:clip=mse", "int4-asym-b64:clip=mse", "nf4-b64:clip=mse", "int4-sym-channel:clip=mse",
    "int4-sym-tensor:clip=mse", "int4-sym-channel:clip=99.9", "int4-sym-b64:keep=0.1%", "int4-sym-b64:rotate=hadamard",
    "nf4-b64:double=1", "int4-offset-b64:solver=hqq",
)  # fmt: skip
MANY = (
    "int8-sym-channel", "int8-asym-b64", "fp8_e4m3-channel", "fp8_e4m3-b128x128", "mxfp8_e4m3", "mxint8",
    "int6-sym-b32", "fp6_e2m3-b32", "mxfp6_e2m3", "int5-asym-b32", "int4-sym-b32", "int4-asym-b64",
    "int4-offset-b64", "nf4-b64", "bnb_fp4-b64", "mxfp4", "nvfp4", "int3-asym-b32", "int2-asym-b32",
    "ternary-channel",
)  # fmt: skip
ROTATED_ROWS = (4096, 1536, 14336)


def checked(w: np.ndarray) -> None:
    part = w[:128]
    for key in OPTIONS:
        mine, theirs = (qv.evaluate(part, key, device=d, detail="metrics").metrics["mse"] for d in ("cpu", "reference"))
        if abs(mine - theirs) > TOLERANCE * theirs:
            sys.exit(f"{key}: the mean squared error is {mine}, the reference engine's {theirs}; no timing is made.")


def rotate(w: np.ndarray, into: np.ndarray, n: int) -> None:
    """All of w, seen as rows of n weights, on all threads."""
    rows = w.size // n
    x, y = (a.reshape(-1)[: rows * n].reshape(rows, n) for a in (w, into))
    step = max(1, (1 << 18) // n)

    def run(bands) -> None:
        for _, first in bands:
            rotation.rotate(x[first : first + step], y[first : first + step])

    workers.work(range(0, rows, step), run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=int, default=1 << 24, help="size of the tensor (default 16.8M)")
    parser.add_argument("--rounds", type=int, default=5, help="the median counts")
    options = parser.parse_args()
    w = qv.open_model(f"random:normal?rows={options.weights // 4096}&cols=4096&outliers=0.001").load("weight")
    w = np.ascontiguousarray(w)
    checked(w)
    described = qv.describe(w)
    into = np.empty_like(w)
    read, copy = bandwidth(w)
    print(f"{w.size:,} float32 weights, {workers.THREADS} threads; read {read:.1f} GB/s, copy {copy:.1f} GB/s here\n")
    rates = {f"evaluate metrics {k}": lambda k=k: qv.evaluate(w, k, detail="metrics", statistics=described)
             for k in OPTIONS}  # fmt: skip
    rates |= {f"rotate rows of {n}": lambda n=n: rotate(w, into, n) for n in ROTATED_ROWS}
    for name, run in rates.items():
        run()
        speed = w.size / stats.median(_seconds(run) for _ in range(options.rounds)) / 1e6
        print(f"{name:48}{speed:10,.0f} million weights/s")
    print()
    whole = {
        f"compare {len(MANY)} schemes, metrics": lambda: qv.compare(w, MANY, detail="metrics"),
        f"compare {len(MANY)} schemes, full": lambda: qv.compare(w, MANY),
        "sweep of block sizes, sym and asym": lambda: block_size_sweep(w, statistics=described),
        "cures of int4-sym-tensor": lambda: treat(w, "int4-sym-tensor", statistics=described),
    }
    for name, run in whole.items():
        run()
        print(f"{name:48}{stats.median(_seconds(run) for _ in range(options.rounds)):10.2f} s")
    print()
    for key in ("int4-sym-b64:rotate=hadamard", "int4-sym-b64:keep=0.1%", "int4-sym-tensor:clip=mse"):
        print(f"memory above the tensor, {key}: {peak_above(w, key, 'metrics')}")


if __name__ == "__main__":
    main()
