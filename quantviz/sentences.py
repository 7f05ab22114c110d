"""What happened, in words: a few rules over the numbers, each silent where there is nothing to say.

Every sentence carries the number it rests on. Thresholds are named, so that a reader can argue with them.
"""

from __future__ import annotations

import math

import numpy as np

from .codes import code_values
from .evaluation import Evaluation
from .inspection import Block
from .schemes import Scheme
from .statistics import TensorStatistics
from .wording import share

MOST = 3  # sentences at a time; the rules stand in order of importance

OUTLIER_SIGMAS = 8.0  # a normal layer of 10⁹ weights reaches 6.1σ
MANY_ZEROED = 0.2
FEW_ZEROED = 0.01
MANY_CLIPPED = 0.001
CONCENTRATED = 0.25  # share of the squared error in the worst 1% of blocks
IDLE_BITS = 1.0  # bits of a code that carry nothing
COSTLY_SCALES = 0.1  # share of all bits that are scales and zero points
SMALL_WEIGHTS_SUFFER = 3.0  # mean relative error over relative L2 error
SAME_DB = 0.05


def sentences(evaluation: Evaluation) -> list[str]:
    """Up to MOST sentences about a full evaluation, the most important first."""
    rules = (_lossless, _outlier_scale, _concentrated, _zeroed, _clipped, _idle_codes, _small_weights, _costly_scales)
    found = [text for rule in rules if (text := rule(evaluation, evaluation.statistics))]
    return found[:1] if found and evaluation.metrics["mse"] == 0 else found[:MOST]


def against(evaluation: Evaluation, pinned: Evaluation) -> str | None:
    """How the scheme compares with the pinned one, in SQNR and bits; None for the same scheme."""
    if evaluation.scheme == pinned.scheme:
        return None
    gain = evaluation.metrics["sqnr_db"] - pinned.metrics["sqnr_db"]
    bits = evaluation.metrics["bits_per_weight"] - pinned.metrics["bits_per_weight"]
    if not math.isfinite(gain):
        return None
    quality = "the same SQNR" if abs(gain) < SAME_DB else f"{abs(gain):.1f} dB {'more' if gain > 0 else 'less'} SQNR"
    cost = "the same bits" if abs(bits) < 0.005 else f"{abs(bits):.2f} bits a weight {'more' if bits > 0 else 'less'}"
    return f"Against the pinned {pinned.scheme}: {quality} for {cost}."


def block_sentence(block: Block, statistics: TensorStatistics) -> str | None:
    """What one weight does to its block, if it does anything remarkable."""
    size = np.abs(block.original).reshape(-1)
    if len(size) < 2 or not statistics.std or (block.scale is None and block.unpacked is None):
        return None
    top = int(size.argmax())
    sigmas = float(size[top]) / statistics.std
    others = np.delete(block.original.reshape(-1), top)
    gone = np.delete(block.dequantized.reshape(-1) == 0, top) & (others != 0)
    zeroed = float(gone.sum()) / max(int((others != 0).sum()), 1)
    if sigmas < OUTLIER_SIGMAS or block.scale is None or Scheme.parse(block.scheme).rule in ("sign", "ternary"):
        return f"{share(zeroed)} of this block's weights became zero." if zeroed > MANY_ZEROED else None
    what = f"One weight, {sigmas:.0f}σ out, sets this block's scale"
    if zeroed < FEW_ZEROED:
        return (
            f"{what}, {size[top] / max(float(np.delete(size, top).max()), 1e-30):.1f} times what its neighbours need."
        )
    return f"{what}; {share(zeroed)} of its neighbours became zero."


def _lossless(e: Evaluation, _: TensorStatistics) -> str | None:
    return "Nothing is lost: every weight is a value of the format." if e.metrics["mse"] == 0 else None


def _outlier_scale(e: Evaluation, s: TensorStatistics) -> str | None:
    scheme = Scheme.parse(e.scheme)
    if str(scheme.granularity) != "tensor" or s.crest_factor < OUTLIER_SIGMAS or scheme.rule in ("sign", "ternary"):
        return None
    zeroed = e.metrics["zeroed_fraction"]
    tail = (
        f"{share(zeroed)} of all others became zero"
        if zeroed > FEW_ZEROED
        else "all others share what steps that leaves"
    )
    return f"One weight, {s.crest_factor:.0f}σ out, sets the scale of the whole tensor; {tail}."


def _concentrated(e: Evaluation, _: TensorStatistics) -> str | None:
    if e.block_errors is None or e.block_errors.size < 200:
        return None
    errors = e.block_errors.reshape(-1)
    count = max(1, errors.size // 100)
    worst, whole = (_sum_squares(some) for some in (np.partition(errors, -count)[-count:], errors))
    held = worst / whole if whole else 0.0
    if held < CONCENTRATED:
        return None
    return f"The error sits in few places: the worst 1% of the blocks hold {share(held)} of the squared error."


def _sum_squares(x: np.ndarray) -> float:
    return float(np.einsum("i,i->", x, x, dtype=np.float64))


def _zeroed(e: Evaluation, s: TensorStatistics) -> str | None:
    zeroed = e.metrics.get("zeroed_fraction", 0.0)
    if not zeroed > MANY_ZEROED or _outlier_scale(e, s):
        return None
    return f"{share(zeroed)} of the non-zero weights became exactly zero."


def _clipped(e: Evaluation, _: TensorStatistics) -> str | None:
    clipped = e.metrics.get("clipped_fraction", 0.0)
    return (
        f"{share(clipped)} of the weights lay beyond the largest code and were cut to it."
        if clipped > MANY_CLIPPED
        else None
    )


def _idle_codes(e: Evaluation, _: TensorStatistics) -> str | None:
    entropy = e.metrics.get("code_entropy_bits")
    scheme = Scheme.parse(e.scheme)
    if (
        entropy is None
        or scheme.fmt.bits > 8
        or scheme.fmt.bits > e.metrics["bits_per_weight"]
        or scheme.fmt.bits - entropy < IDLE_BITS
    ):
        return None
    used, there = int((e.code_counts > 0).sum()), len(code_values(scheme)[0])
    few = f"; {used} of {there} codes are in use" if used < there else ""
    return f"The codes carry {entropy:.1f} of their {scheme.fmt.bits} bits{few}."


def _small_weights(e: Evaluation, _: TensorStatistics) -> str | None:
    relative, l2 = e.metrics["mean_relative_error"], e.metrics["relative_l2_error"]
    if not (l2 > 0 and relative / l2 > SMALL_WEIGHTS_SUFFER):
        return None
    return (
        f"Small weights suffer most: the mean relative error is {share(relative)}, the error energy only {share(l2)}."
    )


def _costly_scales(e: Evaluation, _: TensorStatistics) -> str | None:
    bits = e.metrics["bits_per_weight"]
    scheme = Scheme.parse(e.scheme)
    extra = bits - scheme.fmt.bits
    if extra / bits < COSTLY_SCALES:
        return None
    what = "Scales and the zeros that fill rows up" if scheme.pad else "Scales and what goes with them"
    return f"{what} take {extra:.2f} of the {bits:.2f} bits a weight."
