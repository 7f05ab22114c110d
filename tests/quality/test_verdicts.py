"""Verdicts from made-up results: every rule at its threshold, and silence where nothing was measured."""

from __future__ import annotations

import math

import pytest

from quantviz.quality.results import QualityResult, SuperWeights
from quantviz.quality.text.words import summary
from quantviz.quality.verdicts import STATEMENTS, quality_verdicts


def result(scheme: str, added: float, se: float = 1e-5, kl: float = 0.01, **changes) -> QualityResult:
    values = {
        "ref": "demo", "scheme": scheme, "tokens": 512, "context": 512, "perplexity": 20 * (1 + added),
        "perplexity_se": 0.5, "perplexity_ratio": 1 + added, "perplexity_ratio_se": se, "kl_mean": kl,
        "kl_mean_se": 1e-6, "kl_p99": kl, "kl_max": kl, "top1_agreement": 0.9, "bits_per_weight": 4.5, "seconds": 1.0,
        "kl_median": kl, "kl_p999": kl, "probability_change": 0.0, "probability_change_rms": 0.0,
        "base_perplexity": 20.0, "base_perplexity_se": 0.5, "non_finite": 0, "scored": 255, "windows": 1,
        "windows_total": 1, "method": "llama.cpp", "model_bits_per_weight": 5.0, "layers": 28, "dtype": "float32",
        "device": "cpu", "weight_error": 0.1,
    }  # fmt: skip
    return QualityResult(**(values | changes))


def judge(claim: int, *results, supers=()):
    found = {verdict.claim: verdict for verdict in quality_verdicts(results, supers)}
    assert list(found) == list(STATEMENTS) == [5, 6, 7, 9]
    return found[claim]


def test_nothing_measured_is_nothing_told() -> None:
    assert {verdict.finding for verdict in quality_verdicts([])} == {"cannot tell"}
    partial = result("int8-sym-b32", 0.5, windows=1, windows_total=2)
    assert judge(5, partial).finding == "cannot tell"
    table = result("down_proj=int8-sym-b32;*=int4-sym-b32", 0.0)
    assert judge(5, table, result("nf4-b64", 0.0)).finding == "cannot tell"


@pytest.mark.parametrize(
    ("added", "finding"),
    [
        ((0.0005,), "holds"), ((-0.01,), "holds"), ((0.0015,), "does not hold"), ((0.00101,), "cannot tell"),
        ((0.0005, 0.0015), "holds in part"), ((0.0005, 0.00101), "holds where it can be told"),
        ((0.0015, 0.00101), "does not hold where it can be told"), ((0.00101, 0.00101), "cannot tell"),
        ((0.0005, 0.00101, 0.0015), "holds in part"), ((math.nan,), "does not hold"),
        ((math.inf,), "does not hold"),
    ],
)  # fmt: skip
def test_eight_bits_add_less_than_a_tenth_of_a_percent(added, finding) -> None:
    places = ("b32", "tensor", "channel")
    verdict = judge(5, *(result(f"int8-sym-{place}", a) for place, a in zip(places, added, strict=False)))
    assert verdict.finding == finding
    assert len(verdict.evidence) == len(added) and "blocks of 32" in verdict.evidence[0]


def test_eight_bits_are_told_with_their_uncertainty() -> None:
    verdict = judge(5, result("int8-sym-b32", 0.0005, se=0.0004))
    assert verdict.finding == "cannot tell" and "+0.050% ± 0.040% perplexity" in verdict.evidence[0]


def test_what_was_measured_on_a_real_model_does_not_hold_in_part_where_nothing_holds() -> None:
    """SmolLM2-135M-Instruct on 8,192 tokens: two undecided, one far beyond."""
    verdict = judge(
        5, result("int8-sym-b64", 0.00286, se=0.00235, tokens=8192), result("int8-asym-b64", 0.00198, se=0.00207),
        result("int8-sym-tensor", 0.109, se=0.004),
    )  # fmt: skip
    assert verdict.finding == "does not hold where it can be told"
    assert verdict.summary == "No 8-bit scheme measured adds less than 0.1% beyond doubt."
    assert "too near 0.1% for 8,192 tokens (about 53,000 tokens would tell, if it stayed so)" in verdict.evidence[0]
    assert "more than 0.1%" in verdict.evidence[2]


def test_a_gap_that_no_text_would_tell_is_said_to_be_one() -> None:
    verdict = judge(5, result("int8-sym-b32", 0.001 + 1e-9, se=0.001))
    assert "no text of a practical length would tell" in verdict.evidence[0]


@pytest.mark.parametrize("claim", [5, 6, 7])
def test_a_single_token_decides_nothing(claim: int) -> None:
    bits = {5: 8, 6: 4, 7: 2}[claim]
    one = [result(f"int{bits}-{s}-b32", added, se=0.0, scored=1) for s, added in (("sym", 0.5), ("asym", 20.0))]
    assert judge(claim, *one).finding == "cannot tell"


