"""What measurements say about the article's claims on a language model: 5, 6, 7 and 9, each by a rule stated here.

A rule looks at complete results alone, one at a time or in pairs, and finds yes, no, or undecided where the threshold
lies within SURE standard errors. All yes: the claim holds; all no: it does not; both: it holds in part, and the
evidence says where. With some undecided and the rest of one mind, it holds or does not where it can be told. Every
threshold has a name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from ..errors import QuantvizError
from ..formats import IntFormat
from ..outliers.sentences import name_of
from ..schemes import Scheme
from ..text.wording import plural, share
from .results import Finding, QualityResult, SuperWeights, Verdict
from .text.words import added_text

Answer = Literal["yes", "no", "undecided"]

LITTLE = 0.001  # claim 5: a tenth of a percent
SURE = 2.0  # standard errors that a difference must exceed to count
MOST_TOKENS = 10_000_000  # beyond which nobody measures
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


def quality_verdicts(results: Sequence[QualityResult], supers: Sequence[SuperWeights] = ()) -> tuple[Verdict, ...]:
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
    told = set(answers) - {"undecided"}
    if not told:
        return "cannot tell"
    if len(told) == 2:
        return "holds in part"
    if "undecided" in answers:
        return "holds where it can be told" if told == {"yes"} else "does not hold where it can be told"
    return "holds" if told == {"yes"} else "does not hold"


def _side(gap: float, doubt: float) -> Answer:
    """Whether a figure lies below its threshold: `gap` is threshold minus figure, `doubt` its standard error."""
    if not abs(gap) > SURE * doubt:  # also where the doubt is no number
        return "undecided"
    return "yes" if gap > 0 else "no"


def _tokens_that_tell(tokens: int, gap: float, doubt: float) -> str:
    """How much text would put a gap of this size beyond its doubt, which falls as the root of the tokens."""
    needed = tokens * (SURE * doubt / abs(gap)) ** 2 if gap and math.isfinite(doubt) else math.inf
    if needed > MOST_TOKENS:
        return "no text of a practical length would tell"
    digits = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return f"about {math.ceil(needed / digits) * digits:,} tokens would tell, if it stayed so"


def _of(count: int, measured: Sequence, one: str, of: str = "") -> str:
    """How many of those measured, as a sentence begins.

    >>> _of(1, "a", "scheme", " of 8 bits"), _of(2, "ab", "granularity"), _of(0, "ab", "granularity")
    ('The one scheme of 8 bits measured', 'All 2 granularities measured', 'None of the 2 granularities measured')
    """
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    if count == len(measured):
        return f"All {count} {many}{of} measured" if count > 1 else f"The one {one}{of} measured"
    return f"{count or 'None'} of the {plural(len(measured), one, many)}{of} measured"


def _verb(count: int, many: str) -> str:
    return f"{many}s" if count == 1 else many


# -- claim 5 -------------------------------------------------------------------------------------


def _eight_bits(measured: Measured) -> Verdict:
    found = [(s, r, _little(r)) for s, r in _integers(measured, 8)]
    if not found:
        return _unmeasured(5, "int8-sym-b32 and int8-asym-b32")
    evidence = tuple(f"{s.key} ({_place(s)}): {_added(r)}, {_little_words(r, answer)}." for s, r, answer in found)
    answers = [answer for _, _, answer in found]
    below = answers.count("yes")
    summary = f"{_of(below, found, 'scheme', ' of 8 bits')} {_verb(below, 'add')} less than 0.1% beyond doubt."
    if not below:
        summary = "No 8-bit scheme measured adds less than 0.1% beyond doubt."
    return Verdict(5, STATEMENTS[5], _finding(answers), summary, evidence)


def _little(r: QualityResult) -> Answer:
    """Whether perplexity added is below LITTLE by SURE standard errors."""
    if not math.isfinite(r.added):
        return "no"
    return _side(LITTLE - r.added, _ratio_doubt(r))


def _little_words(r: QualityResult, answer: Answer) -> str:
    if answer != "undecided":
        return "below 0.1%" if answer == "yes" else "more than 0.1%"
    told = _tokens_that_tell(r.tokens, LITTLE - r.added, _ratio_doubt(r))
    return f"too near 0.1% for {r.tokens:,} tokens ({told})"


def _ratio_doubt(r: QualityResult) -> float:
    """Standard error of the perplexity ratio; of a single token there is none."""
    return r.perplexity_ratio_se if r.scored > 1 else math.inf


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
    evidence = tuple(
        f"{_place(a)}: asym {_added(ra)}, KL {ra.kl_mean:.3g} at {ra.bits_per_weight:.4g} bits; sym {_added(rs)}, KL "
        f"{rs.kl_mean:.3g} at {rs.bits_per_weight:.4g} bits: "
        f"{_better_words(ra, rs, answer)}."
        for (_, rs, a, ra), answer in zip(pairs, answers, strict=True)
    )
    where = _of(answers.count("yes"), pairs, "granularity")
    summary = f"Asym does better than sym beyond doubt at {where[0].lower()}{where[1:]}."
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
    told = (_side(gap, doubt) for gap, doubt in _gaps(r, other))
    return next((answer for answer in told if answer != "undecided"), "undecided")


def _gaps(r: QualityResult, other: QualityResult) -> tuple[tuple[float, float], ...]:
    """How much nearer `r` is than the other, and the standard error of that: by perplexity and by KL divergence."""
    if min(r.scored, other.scored) < 2:
        return ()
    return (
        (other.perplexity_ratio - r.perplexity_ratio, math.hypot(r.perplexity_ratio_se, other.perplexity_ratio_se)),
        (other.kl_mean - r.kl_mean, math.hypot(r.kl_mean_se, other.kl_mean_se)),
    )


def _better_words(r: QualityResult, other: QualityResult, answer: Answer) -> str:
    if answer != "undecided":
        by = ", by KL divergence" if _gaps(r, other) and _side(*_gaps(r, other)[0]) == "undecided" else ""
        return f"{'asym' if answer == 'yes' else 'sym'} is better{by}"
    surest = max(_gaps(r, other), key=lambda pair: abs(pair[0]) / pair[1] if pair[1] else 0.0, default=(0.0, math.inf))
    return f"no difference beyond its uncertainty ({_tokens_that_tell(r.tokens, *surest)})"


# -- claim 7 -------------------------------------------------------------------------------------


def _two_bits(measured: Measured) -> Verdict:
    found = [(s, r, _fallen(r)) for s, r in _integers(measured, 2)]
    if not found:
        return _unmeasured(7, "int2-sym-b32, int2-asym-b32 and int2-asym-tensor")
    evidence = tuple(
        f"{s.key} ({_place(s)}): {_added(r)}, the likeliest token stays the same in {share(r.top1_agreement)} of "
        f"places: {_FALLEN_WORDS[answer]}."
        for s, r, answer in found
    )
    answers = [answer for _, _, answer in found]
    fallen = answers.count("yes")
    if fallen:
        summary = (
            f"{_of(fallen, found, 'scheme', ' of 2 bits')} {_verb(fallen, 'take')} the perplexity to {COLLAPSE:g} "
            "times what it was, which counts as collapse here."
        )
    else:
        summary = f"No 2-bit scheme measured takes the perplexity to {COLLAPSE:g} times what it was beyond doubt"
        summary += "." if "undecided" in answers else ": this model survives."
    return Verdict(7, STATEMENTS[7], _finding(answers), summary, evidence, "" if "no" not in answers else KNOWN_2_BITS)


_FALLEN_WORDS = {"yes": "collapsed", "no": "no collapse", "undecided": f"too near ×{COLLAPSE:g} for this much text"}


def _fallen(r: QualityResult) -> Answer:
    """Whether perplexity is COLLAPSE times what it was, by SURE standard errors of its logarithm."""
    if r.collapsed or not math.isfinite(r.perplexity_ratio):
        return "yes"
    return _side(math.log(r.perplexity_ratio / COLLAPSE), _ratio_doubt(r) / r.perplexity_ratio)


# -- claim 9 -------------------------------------------------------------------------------------


def _handful(supers: Sequence[SuperWeights]) -> Verdict:
    few = [found for found in supers if found.count <= HANDFUL and found.random_ratios]
    if not few:
        text = "Nothing measured yet: set the largest weights to zero, and as many random ones."
        return Verdict(9, STATEMENTS[9], "cannot tell", text, (), KNOWN_SUPER)
    answers = [_out_of_proportion(found) for found in few]
    evidence = tuple(
        f"The {f'{found.count} ' if found.count > 1 else ''}largest at zero: {_percent(found.ratio, found.ratio_se)}; "
        f"{plural(found.count, 'random one')}: at most {_percent(found.random_ratio)} in "
        f"{plural(len(found.random_ratios), 'draw')}. The largest: {found.largest[0]}."
        for found in few
    )
    worst = max(few, key=lambda found: (not math.isfinite(found.ratio), found.ratio))
    summary = (
        f"At {answers.count('yes')} of {plural(len(few), 'size')} up to {HANDFUL} the largest weights cost more than "
        f"{OUT_OF_PROPORTION:g} times what random ones do, beyond doubt; "
        + ("none of them costs anything." if worst.ratio <= 1 else f"the costliest of them {_percent(worst.ratio)}.")
    )
    return Verdict(9, STATEMENTS[9], _finding(answers), summary, evidence, KNOWN_SUPER)


def _out_of_proportion(found: SuperWeights) -> Answer:
    if not math.isfinite(found.ratio):
        return "yes"
    random = max(abs(ratio - 1) for ratio in found.random_ratios)
    return _side(found.ratio - 1 - OUT_OF_PROPORTION * random, found.ratio_se)


def _percent(ratio: float, se: float = 0.0) -> str:
    """What a ratio adds, with its standard error; 0: not known."""
    if not math.isfinite(ratio):
        return "predictions that are no numbers"
    added = added_text(ratio, se)
    return f"perplexity {added}" if ratio >= 2 else f"{added} perplexity"


def _unmeasured(claim: int, schemes: str) -> Verdict:
    return Verdict(
        claim, STATEMENTS[claim], "cannot tell", f"Nothing measured yet that would tell: measure {schemes}.", (),
        KNOWN_2_BITS if claim == 7 else "",
    )  # fmt: skip
