"""How fast GGUF's block types are made, read and measured on this CPU: python -m tests.benchmarks.block_types

Every type is first compared with ggml's own bytes; where a row differs, nothing is timed. Figures are medians of
interleaved rounds, on all threads, dequantizing into memory that is there; gguf-py, the package's NumPy code, quantizes
beside it wherever it can.
"""

from __future__ import annotations

import argparse
import platform
import statistics as stats
import sys
from collections.abc import Callable

import numba
import numpy as np
from gguf import GGMLQuantizationType, quants

import quantviz as qv
from quantviz.block_types import BLOCK_TYPES
from quantviz.kernels.block_rows import dequantize_rows, quantize_rows
from quantviz.kernels.cpu.workers import THREADS
from tests.block_types.conformance import checks
from tests.block_types.golden import ggml_name
from tests.block_types.test_gguf_package import QUANTIZED_THERE

from .evaluate import _seconds, bandwidth

# Million weights a second of ggml's C reference, quantizing only, on one thread of a like machine.
GGML_ONE_THREAD = {
    "q4_0": "690 to 920", "q4_1": "645", "q8_0": "240 to 300", "gguf_mxfp4": "160 to 250", "q3_k": "70", "q6_k": "26",
    "q2_k": "17", "q4_k": "14", "iq4_nl": "5", "iq3_s": "3",
}  # fmt: skip
SEARCHED, ON_A_GRID = 1 << 22, 1 << 20  # weights of the types that take longer, at most
COLS = 4096
Contender = tuple[str, str, int, Callable[[], object]]  # type, what is done, weights, how


def contenders(names: list[str], weights: int) -> list[Contender]:
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((weights // COLS, COLS), dtype=np.float32)
    importance = rng.random(COLS, dtype=np.float32)
    found: list[Contender] = []
    for name in names:
        kind = BLOCK_TYPES[name]
        most = (
            ON_A_GRID if kind.together > 1 else SEARCHED if name.startswith("iq4") or name.endswith("_k") else weights
        )
        x = whole[: max(1, min(most, weights) // COLS)]
        h = importance if kind.needs_importance else None
        data = quantize_rows(name, x, h)
        many = np.concatenate([data] * max(1, min(weights // x.size, SEARCHED // x.size)))
        into = np.empty((len(many), COLS), np.float32)
        found += [
            (name, "quantize", x.size, lambda n=name, x=x, h=h: quantize_rows(n, x, h)),
            (name, "dequantize", len(many) * COLS, lambda n=name, d=many, y=into: dequantize_rows(n, d, COLS, y)),
            (name, "metrics", x.size, lambda n=name, x=x, h=h: qv.evaluate(x, n, h, detail="metrics")),
        ]
        described = qv.describe(x)
        found.append((name, "full", x.size, lambda n=name, x=x, h=h, s=described: qv.evaluate(x, n, h, statistics=s)))
        if name in QUANTIZED_THERE:
            number, part = GGMLQuantizationType[ggml_name(name)], x[: max(1, SEARCHED // COLS)]
            found.append((name, "gguf-py", part.size, lambda t=number, x=part: quants.quantize(x, t)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("types", nargs="*", help="which types (default all)")
    parser.add_argument("--weights", type=int, default=1 << 24, help="size of the tensor (default 16.8M)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; the median counts")
    options = parser.parse_args()
    for check in checks():
        if not check.holds:
            sys.exit(f"{check.type}: {check.rows - check.equal} rows differ from {check.source}; no timing is made.")
    runs = contenders(options.types or list(BLOCK_TYPES), max(options.weights, COLS))
    for *_, run in runs:  # once, so that everything is compiled and loaded
        run()
    read, copy = bandwidth(np.ones(max(options.weights, 1 << 22), np.float32))
    print(f"{platform.processor() or platform.machine()}, {THREADS} threads; Python {platform.python_version()}, "
          f"numba {numba.__version__}, NumPy {np.__version__}")  # fmt: skip
    print(f"read bandwidth {read:.1f} GB/s, copy bandwidth {copy:.1f} GB/s, measured here\n")
    times: dict[tuple[str, str], list[float]] = {(name, what): [] for name, what, *_ in runs}
    for _ in range(options.rounds):
        for name, what, _, run in runs:
            times[name, what].append(_seconds(run))
    size = {(name, what): weights for name, what, weights, _ in runs}
    columns = ("quantize", "dequantize", "metrics", "full", "gguf-py")
    heads = ("quantize", "dequantize", "evaluate metrics", "evaluate full", "gguf-py quantize")
    print("million weights a second" + "".join(f"{h:>18}" for h in heads) + "   ggml's C, one thread (published)")
    for name in dict.fromkeys(name for name, *_ in runs):
        cells = (
            f"{size[name, c] / stats.median(times[name, c]) / 1e6:18,.1f}" if (name, c) in times else f"{'–':>18}"
            for c in columns
        )
        print(f"{name:24}{''.join(cells)}   {GGML_ONE_THREAD.get(name, '–')}")


if __name__ == "__main__":
    main()
