"""What happened, in words: a few rules over the numbers, each silent where there is nothing to say.

Every sentence carries the number it rests on. Thresholds are named, so that a reader can argue with them.
"""

from __future__ import annotations

import math

import numpy as np

from ..block_types import was_rounded
from ..inspection import Block
from ..inspection.worked import code_values
from ..metrics import value_text
from ..schemes import TENSOR, Scheme
from ..statistics import TensorStatistics
from ..tensors import rows_and_cols
from ..text.wording import bits, decibels, number, plural, share
from .tensor import Evaluation

MOST = 3  # sentences at a time; the rules stand in order of importance

OUTLIER_SIGMAS = 8.0  # from the mean; a normal layer of 10⁹ weights reaches 6.1σ
ALONE = 1.25  # times the next largest weight: what is less far out does not set a scale alone
SCALE_CUT = 0.6  # of the largest weight: errs more where the type of the scale was too narrow for it, 2 bits by half
MANY_ZEROED = 0.2
FEW_ZEROED = 0.01
MANY_CLIPPED = 0.001
CONCENTRATED = 0.25  # share of the squared error in the worst 1% of blocks
IDLE_BITS = 1.0  # bits of a code that carry nothing
COSTLY_SCALES = 0.1  # share of all bits that are scales and zero points
SMALL_WEIGHTS_SUFFER = 3.0  # mean relative error over relative L2 error
IN_COMMON = 0.01  # share of the output's squared error that weights and inputs have in common
SAME_DB = 0.05
SAME_BITS = 0.005
WIDER_THAN_FLOAT32 = ("int64", "uint64", "int32", "uint32")  # read as float32, which may round them


def sentences(evaluation: Evaluation) -> list[str]:
    """Up to MOST sentences about a full evaluation, the most important first; then what it was quantized from."""
    rules = (_lossless, _outlier_scale, _concentrated, _zeroed, _clipped, _idle_codes, _small_weights, _costly_scales)
    found = [text for rule in rules if (text := rule(evaluation, evaluation.statistics))]
    kept = found[:1] if found and not evaluation.metrics["mean_abs_error"] else found[:MOST]
    before = on_top_of(evaluation.dtype)
    return [*kept, before] if before else kept


def on_top_of(dtype: str) -> str | None:
    """A sentence for a tensor stored in a block type or in 8 bits, which was quantized before; None for others."""
    if not was_rounded(dtype):
        return None
    return (
        f"The tensor is stored as {dtype}, so it was rounded once before: errors here are measured against the stored "
        "weights, and come on top of what that rounding lost."
    )


def pinned_sentence(evaluation: Evaluation, pinned: Evaluation) -> str | None:
    """How the scheme compares with the pinned one, in SQNR and bits; None for the same scheme."""
    if evaluation.scheme == pinned.scheme:
        return None
    gain = evaluation.metrics["sqnr_db"] - pinned.metrics["sqnr_db"]
    cost = evaluation.metrics["bits_per_weight"] - pinned.metrics["bits_per_weight"]
    if not math.isfinite(gain):
        return None
    quality = "the same SQNR" if abs(gain) < SAME_DB else f"{decibels(abs(gain))} {_more(gain)} SQNR"
    price = "the same bits" if abs(cost) < SAME_BITS else f"{bits(abs(cost))} bits a weight {_more(cost)}"
    return f"Against the pinned {pinned.scheme}: {quality} for {price}."


def output_sentence(evaluation: Evaluation) -> str | None:
    """What the output loses with inputs quantized too, and whose part that is; None where it is not known."""
    m = evaluation.metrics
    if "joint_output_relative_error" not in m:
        return None
    held = m.get("heldout_joint_output_relative_error", math.nan)
    apart = "" if math.isnan(held) else f", {share(held)} for inputs that were not calibrated on"
    joint = share(m["joint_output_relative_error"])
    said = f"With its inputs quantized too the layer's output errs by {joint} of its length{apart}"
    parts = m["output_share_of_weights"], m["output_share_of_inputs"]
    if any(math.isnan(part) for part in parts):
        return f"{said}."
    both, rest = 1 - sum(parts), ""
    if abs(both) >= IN_COMMON:
        rest = f"; {share(both)} is added where they go together" if both > 0 else f"; they cancel {share(-both)} of it"
    return f"{said}: {share(parts[0])} of the squared error is the weights', {share(parts[1])} the inputs'{rest}."


