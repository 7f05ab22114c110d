"""One outlier among ordinary weights: what it does to the others, with one scale for all and with small blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..formats import get
from ..kernels import quantize
from ..outliers.curves import block_size_sweep
from ..sources.synthetic import SyntheticSpec, generate

WEIGHTS, PLACE = 128, 40
SIGMA = 0.02
MOST_SIGMAS = 100
BLOCK = 32  # weights that share a scale
STEPS = get("int4").max_symmetric  # from 0 to the largest
SCHEMES = ("int4-sym-tensor", f"int4-sym-b{BLOCK}")


@dataclass(frozen=True, eq=False)
class Pulled:
    """float32 [WEIGHTS] each: before, and after each scheme. neighbours: √(Σe²/Σx²) of all but the outlier.
    zeroed: how many of them became 0.  zeroed_near: with a scale a block, those in the outlier's own."""

    sigmas: float
    before: np.ndarray
    after: dict[str, np.ndarray]
    neighbours: dict[str, float]
    zeroed: dict[str, int]
    zeroed_near: int


def pulled(sigmas: float) -> Pulled:
    """A row of ordinary weights of which one lies `sigmas` standard deviations out."""
    row = generate(SyntheticSpec(rows=1, cols=WEIGHTS, scale=SIGMA, seed=7))
    row[PLACE] = np.float32(sigmas * SIGMA)
    others = np.arange(WEIGHTS) != PLACE
    after = {key: quantize(row[None], key).dequantize()[0] for key in SCHEMES}
    errors, zeroed = {}, {}
    for key, made in after.items():
        x, y = row[others].astype(np.float64), made[others].astype(np.float64)
        errors[key] = float(np.sqrt(np.square(y - x).sum() / np.square(x).sum()))
        zeroed[key] = int(((y == 0) & (x != 0)).sum())
    near = others & (np.arange(WEIGHTS) // BLOCK == PLACE // BLOCK) & (row != 0)
    return Pulled(sigmas, row, after, errors, zeroed, int((after[SCHEMES[1]][near] == 0).sum()))


@dataclass(frozen=True)
class BlockPoint:
    """One block size: bits a weight, scales counted, and the error of all weights. block: 0 is one scale for all."""

    block: int
    scheme: str
    bits: float
    relative_error: float
    mean_relative_error: float


BLOCKS = (0, 1024, 512, 256, 128, 64, 32, 16)


def block_sizes(symmetry: str = "sym", bits: int = 4, blocks: Sequence[int] = BLOCKS) -> list[BlockPoint]:
    """Integers in ever smaller blocks, on a random tensor of 256 × 1,024 weights; one in a thousand lies out."""
    spec = SyntheticSpec(rows=256, cols=1024, outliers=0.001, magnitude=20)
    w = generate(spec).reshape(spec.rows, spec.cols)
    named = {f"b{block}" if block else "tensor": block for block in blocks}
    found = block_size_sweep(w, bits, (symmetry,), tuple(named))
    return [
        BlockPoint(
            named[p.granularity], p.scheme, p.metrics["bits_per_weight"], p.metrics["relative_l2_error"],
            p.metrics["mean_relative_error"],
        )
        for p in found
    ]  # fmt: skip
