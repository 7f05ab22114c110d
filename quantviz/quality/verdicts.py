"""What measurements say about the article's claims on a language model: 5, 6, 7 and 9, each by a rule stated here.

A rule looks at complete results alone, one at a time or in pairs, and finds yes, no, or undecided. All yes: the claim
holds; all no: it does not; some of both: it holds in part, and the evidence says where. Every threshold has a name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from ..errors import QuantvizError
from ..formats import IntFormat
from ..outliers.sentences import name_of
from ..schemes import Scheme
from ..wording import share
from .results import Finding, QualityResult, SuperWeights, Verdict
from .words import added_text

Answer = Literal["yes", "no", "undecided"]

LITTLE = 0.001  # claim 5: a tenth of a percent
SURE = 2.0  # standard errors that a difference must exceed to count
COLLAPSE = 10.0  # claim 7: times the perplexity from which a model counts as collapsed
HANDFUL = 16  # claim 9: as many weights at most
OUT_OF_PROPORTION = 10.0  # claim 9: times what as many random weights cost

STATEMENTS = {
    5: "8 bits add less than 0.1% perplexity",
    6: "4-bit asymmetric keeps accuracy better than 4-bit symmetric",
    7: "2 bits collapse the model",
    9: "a handful of outlier (“super”) weights matter out of proportion",
}
KNOWN_2_BITS = (
    "Models that were trained longer a weight break sooner. SmolLM2-135M-Instruct, its linear layers in blocks of 64 "
    "at 2 bits, sym or asym, measured for this project on 2,048 tokens of technical English: perplexity ×10⁵."
)
KNOWN_SUPER = (
    "In Llama-7B, setting one weight of an early down projection to zero takes the perplexity on C4 from 7.08 to "
    "763.65 (Yu et al. 2024, “The Super Weight in Large Language Models”, arXiv 2411.07191). Small models need not "
    "have such a weight."
)


def verdicts(results: Sequence[QualityResult], supers: Sequence[SuperWeights] = ()) -> tuple[Verdict, ...]:
    """The verdicts on claims 5, 6, 7 and 9, in this order, from results of one model and text."""
    whole = [(scheme, result) for result in results if result.complete and (scheme := _plain(result.scheme))]
    return _eight_bits(whole), _asymmetry(whole), _two_bits(whole), _handful(supers)


Measured = list[tuple[Scheme, QualityResult]]


def _plain(key: str) -> Scheme | None:
    """The scheme of a result of one scheme for all layers; None for a table."""
    try:
        return Scheme.parse(key)
    except QuantvizError:
        return None


def _integers(measured: Measured, bits: int) -> Measured:
    return [(s, r) for s, r in measured if isinstance(s.fmt, IntFormat) and s.fmt.bits == bits]


def _place(scheme: Scheme) -> str:
    """The granularity, in words."""
    return name_of(str(scheme.granularity))


def _finding(answers: Sequence[Answer]) -> Finding:
    if not answers or set(answers) == {"undecided"}:
        return "cannot tell"
    if "no" not in answers and "undecided" not in answers:
        return "holds"
    return "does not hold" if "yes" not in answers and "undecided" not in answers else "holds in part"


def _of(count: int, all_: int) -> str:
    return f"all {all_}" if count == all_ > 1 else f"{count} of {all_}"


# -- claim 5 -------------------------------------------------------------------------------------


def _eight_bits(measured: Measured) -> Verdict:
    found = [(s, r, _little(r)) for s, r in _integers(measured, 8)]
    if not found:
        return _unmeasured(5, "int8-sym-b32 and int8-asym-b32")
    evidence = tuple(f"{s.key} ({_place(s)}): {_added(r)}, {_LITTLE_WORDS[answer]}." for s, r, answer in found)
    answers = [answer for _, _, answer in found]
    below = answers.count("yes")
    summary = f"Of 8-bit schemes measured, {_of(below, len(found))} add less than 0.1% beyond doubt."
    if not below:
        summary = "No 8-bit scheme measured adds less than 0.1% beyond doubt."
    return Verdict(5, STATEMENTS[5], _finding(answers), summary, evidence)


_LITTLE_WORDS = {"yes": "below 0.1%", "no": "more than 0.1%", "undecided": "too near 0.1% for this much text"}


def _little(r: QualityResult) -> Answer:
    """Whether perplexity added is below LITTLE by SURE standard errors."""
    if not math.isfinite(r.added):
        return "no"
    if abs(r.added - LITTLE) <= SURE * r.perplexity_ratio_se:
        return "undecided"
    return "yes" if r.added < LITTLE else "no"


def _added(r: QualityResult) -> str:
    if r.collapsed:
        return "its predictions are no numbers"
    if r.perplexity_ratio >= 2 or not math.isfinite(r.perplexity_ratio):
        return f"perplexity {added_text(r.perplexity_ratio, r.perplexity_ratio_se)}"
    return f"{added_text(r.perplexity_ratio, r.perplexity_ratio_se)} perplexity"


# -- claim 6 -------------------------------------------------------------------------------------


def _asymmetry(measured: Measured) -> Verdict:
    four = {s: r for s, r in _integers(measured, 4)}
    pairs = []
    for scheme, asym in four.items():
        twin = next((s for s in four if _twins(s, scheme)), None)
        if twin is not None:
            pairs.append((twin, four[twin], scheme, asym))
    if not pairs:
        return _unmeasured(6, "int4-sym-b32 and int4-asym-b32")
    answers = [_better(asym, sym) for _, sym, _, asym in pairs]
    words = {"yes": "asym is better", "no": "sym is better", "undecided": "no difference beyond its uncertainty"}
    evidence = tuple(
        f"{_place(a)}: asym {_added(ra)}, KL {ra.kl_mean:.3g} at {ra.bits_per_weight:.4g} bits; sym {_added(rs)}, KL "
        f"{rs.kl_mean:.3g} at {rs.bits_per_weight:.4g} bits: {words[answer]}."
        for (_, rs, a, ra), answer in zip(pairs, answers, strict=True)
    )
    summary = f"Asym does better than sym at {_of(answers.count('yes'), len(pairs))} granularities measured."
    return Verdict(6, STATEMENTS[6], _finding(answers), summary, evidence)


def _twins(sym: Scheme, asym: Scheme) -> bool:
    """Whether two schemes differ in nothing but sym and asym."""
    return (sym.symmetry, asym.symmetry) == ("sym", "asym") and (
        asym.key.replace("-asym", "-sym", 1) == sym.key
    )  # fmt: skip


def _better(r: QualityResult, other: QualityResult) -> Answer:
    """Whether `r` is nearer to the stored model: by perplexity where it differs beyond doubt, else by KL divergence.

    The standard errors of the two are added as if independent, which on one text overstates the doubt.
    """
    if r.collapsed or other.collapsed:
        return "undecided" if r.collapsed == other.collapsed else "no" if r.collapsed else "yes"
    for mine, theirs, doubt in (
        (r.perplexity_ratio, other.perplexity_ratio, math.hypot(r.perplexity_ratio_se, other.perplexity_ratio_se)),
        (r.kl_mean, other.kl_mean, math.hypot(r.kl_mean_se, other.kl_mean_se)),
    ):
        if abs(mine - theirs) > SURE * doubt:
            return "yes" if mine < theirs else "no"
    return "undecided"


# -- claim 7 -------------------------------------------------------------------------------------


def _two_bits(measured: Measured) -> Verdict:
    found = [(s, r, "yes" if r.collapsed or not r.perplexity_ratio < COLLAPSE else "no")
             for s, r in _integers(measured, 2)]  # fmt: skip
    if not found:
        return _unmeasured(7, "int2-sym-b32, int2-asym-b32 and int2-asym-tensor")
    evidence = tuple(
        f"{s.key} ({_place(s)}): {_added(r)}, the likeliest token stays the same in {share(r.top1_agreement)} of "
        f"places: {'collapsed' if answer == 'yes' else 'no collapse'}."
        for s, r, answer in found
    )
    answers = [answer for _, _, answer in found]
    fallen = answers.count("yes")
    summary = (
        f"Of 2-bit schemes measured, {_of(fallen, len(found))} take the perplexity to {COLLAPSE:g} times what it was, "
        "which counts as collapse here."
        if fallen
        else f"No 2-bit scheme measured takes the perplexity to {COLLAPSE:g} times what it was: this model survives."
    )
    return Verdict(7, STATEMENTS[7], _finding(answers), summary, evidence, "" if "no" not in answers else KNOWN_2_BITS)


# -- claim 9 -------------------------------------------------------------------------------------


def _handful(supers: Sequence[SuperWeights]) -> Verdict:
    few = [found for found in supers if found.count <= HANDFUL and found.random_ratios]
    if not few:
        text = "Nothing measured yet: set the largest weights to zero, and as many random ones."
        return Verdict(9, STATEMENTS[9], "cannot tell", text, (), KNOWN_SUPER)
    answers: list[Answer] = ["yes" if _out_of_proportion(found) else "no" for found in few]
    evidence = tuple(
        f"The {found.count} largest at zero: {_percent(found.ratio)}; {found.count} random ones: at most "
        f"{_percent(found.random_ratio)} in {len(found.random_ratios)} draws. The largest: {found.largest[0]}."
        for found in few
    )
    worst = max(few, key=lambda found: (not math.isfinite(found.ratio), found.ratio))
    summary = (
        f"At {_of(answers.count('yes'), len(few))} sizes up to {HANDFUL} the largest weights cost more than "
        f"{OUT_OF_PROPORTION:g} times what random ones do; the costliest of them {_percent(worst.ratio)}."
    )
    return Verdict(9, STATEMENTS[9], _finding(answers), summary, evidence, KNOWN_SUPER)


def _out_of_proportion(found: SuperWeights) -> bool:
    if not math.isfinite(found.ratio):
        return True
    random = max(abs(ratio - 1) for ratio in found.random_ratios)
    return found.ratio - 1 > OUT_OF_PROPORTION * random


def _percent(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "predictions that are no numbers"
    return f"perplexity {added_text(ratio)}" if ratio >= 2 else f"{added_text(ratio)} perplexity"


def _unmeasured(claim: int, schemes: str) -> Verdict:
    return Verdict(
        claim, STATEMENTS[claim], "cannot tell", f"Nothing measured yet that would tell: measure {schemes}.", (),
        KNOWN_2_BITS if claim == 7 else "",
    )  # fmt: skip