def _more(x: float) -> str:
    return "more" if x > 0 else "less"


def block_sentence(block: Block, statistics: TensorStatistics) -> str | None:
    """What the largest weight does to its block, if it does anything remarkable."""
    if block.scale is None and block.unpacked is None:
        return None
    scheme = Scheme.parse(block.scheme)
    whose = "rotated weights" if block.rotated else "multiplied weights" if block.multiplied else "weights"
    apart = np.zeros(block.original.shape, bool) if block.kept is None else block.kept
    x, y = (values[~apart] for values in (block.original, block.dequantized))
    if len(x) < 2 or not statistics.std:
        return None
    size = np.abs(x)
    top = int(size.argmax())
    others, gone = np.delete(x, top), np.delete(y == 0, top)
    zeroed = _fraction(gone & (others != 0), others != 0)
    second = float(np.abs(others).max())
    far = abs(float(x[top]) - statistics.mean) / statistics.std
    alone = far >= OUTLIER_SIGMAS and size[top] >= ALONE * second and not (block.rotated or block.multiplied)
    alone = alone and abs(y[top]) > size[top] / 2  # else its scale's own type was too narrow for it
    if block.is_part:  # the largest of the group may lie elsewhere, unless it is that of the tensor
        alone = alone and size[top] == max(abs(statistics.min), abs(statistics.max))
    if not alone or block.scale is None or not _largest_sets_scale(scheme):
        zeroed = _fraction((y == 0) & (x != 0), x != 0)
        of = f"the non-zero {whose} shown" if block.is_part else f"this block's non-zero {whose}"
        return f"{share(zeroed)} of {of} became zero." if zeroed > MANY_ZEROED else None
    what = f"One weight, {number(far, 2)}σ from the mean, sets this block's scale"
    if zeroed >= FEW_ZEROED:
        return f"{what}; {share(zeroed)} of its neighbours became zero."
    return f"{what}: it is {number(size[top] / second, 2)} times as large as the next." if second else f"{what}."


def _fraction(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum()) / max(int(whole.sum()), 1)


def _largest_sets_scale(scheme: Scheme) -> bool:
    """Whether the largest weight of a group makes its scale: not where it is clipped, rotated or averaged."""
    return scheme.clip == "absmax" and scheme.rotate == "none" and scheme.rule not in ("sign", "ternary", "cast")


def _lossless(e: Evaluation, s: TensorStatistics) -> str | None:
    if e.metrics["mean_abs_error"]:  # of float64 weights the largest error, in float32, may be 0
        return None
    if s.zeros == s.count:
        return "Nothing is lost: all weights are zero. What is measured against their size is therefore undefined."
    read = ", read as float32," if e.dtype in WIDER_THAN_FLOAT32 else ""
    return f"Nothing is lost: every weight{read} is a value that {e.scheme} can hold."


def _outlier_scale(e: Evaluation, s: TensorStatistics) -> str | None:
    """With one scale for the whole tensor: which weights make it large, and what that does to the others."""
    scheme = Scheme.parse(e.scheme)
    if str(scheme.granularity) != "tensor" or not _largest_sets_scale(scheme) or scheme.keep or not s.std:
        return None
    size = np.abs(s.largest_value.astype(np.float64))
    far = np.abs(s.largest_value.astype(np.float64) - s.mean) / s.std
    if not len(far) or far[0] < OUTLIER_SIGMAS or e.metrics["max_abs_error"] > SCALE_CUT * size[0]:
        return None
    zeroed = e.metrics["zeroed_fraction"]
    tail = (
        f"{value_text('zeroed_fraction', zeroed)} of the non-zero weights became zero"
        if zeroed > FEW_ZEROED
        else "all share its steps"
    )
    beside = int((size > size[0] / ALONE).sum())
    if beside == 1 and len(size) > 1:
        return f"One weight, {number(far[0], 2)}σ from the mean, sets the scale of the whole tensor; {tail}."
    many = f"At least {beside}" if beside == len(size) < s.count else f"{beside}"
    return (
        f"{many} weights about as far out as the farthest, {number(far[0], 2)}σ from the mean, set the scale of the "
        f"whole tensor; {tail}."
    )


