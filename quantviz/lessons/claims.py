"""The statements of the article that small tensors decide: what this machine computes, and whether they hold."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..evaluation import describe
from ..kernels import quantize
from ..quality.results import Verdict
from ..text.wording import bits, number, share
from .outlier import BLOCKS, block_sizes
from .rounding import SIX, rounded

STATEMENTS = {
    1: "float32 takes 4 bytes a weight; float16, bfloat16, float8, float4 take 2, 2, 1, ½.",
    2: "Most weights cluster near zero, so the full float range is not needed.",
    3: "Symmetric rounding costs up to 18% average error on a small tensor; asymmetric 8.5%.",
    4: "Blocks of 32 to 256 weights, each with its own scale (and zero point), contain outliers.",
}
_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8_e4m3": 1, "fp4_e2m1": 0.5}
_WITHIN = 3.0  # standard deviations: nearly all of what clusters lies within
_CLUSTERED = 0.95
_SAID = {"int4-sym-tensor:scale=fp32": 0.18, "int4-asym-tensor:scale=fp32": 0.085}
_NEAR = 0.0005  # the article rounds to 18% and 8.5%


def bytes_a_weight() -> Verdict:
    """Claim 1, from what `quantize` stores of 1,024 weights."""
    w = np.linspace(-1, 1, 1024, dtype=np.float32)[None]
    taken = {key: quantize(w, key).nbytes / w.size for key in _BYTES}
    held = taken == _BYTES
    evidence = tuple(
        f"{key}: {number(nbytes)} {'byte' if nbytes == 1 else 'bytes'} a weight." for key, nbytes in taken.items()
    )
    summary = "So it is stored here." if held else "Not all of these are stored so here."
    return Verdict(1, STATEMENTS[1], "holds" if held else "does not hold", summary, evidence)


def near_zero(w: Any, name: str) -> Verdict:
    """Claim 2, on the weights of a layer called `name`."""
    found = describe(w)
    within = share_within(found, _WITHIN)
    held = within >= _CLUSTERED and found.max_abs < 2.0**16
    summary = f"Of {name}, {share(within)} of the weights lie within {_WITHIN:g} standard deviations of zero."
    evidence = (
        f"The standard deviation is {number(found.std)}, the largest magnitude {number(found.max_abs)}: float32 "
        f"reaches {number(float(np.finfo(np.float32).max), 2)}.",
    )
    return Verdict(2, STATEMENTS[2], "holds" if held else "does not hold", summary, evidence)


def share_within(statistics: Any, sigmas: float) -> float:
    """Share of a tensor's weights within so many standard deviations of zero, from its histogram's whole bins."""
    h = statistics.histogram
    edges = np.linspace(h.lo, h.hi, len(h.counts) + 1)
    limit = sigmas * statistics.std
    inside = (edges[:-1] >= -limit) & (edges[1:] <= limit)
    return float(h.counts[inside].sum() / (h.counts.sum() + h.below + h.above))


def six_numbers() -> Verdict:
    """Claim 3, on the six numbers of the article."""
    found = {key: rounded(SIX, key).metrics["mean_relative_error"] for key in _SAID}
    held = all(abs(found[key] - said) < _NEAR for key, said in _SAID.items())
    sym, asym = found.values()
    summary = (
        f"On the article's six numbers, with 4 bits and one scale: symmetric {share(sym)}, asymmetric {share(asym)}."
    )
    evidence = (
        "That is the mean of |error| / |weight|. Other tensors give other figures: of one that is symmetric about "
        "zero, both do alike.",
    )
    return Verdict(3, STATEMENTS[3], "holds" if held else "does not hold", summary, evidence)


def blocks_contain() -> Verdict:
    """Claim 4: the error of ever smaller blocks on a tensor with outliers."""
    points = {point.block: point for point in block_sizes()}
    whole = points[0].relative_error
    inside = [points[block] for block in BLOCKS if 32 <= block <= 256]
    errors = [whole, *(point.relative_error for point in inside)]
    held = all(smaller < larger for larger, smaller in pairwise(errors))  # BLOCKS go from coarse to fine
    summary = (
        f"The smaller the blocks, the fewer weights an outlier spoils: with one scale for all the error is "
        f"{share(whole)}; in blocks of 256 "
        f"{share(points[256].relative_error)}, of 32 {share(points[32].relative_error)}."
    )
    evidence = (
        "The tensor is random, one weight in a thousand lies 20 standard deviations out; the error is ‖e‖/‖x‖.",
        *(f"{p.scheme}: {share(p.relative_error)} at {bits(p.bits)} bits a weight." for p in inside),
    )
    finding = "holds" if held else "does not hold"
    return Verdict(4, STATEMENTS[4], finding, summary, evidence)
