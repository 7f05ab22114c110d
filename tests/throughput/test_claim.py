"""The verdict on the claim is what the numbers give, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantviz.throughput import Measurement
from quantviz.throughput.claim import speed_verdict


def step(scheme: str, tokens: float | None, device: str = "cuda", **change) -> Measurement:
    m = Measurement("decode", scheme, (8,), 1, device, tokens_per_s=tokens, correct=True, model="Gemma 2 9B")
    return replace(m, **change)


@pytest.mark.parametrize(
    ("eight", "four", "state", "said"),
    [
        (180.0, 190.0, "holds", "The claim holds for Gemma 2 9B on this CUDA GPU"),
        (210.0, 300.0, "holds", "That is more than it promises."),
        (120.0, 190.0, "partly", "The claim holds in part"),
        (120.0, 140.0, "fails", "The claim does not hold"),
        (80.0, 70.0, "fails", "0.80 times as many as bf16's 100, and 4 bits (int4-sym-b64) 70, 0.70 times"),
    ],
)
def test_the_verdict(eight: float, four: float, state: str, said: str) -> None:
    found = speed_verdict([step("bf16", 100.0), step("int8-sym-b64", eight), step("int4-sym-b64", four)])
    assert found.state == state and said in found.sentence and found.holds == (state == "holds")
    assert [round(row.factor, 3) for row in found.rows] == [eight / 100, four / 100]


def test_the_fastest_scheme_of_a_width_speaks_for_it() -> None:
    found = speed_verdict(
        [step("bf16", 100.0), step("int4-sym-b64", 150.0), step("nf4-b64", 90.0), step("int2-asym-b64", 500.0)]
    )
    assert [(row.bits, row.scheme) for row in found.rows] == [(4, "int4-sym-b64")] and found.state == "holds"


def test_without_a_comparison_there_is_no_verdict() -> None:
    for steps in (
        [],
        [step("int4-sym-b64", 100.0)],
        [step("bf16", 100.0)],
        [step("bf16", 100.0), step("int4-sym-b64", 300.0, correct=False)],
        [step("bf16", 100.0), step("int4-sym-b64", None)],
        [step("bf16", 100.0), replace(step("int4-sym-b64", 300.0), workload="linear")],
    ):
        found = speed_verdict(steps)
        assert found.state == "not measured" and found.holds is None and "measured here" in found.sentence


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_off_a_gpu_the_claim_cannot_be_told(device: str) -> None:
    """However fast: the claim speaks of GPUs."""
    found = speed_verdict([step("bf16", 10.0, device), step("int8-sym-b64", 200.0, device)])
    assert found.state == "cannot tell" and found.holds is None and found.rows[0].factor == 20
    assert found.sentence.startswith(
        "Whether the claim holds cannot be told here. It speaks of GPUs, and this is a CPU."
    )
    assert "more than it promises" not in found.sentence and "The claim holds" not in found.sentence


def test_the_comparison_is_with_fp32_where_bf16_is_slower() -> None:
    steps = [step("bf16", 0.99, "cpu"), step("fp32", 3.9, "cpu"), step("int8-sym-b64", 28.5, "cpu")]
    found = speed_verdict(steps)
    assert found.rows[0].factor == pytest.approx(28.5 / 3.9)
    assert "as fp32's 3.9" in found.sentence and found.sentence.endswith(
        "bf16 is slower here than fp32, with 0.99 tokens/s."
    )
    on_a_gpu = speed_verdict([replace(m, device="cuda") for m in steps])
    assert on_a_gpu.state == "holds" and on_a_gpu.rows[0].factor == found.rows[0].factor
    assert "as bf16's 5" in speed_verdict([step("bf16", 5.0), *steps[1:]]).sentence
    assert speed_verdict(steps[1:]).state == "not measured"  # without 16 bit


def test_float16_stands_in_where_there_is_no_bfloat16() -> None:
    assert "as fp16's 100" in speed_verdict([step("fp16", 100.0), step("int8-sym-b64", 160.0)]).sentence


@pytest.mark.parametrize("noisy", ["bf16", "int8-sym-b64"])
def test_times_that_vary_decide_nothing(noisy: str) -> None:
    steps = [step("bf16", 100.0), step("int8-sym-b64", 160.0), step("nf4-b64", 90.0, median_s=1.0, min_s=0.1)]
    assert speed_verdict(steps[:2]).state == "holds"
    found = speed_verdict([replace(m, median_s=0.01, min_s=0.002) if m.scheme == noisy else m for m in steps[:2]])
    assert found.state == "cannot tell" and found.holds is None and "measure again when it is quiet" in found.sentence


def test_times_that_the_verdict_does_not_rest_on_may_vary() -> None:
    slow = step("int4-sym-b64", 90.0, median_s=1.0, min_s=0.1)
    assert speed_verdict([step("bf16", 100.0), step("nf4-b64", 160.0), slow]).state == "holds"
