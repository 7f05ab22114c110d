"""Figures of a language model, their words, and which tokens are read and scored: all as it was before."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from quantviz.evaluation.comparison import Refusal
from quantviz.metrics import METRICS
from quantviz.quality.data import Calibrating
from quantviz.quality.results import (
    QUALITY_METRICS,
    Continuation,
    LayerError,
    SuperWeights,
    method_text,
    quantized_text,
)
from quantviz.quality.scoring import Tally, compare_predictions, perplexity_ratio, ratio_of_sums
from quantviz.quality.tables import as_record, quality_table
from quantviz.quality.text import words
from quantviz.quality.text.overlap import shared_until
from quantviz.quality.text.windows import batches, check_windows, windows_over
from quantviz.quality.verdicts import quality_verdicts
from quantviz.schemes import Scheme
from tests.quality.made_up import collapsed, result
from tests.recorded import interface, tried

RESULTS = {
    "fine": [
        result("int8-sym-b32", 1.0005, 1e-4),
        result("int8-asym-b32", 1.0002, 1e-5),
        result("int4-sym-b32", 1.08, 0.004),
        result("int4-asym-b32", 1.05, 0.004),
        result("int2-sym-b32", 40.0, 2.0),
        result("int2-asym-b32", 3.0, 0.1),
    ],
    "unsure": [
        result("int8-sym-b32", 1.0011, 1e-3),
        result("int8-sym-channel", 1.0011, 2e-4),
        result("int8-sym-tensor", 1.01, 1e-4),
        result("int4-sym-b32", 1.05, 0.02),
        result("int4-asym-b32", 1.05, 0.02),
        result("int2-sym-b32", 10.5, 1.0),
    ],
    "lost": [
        collapsed("int8-sym-b32"),
        collapsed("int4-sym-b32"),
        result("int4-asym-b32", 1.1),
        collapsed("int2-sym-b32"),
        collapsed("int4-asym-b64"),
        collapsed("int4-sym-b64"),
        result("int2-asym-tensor", math.inf, math.nan),
    ],
    "worse": [
        result("int8-sym-b32", 1.02, 1e-4),
        result("int4-sym-b32", 1.02, 1e-4),
        result("int4-asym-b32", 1.05, 1e-4),
        result("int2-sym-b32", 1.2, 0.01),
        result("int4-sym-b32:scale=fp32", 1.01),
        result("down_proj=int4-sym-b32;*=int8-sym-b32", 1.1),
    ],
    "by KL": [
        result("int4-sym-b64", 1.02, 0.1, kl_mean=0.05, kl_mean_se=1e-4),
        result("int4-asym-b64", 1.02, 0.1, kl_mean=0.01, kl_mean_se=1e-4),
    ],
    "one token": [
        result("int8-sym-b32", 1.0, scored=1),
        result("int4-sym-b32", 1.0, scored=1),
        result("int4-asym-b32", 1.1, scored=1),
    ],
    "two tokens": [
        result("int8-sym-b32", 1.0005, 1e-5, scored=2),
        result("int4-sym-b32", 1.2, scored=2),
        result("int4-asym-b32", 1.1, scored=2),
    ],
    "partial": [replace(result("int8-sym-b32", 1.2), windows=7)],
    "none": [],
}
SUPERS = {
    "none": [],
    "far": [SuperWeights(1, 30.0, (1.01, 1.0), ("a [1, 2] = 3",), 0.5)],
    "near": [SuperWeights(16, 1.1, (1.01, 0.99), ("a",), 0.02)],
    "many": [SuperWeights(17, 9.0, (1.0,), ("a",))],
    "alike": [SuperWeights(4, 1.05, (1.2, 0.9), ("a",), 0.001), SuperWeights(1, 0.999, (1.0,), ("b",), 0.001)],
    "no number": [SuperWeights(2, math.nan, (1.0,), ("a",)), SuperWeights(4, 2.0, (1.0,), ("a",), 0.01)],
    "no draws": [SuperWeights(2, 2.0, (), ("a",))],
}


@pytest.mark.parametrize("name", RESULTS)
def test_verdicts_and_what_stands_out(name, kept):
    kept([asdict(verdict) for verdict in quality_verdicts(RESULTS[name])])
    kept([words.summary(RESULTS[name]), [[r.added, r.complete, r.collapsed] for r in RESULTS[name]]])
    records = [as_record(r) for r in RESULTS[name]]
    kept(records[:1])
    frame = quality_table([*RESULTS[name], Refusal("x", "Why."), *RESULTS[name][:1]])
    kept([list(frame.columns), frame["scheme"].tolist(), frame["notices"].tolist()])


@pytest.mark.parametrize("name", SUPERS)
def test_verdicts_on_super_weights(name, kept):
    kept(asdict(quality_verdicts([], SUPERS[name])[3]))
    kept([repr(s.random_ratio) for s in SUPERS[name]])


def test_figures_in_words(kept):
    ratios = (0.5, 0.9999, 1.0, 1.00001, 1.00321, 1.5, 1.9999, 2.0, 99.08, 1234.5, 1e6, 3e9, math.nan, math.inf)
    errors = (math.nan, 0.0, 1e-6, 0.00114, 0.02, 0.5, 3.2, 250.0, 2e6)
    kept({repr(ratio): [words.added_text(ratio, se) for se in errors] for ratio in ratios})
    kept(
        {
            repr(x): [words.with_error(x, se) for se in errors]
            for x in (0.0, 1e-5, 9e-4, 0.00123, -0.5, 20.6502, 12345.6, 1e7)
        }
    )
    kept(
        {
            name: [words.metric_text(name, x) for x in (0.0, 0.0213, 0.95126, -0.01, 12.3456, 1e5, math.nan)]
            for name in QUALITY_METRICS
        }
    )
    kept([[m.name, m.label, m.unit, m.direction, m.name in METRICS] for m in QUALITY_METRICS.values()])
    kept([method_text(method, context) for method in ("llama.cpp", "sliding") for context in (4, 5, 512)])
    kept([quantized_text(1, ("linear",)), quantized_text(2000, ("a", "head"))])
    base = result("int4-sym-b32")
    for tokens, propagate in itertools.product((1, 4096), (None, True, False)):
        kept(
            words.calibration_sentence(
                replace(base, calibration_text="A text", calibration_tokens=tokens, propagate=propagate)
            )
        )


def test_continuations_and_layers_in_words(kept):
    for scheme, differs in (
        (None, (False,)),
        ("a", ()),
        ("a", (False, False)),
        ("a", (False, True, False)),
        ("a", (True, True)),
    ):
        c = Continuation(scheme, "p", tuple(range(len(differs))), tuple("xyz"[: len(differs)]), differs)
        kept([words.difference_text(c), c.text, c.first_difference])
    for errors in ((), (0.1,), (0.3, 0.1), (math.nan, 0.2), (0.2, 0.2, 0.2)):
        kept(words.layers_sentence([LayerError(f"l{i}", "s", 0.2, e, 4.5) for i, e in enumerate(errors)]))


def test_windows(kept):
    for method in ("llama.cpp", "sliding"):
        for tokens, context in (
            (512, 512),
            (1024, 512),
            (1023, 512),
            (600, 512),
            (9, 4),
            (10, 5),
            (513, 512),
            (769, 512),
            (3, 4),
            (1, 4),
        ):
            found = tried(windows_over, tokens, context, method)
            kept(found if isinstance(found, str) else [[w.start, w.stop, w.first, w.length, w.scored] for w in found])
            if not isinstance(found, str):
                kept(
                    [
                        [w.start for w in batch]
                        for tokens_at_once in (1, 1024, 1025, 4096)
                        for batch in batches(found, tokens_at_once)
                    ]
                )
    kept([tried(check_windows, context, method) for context in (1, 3, 4) for method in ("sliding", "other")])
    runs = [
        (np.arange(100), np.arange(40, 80)),
        (np.arange(100), np.arange(90, 200)),
        (np.arange(100), np.arange(68, 100)),
        (np.arange(100), np.arange(69, 140)),
        (np.arange(5), np.arange(2, 5)),
        (np.arange(0), np.arange(4)),
        (np.arange(100), np.arange(31)),
        (np.arange(40), np.arange(200)),
    ]
    kept([shared_until(*pair) for pair in runs] + [shared_until(*pair, run=3) for pair in runs])


def test_predictions_compared(kept):
    import torch

    rng = np.random.default_rng(1)
    base = torch.from_numpy(rng.standard_normal((40, 12)).astype(np.float32) * 2)
    logits = base + torch.from_numpy(rng.standard_normal((40, 12)).astype(np.float32) * 0.3)
    targets = torch.from_numpy(rng.integers(0, 12, 40))
    lost = logits.clone()
    lost[3, 2], lost[7] = math.nan, math.inf
    for made in (logits, base, lost):
        rows = compare_predictions(base.clone(), made.clone(), targets)
        tally = Tally(60)
        tally.add(rows[:, :15])
        kept([np.nan_to_num(rows, nan=-9, posinf=9, neginf=-8).sum(axis=1), tally.scored, asdict(tally.figures())])
        tally.add(rows[:, 15:])
        kept([asdict(tally.figures()), *(np.nan_to_num(s, nan=-9) for s in tally.sums([10, 20, 10]))])
    one = Tally(1)
    one.add(compare_predictions(base[:1], logits[:1], targets[:1]))
    kept(asdict(one.figures()))
    losses = rng.uniform(0, 5, 30)
    kept(
        [
            perplexity_ratio(losses + 0.1, losses),
            perplexity_ratio(losses * 300, losses),
            perplexity_ratio(losses, losses),
        ]
    )
    for sums, parts in (([1.0, 2.0, 4.0], [10, 10, 20]), ([1.0], [3]), ([1.0, 1.0], [2, 2]), ([0.0, 3.0], [1, 2])):
        kept([repr(x) for x in ratio_of_sums(np.array(sums), parts)])


def test_what_uses_data(kept):
    keys = (
        "int4:solver=awq",
        "int4:solver=gptq",
        "int4",
        "q4_k",
        "q4_0",
        "int4-sym-b64:clip=mse",
        "int8-sym-channel:act=int8-token,smooth=0.5",
        "iq2_s",
    )
    kept([[key, *(Calibrating(imatrix=imatrix).uses(Scheme.parse(key)) for imatrix in (True, False))] for key in keys])
    kept([tried(lambda n: Calibrating(tokens=n).tokens, n) for n in (None, 1, 0, -3)])
    kept(
        [
            Calibrating().identity,
            Calibrating("some text").identity,
            Calibrating(b"some text").identity,
            str(tried(lambda: Calibrating(b"\xff\xfe\xfd").content)),
            len(Calibrating().content),
        ]
    )


def test_the_interface(kept):
    kept(interface("quality"))
