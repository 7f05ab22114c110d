"""How fast tensors are evaluated on this CPU, beside the peers: python -m tests.benchmarks.evaluate [--weights N]

Every contender quantizes, dequantizes and adds up the squared error of the same float32 tensor. Each is checked
first: ours against the reference engine, a peer by its own error being finite. Figures are medians of interleaved
rounds, so that a machine whose speed drifts slows all of them alike.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics as stats
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

os.environ.setdefault("BITSANDBYTES_NOWELCOME", "1")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402

import quantviz as qv  # noqa: E402
from quantviz.kernels.cpu.workers import THREADS  # noqa: E402

METRICS_ONLY = (
    "int8-sym-b32", "int4-sym-b32", "int4-asym-b32", "int4-asym-b64", "int4-offset-b64", "int4-sym-b16",
    "int4-sym-channel", "int4-sym-tensor", "int4-asym-tensor", "ternary-tensor", "fp16", "bf16", "fp8_e4m3", "fp4_e2m1",
    "fp8_e4m3-tensor", "fp8_e4m3-b128x128", "fp6_e2m3-b32", "nf4-b64", "bnb_fp4-b64", "mxfp8_e4m3", "mxfp4", "mxint8",
    "nvfp4",
)  # fmt: skip
FULL = (
    "int4-sym-b32", "int4-asym-b64", "int4-sym-tensor", "int4-sym-channel", "fp8_e4m3", "fp8_e4m3-b128x128",
    "nf4-b64", "mxfp4", "nvfp4",
)  # fmt: skip
TOLERANCE = 1e-5  # of our mean squared error against the reference: float32 partial sums over 256 weights
Contender = tuple[str, Callable[[], object]]


def ours(w: np.ndarray) -> list[Contender]:
    """quantviz, checked on a part of the tensor before it is timed."""
    part = w[: max(128, (1 << 19) // w.shape[1])]
    for key in dict.fromkeys(METRICS_ONLY + FULL):
        mine = qv.evaluate(part, key, detail="metrics").metrics["mse"]
        reference = qv.evaluate(part, key, device="reference", detail="metrics").metrics["mse"]
        if abs(mine - reference) > TOLERANCE * reference:
            sys.exit(f"{key}: the mean squared error is {mine}, the reference engine's {reference}; no timing is made.")
    described = qv.describe(w)
    return [
        *((f"quantviz metrics {k}", lambda k=k: qv.evaluate(w, k, detail="metrics")) for k in METRICS_ONLY),
        *((f"quantviz full {k}", lambda k=k: qv.evaluate(w, k, statistics=described)) for k in FULL),
        ("quantviz describe", lambda: qv.describe(w)),
    ]


def torch_eager(w: np.ndarray) -> list[Contender]:
    """int4, symmetric, blocks of 32, written as one would at a prompt."""
    t = torch.from_numpy(w).reshape(-1, 32)

    def error(x: torch.Tensor) -> float:
        scale = x.abs().amax(dim=1, keepdim=True) / 7
        y = (x / scale).round_().clamp_(-7, 7).mul_(scale)
        return float(y.sub_(x).square_().sum())

    return [
        ("torch eager, whole tensor", lambda: error(t)),
        ("torch eager, chunks of 2^18", lambda: sum(error(c) for c in t.split((1 << 18) // 32))),
    ]


def torchao(w: np.ndarray) -> list[Contender]:
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        dequantize_affine,
        quantize_affine,
    )

    t, block = torch.from_numpy(w), (1, 32)

    def error() -> float:
        scale, zero = choose_qparams_affine(t, MappingType.ASYMMETRIC, block, torch.uint8, 0, 15)
        q = quantize_affine(t, block, scale, zero, torch.uint8, 0, 15)
        return float((dequantize_affine(q, block, scale, zero, torch.uint8, 0, 15) - t).square().sum())

    return [("torchao affine int4 b32", error)]


def gguf_py(w: np.ndarray) -> list[Contender]:
    from gguf import GGMLQuantizationType as Type
    from gguf import quants

    def error(type_: Type) -> float:
        y = quants.dequantize(quants.quantize(w, type_), type_)
        return float(((y - w) ** 2).sum())

    return [(f"gguf-py {n}", lambda n=n: error(Type[n])) for n in ("Q4_0", "Q4_1", "Q8_0")]


def bitsandbytes(w: np.ndarray) -> list[Contender]:
    import bitsandbytes.functional as bnb

    t = torch.from_numpy(w)

    def error() -> float:
        q, state = bnb.quantize_4bit(t, blocksize=64, quant_type="nf4")
        return float((bnb.dequantize_4bit(q, state) - t).square().sum())

    return [("bitsandbytes nf4 b64", error)]


# Ours -> the peer that computes the same thing.
PEERS = {
    "quantviz metrics int4-sym-b32": ("torch eager, whole tensor", "torch eager, chunks of 2^18", "gguf-py Q4_0"),
    "quantviz metrics int4-asym-b32": ("torchao affine int4 b32", "gguf-py Q4_1"),
    "quantviz metrics int8-sym-b32": ("gguf-py Q8_0",),
    "quantviz metrics nf4-b64": ("bitsandbytes nf4 b64",),
}


def bandwidth(w: np.ndarray) -> tuple[float, float]:
    """Read (sum) and copy bandwidth in GB/s, bytes read and written counted, best of seven."""
    t = torch.from_numpy(w)
    into = torch.empty_like(t)
    read = min(_seconds(lambda: t.sum()) for _ in range(7))
    copy = min(_seconds(lambda: into.copy_(t)) for _ in range(7))
    return t.nbytes / read / 1e9, 2 * t.nbytes / copy / 1e9


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


# Run in a process of its own, whose memory nothing else has touched. Writing 5 resets Linux's record of the peak.
_PEAK = """
import sys, numpy as np, quantviz as qv
from pathlib import Path
rows, key, detail = int(sys.argv[1]), sys.argv[2], sys.argv[3]
w = np.random.default_rng(0).standard_normal((rows, 4096), dtype=np.float32)
qv.evaluate(w[:256], key, detail=detail)
def field(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
Path("/proc/self/clear_refs").write_text("5")
before = field("VmRSS")
qv.evaluate(w, key, detail=detail)
print((field("VmHWM") - before) // 1024, "MB")
"""


def peak_above(w: np.ndarray, key: str, detail: str) -> str:
    """Resident memory an evaluation takes at its peak, above what is resident before it."""
    run = subprocess.run([sys.executable, "-c", _PEAK, str(len(w)), key, detail], capture_output=True, text=True)
    return run.stdout.strip() or "not measured here (it needs Linux's /proc)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=int, default=1 << 24, help="size of the tensor (default 16.8M)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds; the median counts")
    parser.add_argument("--no-peers", action="store_true", help="time quantviz alone")
    options = parser.parse_args()
    w = qv.open_model(f"random:normal?rows={options.weights // 4096}&cols=4096&outliers=0.001").load("weight")
    w = np.ascontiguousarray(w)
    contenders = ours(w)
    if not options.no_peers:
        contenders += torch_eager(w) + torchao(w) + gguf_py(w) + bitsandbytes(w)
    for _, run in contenders:  # once, so that everything is compiled and loaded
        run()
    read, copy = bandwidth(w)
    import numba

    print(f"{platform.processor() or platform.machine()}, {THREADS} threads; Python {platform.python_version()}, "
          f"torch {torch.__version__}, numba {numba.__version__}, NumPy {np.__version__}")  # fmt: skip
    print(
        f"{w.size:,} float32 weights; read bandwidth {read:.1f} GB/s, copy bandwidth {copy:.1f} GB/s, measured here\n"
    )
    times: dict[str, list[float]] = {name: [] for name, _ in contenders}
    for _ in range(options.rounds):
        for name, run in contenders:
            times[name].append(_seconds(run))
    print(f"{'':36}{'million weights/s':>18}{'min':>8}{'max':>8}{'of read bandwidth':>19}")
    speed = {name: w.size / stats.median(t) / 1e6 for name, t in times.items()}
    for name, t in times.items():
        low, high = w.size / max(t) / 1e6, w.size / min(t) / 1e6
        print(f"{name:36}{speed[name]:18,.0f}{low:8,.0f}{high:8,.0f}{speed[name] * 4e6 / (read * 1e9):19.0%}")
    print()
    for name, peers in PEERS.items():
        for peer in peers:
            if peer in speed:
                print(f"{name} is {speed[name] / speed[peer]:.1f} × {peer}")
    print()
    for key, detail in (("int4-sym-b32", "metrics"), ("int4-sym-b32", "full"), ("fp8_e4m3-b128x128", "full")):
        print(f"memory above the tensor, {detail} {key}: {peak_above(w, key, detail)}")


if __name__ == "__main__":
    main()