@pytest.mark.parametrize(
    ("sym", "asym", "finding"),
    [
        ((0.02, 0.01), (0.01, 0.01), "holds"),  # by perplexity
        ((0.01, 0.01), (0.02, 0.01), "does not hold"),
        ((0.01, 0.02), (0.01, 0.01), "holds"),  # by KL divergence, perplexity being the same
        ((0.01, 0.01), (0.01, 0.01), "cannot tell"),
    ],
)
def test_asym_is_compared_with_sym_at_the_same_granularity(sym, asym, finding) -> None:
    verdict = judge(6, result("int4-sym-b32", sym[0], kl=sym[1]), result("int4-asym-b32", asym[0], kl=asym[1]))
    assert verdict.finding == finding and verdict.evidence[0].startswith("blocks of 32: asym ")
    alone = judge(6, result("int4-sym-b32", 0.02), result("int4-asym-tensor", 0.01))
    assert alone.finding == "cannot tell" and "int4-sym-b32 and int4-asym-b32" in alone.summary


def test_a_collapsed_twin_is_the_worse_one() -> None:
    fallen = result("int4-sym-b32", math.nan, non_finite=255, perplexity_ratio_se=math.nan)
    assert judge(6, fallen, result("int4-asym-b32", 0.1)).finding == "holds"


def test_two_bits_collapse_or_what_is_known_is_said() -> None:
    verdict = judge(7, result("int2-asym-b32", 0.25), result("int2-asym-tensor", 100.0))
    assert verdict.finding == "holds in part" and "SmolLM2-135M" in verdict.known
    assert "no collapse" in verdict.evidence[0] and "×101" in verdict.evidence[1]
    assert judge(7, result("int2-sym-b32", 8.9)).finding == "does not hold"
    fallen = judge(7, result("int2-sym-b32", math.nan, non_finite=3), result("int2-sym-tensor", math.inf))
    assert fallen.finding == "holds" and fallen.known == "" and "no numbers" in fallen.evidence[0]


@pytest.mark.parametrize(
    ("ratio", "se", "finding"),
    [(12.0, 0.5, "holds"), (12.0, 2.0, "cannot tell"), (9.0, 1.0, "cannot tell"), (9.0, 0.2, "does not hold"),
     (1e5, 0.3e5, "holds")],
)  # fmt: skip
def test_a_collapse_is_told_with_its_uncertainty(ratio: float, se: float, finding: str) -> None:
    verdict = judge(7, result("int2-sym-b32", ratio - 1, se=se))
    assert verdict.finding == finding
    assert ("too near ×10" in verdict.evidence[0]) == (finding == "cannot tell")
    assert ("survives" in verdict.summary) == (finding == "does not hold")


def test_super_weights_are_held_against_random_ones() -> None:
    out = SuperWeights(4, 1.01, (1.0001, 0.9999, 1.0), ("layer [0, 1] = 2",))
    verdict = judge(9, supers=[out])
    assert verdict.finding == "holds" and "+1.00%" in verdict.evidence[0] and "arXiv 2411.07191" in verdict.known
    alike = SuperWeights(1, 1.0005, (1.0001,), ("layer [0, 1] = 2",))
    assert judge(9, supers=[alike]).finding == "does not hold"
    assert judge(9, supers=[alike, out]).finding == "holds in part"
    doubtful = SuperWeights(1, 1.002, (1.0001,), ("layer [0, 1] = 2",), 0.001)
    verdict = judge(9, supers=[doubtful])
    assert verdict.finding == "cannot tell" and "+0.20% ± 0.10% perplexity" in verdict.evidence[0]
    assert verdict.evidence[0].startswith("The largest at zero: ")
    assert "; 1 random one: at most" in verdict.evidence[0] and "in 1 draw. " in verdict.evidence[0]
    assert judge(9, supers=[alike, doubtful]).finding == "does not hold where it can be told"
    assert judge(9, supers=[out, doubtful]).finding == "holds where it can be told"
    assert judge(9, supers=[SuperWeights(256, 2.0, (1.0,), ("x",))]).finding == "cannot tell"  # no handful
    assert judge(9, supers=[SuperWeights(1, math.nan, (1.0,), ("x",))]).finding == "holds"


def test_what_decides_between_asym_and_sym_is_named() -> None:
    close = judge(6, result("int4-sym-b32", 0.0036, 0.006, 0.016), result("int4-asym-b32", 0.0035, 0.005, 0.011))
    assert close.finding == "holds" and close.evidence[0].endswith("asym is better, by KL divergence.")
    apart = judge(6, result("int4-sym-b32", 0.2), result("int4-asym-b32", 0.1))
    assert apart.evidence[0].endswith("asym is better.")


def test_the_cheapest_scheme_is_said_to_add_little_only_as_far_as_tokens_tell() -> None:
    sure, unsure = (summary([result("int8-sym-b32", 0.008, se=se)])[0] for se in (0.0005, 0.016))
    assert sure.startswith("The fewest bits") and unsure.startswith("As far as 255 tokens can tell, the fewest bits")


def test_the_worst_is_named_among_several_only_and_where_it_adds_much() -> None:
    little, much, more = result("int8", 0.001), result("int4", 0.02), result("int3", 0.2)
    assert not [said for said in summary([much]) if said.startswith("Worst")]
    assert not [said for said in summary([little, little]) if said.startswith("Worst")]
    (said,) = [said for said in summary([little, more, much]) if said.startswith("Worst")]
    assert said.startswith("Worst of 3: int3,")
