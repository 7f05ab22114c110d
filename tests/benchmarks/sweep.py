"""A sweep beside `evaluate` alone, on the same tensors and schemes: python -m tests.benchmarks.sweep [REF] [--full]

What a sweep adds is opening a tensor, describing it for the sums, Dask, the table and writing it. Each contender runs
in a process of its own, which has its kernels compiled and the model's file read before it begins to count; they take
turns, and figures are medians. Memory is what the process takes beyond what it took when counting began. Without REF,
a model of 48 tensors of 8 million weights is written to a temporary folder (bfloat16, 0.8 GB).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCHEMES = ("int4-sym-b32", "int4-asym-b64", "int8-sym-b32", "nf4-b64", "mxfp4", "q4_0", "int4-sym-channel", "fp8_e4m3")
CONTENDERS = ("evaluate", "sweep")
TENSORS, ROWS, COLS = 48, 2048, 4096


def run(contender: str, ref: str, detail: str) -> dict[str, float]:
    """Seconds, bytes beyond the beginning, and weights times schemes of one run in this process."""
    import quantviz as qv
    from quantviz.sweep.targets import targets

    model = qv.open_model(ref)
    found = targets(model)
    for key in SCHEMES:  # compiles, and loads what either needs
        qv.evaluate(model.open(found[0].tensor, (0, 64)), key, detail=detail)
    list(qv.sweep("random:normal?rows=64&cols=256", SCHEMES, detail=detail))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, used = time.perf_counter(), _processor()
    if contender == "evaluate":
        for target in found:
            stored = model.open(target.tensor, target.rows)
            known = qv.describe(stored) if detail == "full" else None
            for key in SCHEMES:
                qv.evaluate(stored, key, detail=detail, statistics=known)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for _ in qv.sweep(ref, SCHEMES, Path(folder) / "o.parquet", detail=detail):
                pass
    seconds = time.perf_counter() - began
    used = _processor() - used
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    return {
        "seconds": seconds,
        "processor": used,
        "bytes": grown,
        "weights": sum(t.weights for t in found) * len(SCHEMES),
    }


def _processor() -> float:
    """Seconds that processors spent on this process, which other processes do not lengthen as they do the clock's."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def written(folder: Path, tensors: int) -> str:
    """A model of random weights in bfloat16."""
    header, size = {}, ROWS * COLS * 2
    for i in range(tensors):
        name = f"model.layers.{i}.mlp.down_proj.weight"
        header[name] = {"dtype": "BF16", "shape": [ROWS, COLS], "data_offsets": [i * size, (i + 1) * size]}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for i in range(tensors):
            x = np.random.default_rng(i).standard_normal((ROWS, COLS), np.float32)
            file.write((x.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ref", nargs="?")
    parser.add_argument("--full", action="store_true", help="detail=full instead of metrics")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tensors", type=int, default=TENSORS)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    detail = "full" if given.full else "metrics"
    if given.contender:
        return print(json.dumps(run(given.contender, given.ref, detail)))
    with tempfile.TemporaryDirectory() as folder:
        ref = given.ref or written(Path(folder), given.tensors)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(given.rounds):
            for name in CONTENDERS:
                command = [sys.executable, "-m", "tests.benchmarks.sweep", ref, "--contender", name]
                command += ["--full"] if given.full else []
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                found[name].append(json.loads(done.stdout))
    print(f"{ref if given.ref else f'{given.tensors} tensors of {ROWS} × {COLS}'}, {len(SCHEMES)} schemes, {detail}")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    middle = {
        name: {what: statistics.median(one[what] for one in each) for what in each[0]} for name, each in found.items()
    }
    alone = middle["evaluate"]
    for name, one in middle.items():
        print(
            f"{name:10} {one['seconds']:8.2f} s {one['seconds'] / alone['seconds'] - 1:+7.1%}   "
            f"{one['processor']:8.2f} s of processors {one['processor'] / alone['processor'] - 1:+7.1%}   "
            f"{one['weights'] / one['seconds'] / 1e6:6.0f} million weights/s   +{one['bytes'] / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
