"""How honest the standard errors of sampled sweeps are: how often a 95% interval holds the tensor's own value.

    python -m tests.benchmarks.sampled [--seeds 200] [--rows 2048] [--cols 1024] [--sample 1%] [--draw 15]
    python -m tests.benchmarks.sampled --repository 100

A line a tensor and scheme, a column a metric: the share of samples, each of another seed, whose interval covers what
`evaluate` gives for the whole tensor. It should lie between 90 and 99%.

--repository sweeps a sample of so many tensors, in four files of a Hub on this machine, and tells what travelled.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time

import numpy as np

import quantviz as qv
from quantviz.sweep.bands import measure
from quantviz.sweep.estimates import interval
from quantviz.sweep.sampling import Sample
from quantviz.tensors import as_stored
from tests.sources.builders import safetensors, weights
from tests.sources.fake_hub import FakeHub

SCHEMES = ("int4-sym-b32", "int4-asym-channel", "q4_0", "nf4-b64")
FILES = 4  # of a repository
METRICS = ("sqnr_db", "relative_l2_error", "mean_relative_error", "mse")


def tensors(rows: int, cols: int, draw: int = 15) -> dict[str, np.ndarray]:
    """Weights to sample, by name; float32 [rows, cols].  draw: seed of the weights."""
    random = np.random.default_rng(draw)
    normal = random.standard_normal((rows, cols))
    outliers = normal * np.where(random.random(cols) < 0.01, 20.0, 1.0)
    return {
        name: np.ascontiguousarray(x, np.float32)
        for name, x in {
            "normal": normal,
            "student t, 4": random.standard_t(4, (rows, cols)),
            "student t, 3": random.standard_t(3, (rows, cols)),
            "outlier channels": outliers,
            "rows of differing scale": normal * np.exp(0.5 * random.standard_normal((rows, 1))),
            "scale rising over rows": normal * np.linspace(0.5, 2, rows)[:, None],
            "three parts, 1, 2, 4": normal * np.repeat([1.0, 2.0, 4.0], -(-rows // 3))[:rows, None],
        }.items()
    }


def coverage(w: np.ndarray, sample: str, seeds: int, schemes=SCHEMES, metrics=METRICS, detail="metrics") -> dict:
    """By (scheme, metric): the share of seeds whose 95% interval holds the truth."""
    stored = as_stored(w)
    truth = {key: qv.evaluate(w, key, detail=detail).metrics for key in schemes}
    held = {(key, name): 0 for key in schemes for name in metrics}
    for seed in range(seeds):
        for m in measure(stored.row_range, w.shape, schemes, detail=detail, sample=Sample.parse(sample, seed)):
            for name in metrics:
                low, high = interval(m.metrics[name], m.errors[name])
                held[m.scheme, name] += low <= truth[m.scheme][name] <= high
    return {key: number / seeds for key, number in held.items()}


def repository(tensors: int, rows: int, cols: int, sample: str) -> None:
    """What a sampled sweep of a repository moves: bytes of files, requests, seconds."""
    hub = FakeHub.start()
    os.environ["HF_ENDPOINT"] = hub.url
    names = [f"model.layers.{i}.mlp.down_proj.weight" for i in range(tensors)]
    files = {}
    for shard in range(FILES):
        held = {name: weights(rows, cols, i) for i, name in enumerate(names) if i % FILES == shard}
        files[f"model-{shard + 1:05}-of-{FILES:05}.safetensors"] = safetensors(held)
    where = {name: file for file, data in files.items() for name in names if f'"{name}"'.encode() in data}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": where}).encode()
    hub.add_repo("org/name", files)
    whole = sum(map(len, files.values()))
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        frames = list(qv.sweep("hf:org/name", SCHEMES, sample=sample, detail="metrics", cache_dir=cache))
        took = time.perf_counter() - began
    read = np.mean([frame["share"].mean() for frame in frames])
    moved, over = hub.file_bytes, hub.file_bytes - read * whole
    print(
        f"{tensors} tensors of {rows} x {cols} in {FILES} files, {whole / 1e6:.1f} MB; {sample} asked, {read:.2%} read"
    )
    print(
        f"{moved / 1e6:.3f} MB travelled, {moved / whole:.2%} of the repository; {over:.0f} bytes more than the sample"
    )
    print(f"{len(hub.requests)} requests, {took:.1f} s")
    hub.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--cols", type=int, default=1024)
    parser.add_argument("--sample", default="1%")
    parser.add_argument("--draw", type=int, default=15, help="seed of the weights")
    parser.add_argument("--repository", type=int, help="tensors of a repository whose sample is fetched")
    asked = parser.parse_args()
    if asked.repository:
        return repository(asked.repository, asked.rows, asked.cols, asked.sample)
    print(f"{'tensor':24} {'scheme':18}" + "".join(f" {name:>20}" for name in METRICS))
    for name, w in tensors(asked.rows, asked.cols, asked.draw).items():
        found = coverage(w, asked.sample, asked.seeds)
        for key in SCHEMES:
            shares = "".join(f" {found[key, metric]:>20.1%}" for metric in METRICS)
            print(f"{name:24} {key:18}{shares}", flush=True)


if __name__ == "__main__":
    main()
