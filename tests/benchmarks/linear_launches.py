"""Which launch of the GPU's linear kernels is fastest: python -m tests.benchmarks.linear_launches [SCHEME ...]

For each layer and scheme: every launch that makes sense, timed L2-cold in a CUDA graph over as many copies of the
weights as exceed the cache, medians; then the fastest beside what `launch_for` takes, as shares of the copy bandwidth
that the same run measured. A launch whose result is off by more than the tolerance is not timed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator

import torch

from quantviz.kernels.cuda.linear.linear import (
    ALL_REGISTERS,
    REGISTERS,
    WARP_WORDS,
    Launch,
    dequantized,
    launch_for,
    linear,
    tolerance,
)
from quantviz.kernels.cuda.linear.packing import PackedWeights, pack

SHAPES = ((4096, 4096), (14336, 4096), (4096, 14336), (16384, 16384))
SCHEMES = ("int4-asym-b64", "int8-sym-channel", "int3-asym-b128", "nf4-b64", "mxfp4")
COLD = 1 << 28  # bytes of weights in a graph: several times any L2
REPEATS = 25


def candidates() -> Iterator[Launch]:
    for rows in (1, 2, 4, 8):
        for warps in (1, 2, 4, 8):
            for registers in (REGISTERS, ALL_REGISTERS):
                yield Launch(rows, warps * WARP_WORDS, warps, registers)


def seconds(work: Callable[[], None]) -> float:
    """Median of a CUDA graph's replays."""
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    times = []
    for _ in range(REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times)


def copy_bytes_per_s() -> float:
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source))


def bytes_per_s(copies: list[PackedWeights], x: torch.Tensor, y: torch.Tensor, launch: Launch) -> float:
    def work() -> None:
        for packed in copies:
            linear(x, packed, y, launch)

    return len(copies) * copies[0].nbytes / seconds(work)


def report(key: str, shape: tuple[int, int], ceiling: float) -> None:
    packed = pack(torch.randn(shape, device="cuda") * 0.02, key)
    copies = [packed, *(packed.clone() for _ in range(COLD // packed.nbytes))]
    x = torch.randn((1, shape[1]), device="cuda", dtype=torch.float16)
    y = torch.empty((1, shape[0]), device="cuda", dtype=torch.float16)
    # The weights compared with are rounded to float16 themselves.
    exact, allowed = x.double() @ dequantized(packed, x.dtype).double().T, tolerance(packed, x.dtype, 1) + 2.0**-11
    found = {}
    for launch in dict.fromkeys((launch_for(packed, 1), *candidates())):
        y.zero_()
        if float((linear(x, packed, y, launch).double() - exact).norm() / exact.norm()) <= allowed:
            found[launch] = bytes_per_s(copies, x, y, launch) / ceiling
        else:
            print(f"{key} {shape} {launch}: wrong result, not timed")
    for what, launch in (("taken", launch_for(packed, 1)), ("fastest", max(found, key=found.get, default=None))):
        if launch in found:
            print(f"{key:18} {shape[0]:>6} × {shape[1]:<6} {what:8} {found[launch]:6.1%} of a copy  {launch}")


def main(keys: list[str]) -> None:
    ceiling = copy_bytes_per_s()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}: copies {ceiling / 1e9:,.0f} GB/s")
    for key in keys or SCHEMES:
        for shape in SHAPES:
            report(key, shape, ceiling)


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("There is nothing to time without a CUDA device.")
    main(sys.argv[1:])
