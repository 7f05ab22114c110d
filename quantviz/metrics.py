"""Every error measure, declared once: name, label, formula, unit, direction; and the sums they come from.

Pages, tables, tooltips and the command line read the declarations.
With x the original weight, x̂ the dequantized one and e = x̂ - x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .text.wording import UNDEFINED, bits, decibels, decimals, number, signed

Direction = Literal["lower", "higher", "neither"]
BETTER: dict[Direction, str] = {
    "lower": "lower is better", "higher": "higher is better", "neither": "neither way is better",
}  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """One measure. unit "" is a plain number; "fraction" is shown as a percentage.

    counted: whether it needs counting weight by weight, so that detail="metrics" leaves it out.
    """

    name: str
    label: str
    formula: str
    unit: str
    direction: Direction
    meaning: str
    counted: bool = False


_DECLARED = (
    Metric("mean_relative_error", "Mean relative error", "mean(|e| / |x|) over x ≠ 0", "fraction", "lower",
           "The article's average error: every weight counts alike, so the smallest weigh most."),
    Metric("relative_l1_error", "Relative L1 error", "Σ|e| / Σ|x|", "fraction", "lower",
           "The average size of an error against the average size of a weight."),
    Metric("relative_l2_error", "Relative L2 error", "‖e‖ / ‖x‖", "fraction", "lower",
           "The length of the error against the length of the weights, as vectors: large ones weigh most."),
    Metric("sqnr_db", "SQNR", "10·log₁₀(Σx² / Σe²)", "dB", "higher",
           "Signal to quantization noise ratio; one more bit is worth about 6.02 dB."),
    Metric("cosine_similarity", "Cosine similarity", "Σx·x̂ / (‖x‖·‖x̂‖)", "", "higher",
           "How nearly the dequantized weights point in the direction of the originals."),
    Metric("mse", "Mean squared error", "mean(e²)", "weight²", "lower", "The average squared error."),
    Metric("rmse", "Root mean squared error", "√mean(e²)", "weight", "lower",
           "A typical error, in the weights' own unit."),
    Metric("mean_abs_error", "Mean absolute error", "mean(|e|)", "weight", "lower", "The average size of an error."),
    Metric("max_abs_error", "Largest absolute error", "max(|e|)", "weight", "lower", "The worst single weight."),
    Metric("rmse_over_scale", "RMSE over scale", "√mean((e / s)²)", "scale", "lower",
           "The error in steps of the scale s; uniform rounding gives 1/√12 ≈ 0.289."),
    Metric("abs_error_p50", "Median absolute error", "50th percentile of |e|", "weight", "lower",
           "Half of the errors are smaller.", counted=True),
    Metric("abs_error_p95", "95th percentile of absolute error", "95th percentile of |e|", "weight", "lower",
           "One weight in 20 has a larger error.", counted=True),
    Metric("abs_error_p99", "99th percentile of absolute error", "99th percentile of |e|", "weight", "lower",
           "One weight in 100 has a larger error.", counted=True),
    Metric("abs_error_p999", "99.9th percentile of absolute error", "99.9th percentile of |e|", "weight", "lower",
           "One weight in 1,000 has a larger error.", counted=True),
    Metric("zeroed_fraction", "Zeroed", "share of x ≠ 0 with x̂ = 0", "fraction", "lower",
           "Non-zero weights that became exactly zero.", counted=True),
    Metric("clipped_fraction", "Clipped", "share of x that round beyond the largest or smallest code", "fraction",
           "lower",
           "Weights cut off at the end of the range; of a code book, beyond its outermost level. Signs and grids of "
           "combinations have no such end.", counted=True),
    Metric("code_entropy_bits", "Code entropy", "-Σ p·log₂ p over codes", "bits", "neither",
           "What the codes would take if compressed without loss; the distance to the format's bits is unused.",
           counted=True),
    Metric("bits_per_weight", "Bits per weight", "bits stored / weights", "bits", "lower",
           "Codes, scales, zero points or minima and second-level scales, all counted."),
    Metric("compression_ratio", "Compression", "stored bits of the original / bits per weight", "×", "higher",
           "Against the dtype in which the tensor is stored."),
    Metric("weighted_mse", "Importance-weighted MSE", "Σ h·e² / Σ h", "weight²", "lower",
           "Squared error weighted by the importance h of each input channel."),
    Metric("output_relative_error", "Output error", "√(tr(E·H·Eᵀ) / tr(W·H·Wᵀ)), H = E[x·xᵀ]", "fraction", "lower",
           "The length of the error of the layer's output, ‖(Ŵ - W)x‖ against ‖Wx‖, over the calibration's inputs x: "
           "the better the output, often the worse the weights."),
    Metric("heldout_output_relative_error", "Output error, held out", "√(Σ‖(Ŵ - W)x‖² / Σ‖Wx‖²) over held-out x",
           "fraction", "lower",
           "The same over inputs that were not calibrated on: what it is larger by is overfitted."),
    Metric("output_sqnr_db", "Output SQNR", "10·log₁₀(tr(W·H·Wᵀ) / tr(E·H·Eᵀ))", "dB", "higher",
           "Signal to quantization noise ratio of the layer's output, over the calibration's inputs."),
    Metric("joint_output_relative_error", "Output error, inputs too", "‖Ŵ·Q(X) - W·X‖ / ‖W·X‖", "fraction", "lower",
           "The length of the error of the layer's output with its inputs quantized too, as act= says, over the "
           "calibration's sample of inputs X."),
    Metric("heldout_joint_output_relative_error", "Output error, inputs too, held out", "‖Ŵ·Q(X) - W·X‖ / ‖W·X‖ over "
           "held-out X", "fraction", "lower", "The same over inputs that were not calibrated on."),
    Metric("output_share_of_weights", "Of that, the weights'", "‖(Ŵ - W)·X‖² / ‖Ŵ·Q(X) - W·X‖²", "fraction", "neither",
           "What the weights alone make of the squared error of the output with quantized inputs. It adds up to 100% "
           "with the inputs' share but for what the two have in common."),
    Metric("output_share_of_inputs", "Of that, the inputs'", "‖Ŵ·(Q(X) - X)‖² / ‖Ŵ·Q(X) - W·X‖²", "fraction", "neither",
           "What quantizing the inputs alone makes of the squared error of the output."),
)  # fmt: skip

METRICS: dict[str, Metric] = {m.name: m for m in _DECLARED}

ROUNDING_DB = 1e-6  # an SQNR nearer to 0 than that is the rounding of sums that began in float32
PERCENTILES = {"abs_error_p50": 0.5, "abs_error_p95": 0.95, "abs_error_p99": 0.99, "abs_error_p999": 0.999}


def value_text(name: str, value: float) -> str:
    """The value of metric `name` to four significant digits, with its unit; a fraction as a percentage.

    >>> value_text("mean_relative_error", 0.18003), value_text("sqnr_db", 23.334), value_text("compression_ratio", 7.1)
    ('18.00%', '23.33 dB', '7.100×')
    >>> value_text("bits_per_weight", 4.5), value_text("zeroed_fraction", 0.0), value_text("mse", 2.5e-9)
    ('4.500', '0%', '2.500e−09')
    """
    if math.isnan(value):
        return UNDEFINED
    if name == "bits_per_weight":
        return bits(value)
    match METRICS[name].unit:
        case "fraction":
            return f"{number(100 * value, fixed=True)}%"
        case "dB":
            return decibels(value)
        case unit:
            return number(value, fixed=True) + "×" * (unit == "×")


def difference(name: str, value: float, other: float) -> str | None:
    """`value` minus `other`, signed; None where there is no telling.

    >>> difference("sqnr_db", 20.0, 14.0), difference("mean_relative_error", 0.1, 0.25), difference("mse", 1.0, 1.0)
    ('+6.00 dB', '−15.0 pp', '0')
    """
    gap = value - other
    if not math.isfinite(gap):
        return None
    if abs(gap) < 1e-4 * max(abs(value), abs(other)):
        gap = 0.0
    match METRICS[name].unit:
        case "fraction":
            return f"{signed(number(100 * gap, 3, fixed=True))} pp"
        case "dB":
            return f"{signed(decimals(gap, 2))} dB"
        case unit:
            return signed(number(gap, 3, fixed=True)) + "×" * (unit == "×")


def tooltip(metric: Metric) -> str:
    """Formula, unit, direction and meaning, in Markdown."""
    unit = {"": "a plain number", "fraction": "a fraction, shown in %", "×": "a factor"}.get(metric.unit, metric.unit)
    return f"`{metric.formula}`\n\nUnit: {unit}; {BETTER[metric.direction]}.\n\n{metric.meaning}"


@dataclass
class Sums:
    """What one pass over the weights adds up, in float64; the moment metrics follow from it."""

    count: int = 0
    nonzero: int = 0
    squared_error: float = 0.0
    abs_error: float = 0.0
    relative_error: float = 0.0  # Σ |e|/|x| over x ≠ 0
    max_abs_error: float = 0.0
    squared: float = 0.0  # Σ x²
    abs: float = 0.0  # Σ |x|
    product: float = 0.0  # Σ x·x̂
    squared_dequantized: float = 0.0  # Σ x̂²
    squared_steps: float | None = None  # Σ (e/s)²; None for a plain cast
    weighted_squared_error: float | None = None  # Σ h·e²
    importance: float | None = None  # Σ h over weights


def from_sums(s: Sums) -> dict[str, float]:
    """The moment metrics. A ratio whose denominator is zero is NaN; no error at all is an SQNR of infinity."""
    out = {
        "mean_relative_error": _ratio(s.relative_error, s.nonzero),
        "relative_l1_error": _ratio(s.abs_error, s.abs),
        "relative_l2_error": math.sqrt(_ratio(s.squared_error, s.squared)),
        "sqnr_db": signal_to_noise_db(s.squared, s.squared_error),
        "cosine_similarity": _ratio(s.product, math.sqrt(s.squared) * math.sqrt(s.squared_dequantized)),
        "mse": s.squared_error / s.count,
        "rmse": math.sqrt(s.squared_error / s.count),
        "mean_abs_error": s.abs_error / s.count,
        "max_abs_error": s.max_abs_error,
    }
    if s.squared_steps is not None:
        out["rmse_over_scale"] = math.sqrt(s.squared_steps / s.count)
    if s.weighted_squared_error is not None:
        out["weighted_mse"] = _ratio(s.weighted_squared_error, s.importance)
    return out


def entropy_bits(counts: np.ndarray) -> float:
    """Shannon entropy in bits of the distribution given by `counts`."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum()) + 0.0


def _ratio(numerator: float, denominator: float | None) -> float:
    return numerator / denominator if denominator else math.nan


def signal_to_noise_db(signal: float, noise: float) -> float:
    """10·log₁₀(signal / noise); NaN without a signal, infinite without noise."""
    if not signal:
        return math.nan
    if not noise:
        return math.inf
    decibels = 10 * (math.log10(signal) - math.log10(noise))
    return 0.0 if abs(decibels) < ROUNDING_DB else decibels