def _concentrated(e: Evaluation, s: TensorStatistics) -> str | None:
    if e.block_errors is None or e.block_errors.size < 200:
        return None
    squared = np.square(e.block_errors, dtype=np.float64)
    granularity = Scheme.parse(e.scheme).granularity or TENSOR
    squared = (squared * granularity.sizes(*rows_and_cols(s.shape, s.input_axes))).reshape(-1)
    count = max(1, squared.size // 100)
    whole = float(squared.sum())
    held = float(np.partition(squared, -count)[-count:].sum()) / whole if whole else 0.0
    if held < CONCENTRATED:
        return None
    return (
        f"The error sits in few places: the worst {plural(count, 'block')} of {squared.size:,} "
        f"{'holds' if count == 1 else 'hold'} {share(held)} of the squared error."
    )


def _zeroed(e: Evaluation, s: TensorStatistics) -> str | None:
    zeroed = e.metrics.get("zeroed_fraction", 0.0)
    if not zeroed > MANY_ZEROED or _outlier_scale(e, s):
        return None
    return f"{value_text('zeroed_fraction', zeroed)} of the non-zero weights became exactly zero."


def _clipped(e: Evaluation, _: TensorStatistics) -> str | None:
    clipped = e.metrics.get("clipped_fraction", 0.0)
    if not clipped > MANY_CLIPPED:
        return None
    cut = value_text("clipped_fraction", clipped)
    return f"{cut} of the weights lay beyond the range of the codes and were cut to its end."


def _idle_codes(e: Evaluation, s: TensorStatistics) -> str | None:
    entropy = e.metrics.get("code_entropy_bits")
    scheme = Scheme.parse(e.scheme)
    if entropy is None or scheme.fmt.bits > 8 or scheme.fmt.bits > e.metrics["bits_per_weight"]:
        return None
    # Few weights cannot fill many codes: that is no fault of the scheme.
    if min(scheme.fmt.bits, math.log2(s.count)) - entropy < IDLE_BITS:
        return None
    used, there = int((e.code_counts > 0).sum()), len(code_values(scheme)[0])
    few = f"; the weights use {used} of {there} codes" if used < there else ""
    return f"Codes of {plural(scheme.fmt.bits, 'bit')} carry {number(entropy, 2)} bits of information{few}."


def _small_weights(e: Evaluation, _: TensorStatistics) -> str | None:
    relative, l2 = e.metrics["mean_relative_error"], e.metrics["relative_l2_error"]
    if not (l2 > 0 and relative / l2 > SMALL_WEIGHTS_SUFFER):
        return None
    told = value_text("mean_relative_error", relative), value_text("relative_l2_error", l2)
    return (
        f"Against their own size, small weights suffer most: the mean relative error is {told[0]}, "
        f"the relative L2 error only {told[1]}."
    )


def _costly_scales(e: Evaluation, _: TensorStatistics) -> str | None:
    whole = e.metrics["bits_per_weight"]
    scheme = Scheme.parse(e.scheme)
    extra = whole - scheme.fmt.bits
    if extra / whole < COSTLY_SCALES:
        return None
    scales = {"asym": "scales and zero points", "offset": "scales and minima", "block type": "scales and their like"}
    takers = [scales.get(scheme.rule, "scales")]
    takers += ["weights kept apart"] * bool(scheme.keep)
    if scheme.pad and scheme.fmt.padded(e.shape[-1]) != e.shape[-1]:
        takers.append("the zeros that fill up the rows")
    told = ", and ".join([", ".join(takers[:-1]), takers[-1]] if len(takers) > 1 else takers)
    return f"{told[:1].upper()}{told[1:]} take {bits(extra)} of the {bits(whole)} bits a weight."
