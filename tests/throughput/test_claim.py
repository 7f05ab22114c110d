"""The verdict on the claim is what the numbers give, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantviz.throughput import Measurement
from quantviz.throughput.claim import verdict


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
    found = verdict([step("bf16", 100.0), step("int8-sym-b64", eight), step("int4-sym-b64", four)])
    assert found.state == state and said in found.sentence and found.holds == (state == "holds")
    assert [round(row.factor, 3) for row in found.rows] == [eight / 100, four / 100]


def test_the_fastest_scheme_of_a_width_speaks_for_it() -> None:
    found = verdict(
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
        found = verdict(steps)
        assert found.state == "not measured" and found.holds is None and "measured here" in found.sentence


def test_on_a_cpu_it_says_that_the_claim_is_about_gpus() -> None:
    found = verdict([step("bf16", 10.0, "cpu"), step("int8-sym-b64", 20.0, "cpu")])
    assert "The claim speaks of GPUs, and this is none." in found.sentence


def test_float16_stands_in_where_there_is_no_bfloat16() -> None:
    assert "as fp16's 100" in verdict([step("fp16", 100.0), step("int8-sym-b64", 160.0)]).sentence


def test_times_that_vary_are_said_to() -> None:
    noisy = step("bf16", 100.0, median_s=0.01, min_s=0.002)
    assert "measure again when it is quiet" in verdict([noisy, step("int8-sym-b64", 160.0)]).sentence
