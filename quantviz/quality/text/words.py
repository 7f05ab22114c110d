"""Figures of a language model as people read them; ratios as a percentage near 1, as a factor beyond."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...text.wording import plural, share
from ..results import QUALITY_METRICS, Continuation, LayerError, QualityResult
from ..train_demo.log import Checkpoint

FACTOR_FROM = 2.0  # ratios from here on are said as factors


def added_text(ratio: float, se: float = math.nan) -> str:
    """What a ratio adds, with its standard error to two digits where it is known.

    >>> added_text(1.00321, 0.00114), added_text(0.9999, 0.0002), added_text(99.08, 3.2), added_text(math.nan)
    ('+0.32% ± 0.11%', '−0.010% ± 0.020%', '×99.1 ± 3.2', 'not a number')
    """
    if math.isnan(ratio):
        return "not a number"
    if math.isinf(ratio):
        return "infinite"
    if ratio < FACTOR_FROM:
        return _with_error(100 * (ratio - 1), 100 * se, "%", signed=True)
    return "×" + _with_error(ratio, se, "", signed=False)


def with_error(value: float, se: float) -> str:
    """
    >>> with_error(20.6502, 0.4321), with_error(0.00123, math.nan)
    ('20.65 ± 0.43', '0.00123')
    """
    return _with_error(value, se, "", signed=False)


def _with_error(value: float, se: float, unit: str, signed: bool) -> str:
    """`value` with as many decimals as two digits of its error have, three digits where there is none."""
    if not math.isfinite(value):
        return f"{value:g}"
    known = math.isfinite(se) and se > 0
    if value and abs(value) < 1e-3 and not unit:
        return f"{value:.3g}" + (f" ± {se:.2g}" if known else "")
    scale = se if known else abs(value)
    digits = 1 if known else 2
    decimals = 0 if scale == 0 else max(0, digits - math.floor(math.log10(scale) + 1e-9))
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    if abs(value) >= 1e6:
        text = f"{value:.3g}"
    if signed and not any(c in "123456789" for c in text):
        text = text.lstrip("+-")
    text = text.replace("-", "−") + unit
    if not known:
        return text
    return f"{text} ± {se:.2g}{unit}" if se >= 1e6 else f"{text} ± {se:,.{decimals}f}{unit}"


def metric_text(name: str, value: float) -> str:
    """The value of metric `name` to three significant digits, a fraction as a percentage.

    >>> metric_text("top1_agreement", 0.9512), metric_text("kl_p99", 0.0213)
    ('95.1%', '0.0213')
    """
    if math.isnan(value):
        return "no number"
    if QUALITY_METRICS[name].unit == "fraction":
        return f"{100 * value:.3g}%".replace("-", "−")
    return f"{value:.4g}"


SLIGHT = 0.01  # of perplexity added: what `summary` calls little


def summary(results: Sequence[QualityResult]) -> list[str]:
    """What stands out in complete results, in Markdown: the smallest scheme that costs little, the worst, the lost."""
    done = [r for r in results if r.complete]
    finite = [r for r in done if math.isfinite(r.perplexity_ratio)]
    said = []
    if cheap := [r for r in finite if r.added < SLIGHT]:
        r = min(cheap, key=lambda r: r.bits_per_weight)
        sure = r.added + 2 * r.perplexity_ratio_se < SLIGHT
        begin = "The" if sure else f"As far as {r.scored:,} tokens can tell, the"
        said.append(
            f"{begin} fewest bits that add less than {SLIGHT:.0%} to the perplexity: {r.scheme}, "
            f"{r.bits_per_weight:.3g} bits a weight, {added_text(r.perplexity_ratio, r.perplexity_ratio_se)}; the "
            f"likeliest token stays the same {share(r.top1_agreement)} of the time."
        )
    if len(finite) > 1 and (worst := max(finite, key=lambda r: r.perplexity_ratio)).added >= SLIGHT:
        said.append(
            f"Worst of {len(done)}: {worst.scheme}, {added_text(worst.perplexity_ratio, worst.perplexity_ratio_se)}"
            f", the likeliest token the same {share(worst.top1_agreement)} of the time."
        )
    for r in done:
        if r.collapsed:
            said.append(f"{r.scheme} collapsed the model: {r.non_finite:,} of {r.scored:,} predictions are no numbers.")
    return said


def calibration_sentence(r: QualityResult) -> str:
    """What a scheme that uses data was calibrated on, and through which blocks its inputs came."""
    through = {
        None: "",
        True: "; each block's inputs came through the blocks that were quantized before it",
        False: "; all inputs were those of the model as it is stored",
    }[r.propagate]
    return f"{r.calibration_text}, {plural(r.calibration_tokens, 'token')}, none of which is scored{through}."


def fragility_sentence(checkpoints: Sequence[Checkpoint]) -> str | None:
    """Whether the model grew more fragile as it learned, scheme by scheme; None with fewer than two checkpoints."""
    if len(checkpoints) < 2:
        return None
    first, last = checkpoints[0], checkpoints[-1]
    both = [s for s in last.ratios if s in first.ratios]
    worse = [s for s in both if last.ratios[s] > first.ratios[s]]
    most = max(both, key=lambda s: last.ratios[s] / first.ratios[s])
    text = (
        f"From {first.tokens / 1e6:.3g} to {last.tokens / 1e6:.3g} million tokens of training the demo model's own "
        f"perplexity fell from {first.perplexity:.3g} to {last.perplexity:.3g}. {len(worse)} of {len(both)} schemes "
        f"hurt it more at the end, {most} most: {added_text(first.ratios[most])} became "
        f"{added_text(last.ratios[most])}."
    )
    rest = [s for s in both if s not in worse]
    return text + (f" Not so {', '.join(rest)}." if rest else "")


def difference_text(c: Continuation) -> str:
    """How far a continuation agrees with that of the model as it is stored."""
    if c.scheme is None:
        return plural(len(c.pieces), "token")
    if not c.pieces:
        return "not one token: the logits are no numbers"
    if c.first_difference is None:
        return "the same text"
    return f"parts at token {c.first_difference + 1}; {sum(c.differs)} of {len(c.differs)} differ"


def layers_sentence(errors: Sequence[LayerError]) -> str:
    """How the errors of outputs compare with those of weights, and where an output is hurt most."""
    told = [e for e in errors if math.isfinite(e.output_error)]
    if not told:
        return "No layer put anything out for this text."
    less = sum(e.output_error < e.weight_error for e in told)
    worst = max(told, key=lambda e: e.output_error)
    return (
        f"In {less} of {plural(len(told), 'layer')} the output is hurt less than the weights. "
        f"Hurt most: {worst.layer}, {share(worst.output_error)} of its output against {share(worst.weight_error)} of "
        "its weights."
    )
