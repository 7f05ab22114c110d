"""How fast layers of quantized checkpoints are read: python -m tests.benchmarks.checkpoints [--rows N] [--cols N]

Each layer is of random codes, in a file; reading it from there is part of the time. Pieces are read by as many threads
as the machine has processors, as an evaluation reads them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

import quantviz as qv
from quantviz.sources import Model
from tests.sources.builders import with_header

PIECE = 1 << 18  # weights read at a time
ROUNDS = 5
Tensors = dict[str, tuple[str, tuple[int, ...]]]  # by suffix of the layer's name


def _layers(rows: int, cols: int) -> dict[str, tuple[Tensors, dict]]:
    """Names, dtypes and shapes of a layer in each format, and what config.json says of it."""
    quarter = cols // 128
    return {
        "GPTQ int4 g128": (
            {"qweight": ("I32", (cols // 8, rows)), "qzeros": ("I32", (quarter, rows // 8)),
             "scales": ("F16", (quarter, rows))}, {"quant_method": "gptq", "bits": 4, "group_size": 128},
        ),
        "GPTQ int4 g128 act-order": (
            {"qweight": ("I32", (cols // 8, rows)), "qzeros": ("I32", (quarter, rows // 8)),
             "scales": ("F16", (quarter, rows)), "g_idx": ("I32", (cols,))},
            {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True},
        ),
        "AWQ int4 g128": (
            {"qweight": ("I32", (cols, rows // 8)), "qzeros": ("I32", (quarter, rows // 8)),
             "scales": ("F16", (quarter, rows))}, {"quant_method": "awq", "bits": 4, "group_size": 128},
        ),
        "compressed-tensors int4 g128": (
            {"weight_packed": ("I32", (rows, cols // 8)), "weight_scale": ("F16", (rows, quarter)),
             "weight_shape": ("I64", (2,))},
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {
                "targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": True,
                                                   "strategy": "group", "group_size": 128}}}},
        ),
        "ModelOpt NVFP4": (
            {"weight": ("U8", (rows, cols // 2)), "weight_scale": ("F8_E4M3", (rows, cols // 16)),
             "weight_scale_2": ("F32", ())}, {"quant_method": "modelopt", "quant_algo": "NVFP4"},
        ),
        "block FP8": (
            {"weight": ("F8_E4M3", (rows, cols)), "weight_scale_inv": ("F32", (rows // 128, quarter))},
            {"quant_method": "fp8", "weight_block_size": [128, 128]},
        ),
        "MLX int4 g64": (
            {"weight": ("U32", (rows, cols // 8)), "scales": ("F16", (rows, cols // 64)),
             "biases": ("F16", (rows, cols // 64))}, {"bits": 4, "group_size": 64},
        ),
    }  # fmt: skip


def _write(folder: Path, tensors: Tensors, settings: dict, rows: int, cols: int) -> None:
    rng, header, data, at = np.random.default_rng(0), {}, [], 0
    for suffix, (dtype, shape) in tensors.items():
        count = int(np.prod(shape))
        raw = _content(suffix, dtype, shape, count, rng, rows, cols)
        header[f"layer.{suffix}"] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    (folder / "model.safetensors").write_bytes(with_header(header, b"".join(data)))
    key = "quantization" if "quant_method" not in settings else "quantization_config"
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", key: settings}))


def _content(
    suffix: str, dtype: str, shape: tuple[int, ...], count: int, rng: np.random.Generator, rows: int, cols: int
) -> bytes:
    """Random codes; scales that are numbers; groups in a random order; the layer's shape."""
    if suffix == "weight_shape":
        return np.array([rows, cols], "<i8").tobytes()
    if suffix == "g_idx":
        return rng.permutation(np.arange(cols) // 128).astype("<i4").tobytes()
    if dtype in ("F16", "F32"):
        return rng.uniform(0.001, 0.01, count).astype({"F16": "<f2", "F32": "<f4"}[dtype]).tobytes()
    size = {"I32": 4, "U32": 4, "U8": 1, "F8_E4M3": 1}[dtype]
    return rng.integers(0, 120, count * size, np.uint8).tobytes()


def _read(model: Model, name: str, threads: int) -> None:
    stored = model.open(name)
    with ThreadPoolExecutor(threads) as pool:
        for values in pool.map(lambda at: stored.read(at, at + PIECE)[:1], range(0, stored.size, PIECE)):
            assert np.isfinite(values).all()


def _best(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=4096)
    arguments.add_argument("--cols", type=int, default=4096)
    given = arguments.parse_args()
    threads = os.cpu_count() or 1
    print(f"{given.rows} × {given.cols} weights, million a second, best of {ROUNDS}: 1 thread, {threads} threads")
    for name, (tensors, settings) in _layers(given.rows, given.cols).items():
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), tensors, settings, given.rows, given.cols)
            model = qv.open_model(folder)
            found = [info for info in model.tensors if info.holds_weights]
            if not found:
                print(f"{name:32} not read: {model.tensors[0].why_not[:120]}")
                continue
            info = found[0]
            rates = [info.size / 1e6 / _best(partial(_read, model, info.name, n)) for n in (1, threads)]
        print(f"{name:32} {info.dtype:32} {rates[0]:7.0f} {rates[1]:7.0f}")


if __name__ == "__main__":
    main()
