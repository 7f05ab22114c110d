"""What the chapters of Learn compute and say is what it was before."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.formats import FORMATS, FloatFormat
from quantviz.lessons import (
    choosing,
    claims,
    floats,
    glossary,
    memory,
    mixes,
    outlier,
    picture,
    rounding,
    shipped,
    speed,
)
from quantviz.throughput import Card, Measurement, Report
from tests.recorded import interface

LAYER = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize("runtime", choosing.RUNTIMES)
def test_advice(runtime, kept):
    for billions, gigabytes in ((0.5, 0.5), (3, 2), (8, 6), (8, 16), (8, 24), (14, 8), (32, 16), (70, 8), (70, 200)):
        for wish in choosing.WISHES:
            found = choosing.advise(billions, gigabytes, runtime, wish)
            kept([found.chosen and asdict(found.chosen), list(found.reasons), [o.fits for o in found.options]])
    kept([asdict(option) for option in choosing.advise(8, 16, runtime, choosing.WISHES[0]).options])
    with pytest.raises(QuantvizError) as refusal:
        choosing.advise(8, 16, runtime, "fast")
    kept(str(refusal.value))


def test_memory_mixes_and_floats(kept):
    kept([asdict(s) for s in memory.sizes(2)])
    kept(
        {
            scheme: [memory.largest_that_fits(scheme, n * 1e9) for n in (0.1, 2, 2.1, 7, 16, 500)]
            for scheme in memory.SCHEMES
        }
    )
    kept(
        {
            name: mixes.bits_of_mix(name)
            for name in ("Q8_0", "q4_k_m", "Q2_K", "Q3_K_M", "Q6_K", "IQ4_XS", "BF16", "nothing")
        }
    )
    kept({name: floats.median_share(f) for name, f in FORMATS.items() if f.bits <= 8 and not hasattr(f, "element")})
    kept({name: floats.reach_of_a_power(f) for name, f in FORMATS.items() if isinstance(f, FloatFormat)})


NUMBERS = {
    "six": rounding.SIX,
    "one": (0.5,),
    "equal": (2.0, 2.0, 2.0),
    "zeros": (0.0, 0.0),
    "signs": (-1.0, 1.0, 0.25, -0.0),
}


@pytest.mark.parametrize("numbers", NUMBERS)
def test_numbers_rounded(numbers, kept):
    keys = ("int4-sym-tensor:scale=fp32", "int4-asym-tensor:scale=fp32", "int2-asym-tensor", "int8-sym-tensor")
    results = [rounding.rounded(NUMBERS[numbers], key) for key in keys]
    kept([asdict(r) for r in results])
    kept(rounding.averages(results))
    for count in (0, 65):
        with pytest.raises(QuantvizError) as refusal:
            rounding.rounded([0.1] * count, keys[0])
        kept(str(refusal.value))


def test_one_outlier(kept):
    for sigmas in (0.0, 1.0, 4.0, 10.0, 40.0, 100.0):
        found = asdict(outlier.pulled(sigmas))
        kept(
            found
            | {
                "before": found["before"][30:42],
                "sums": {key: float(np.abs(a).sum()) for key, a in found["after"].items()},
            }
        )
    kept([asdict(point) for point in outlier.block_sizes(blocks=(0, 256, 64))])
    kept([asdict(point) for point in outlier.block_sizes("asym", 2, (0, 64))])
    kept([outlier.STEPS, outlier.BLOCKS, outlier.SCHEMES])


def test_the_picture(kept):
    for block, symmetry in ((0, "sym"), (16, "sym"), (64, "asym")):
        scheme, w, made = picture.painted(block, symmetry)
        kept(
            [
                scheme,
                list(w.shape),
                w.astype(float).sum(axis=0),
                w.astype(float).sum(axis=1),
                made.astype(float).sum(),
                np.unique(w).size,
                w[60, 100:112],
                w[150, 200:212],
            ]
        )
        kept(
            {str(row): np.round(w[row].astype(float)[::24], 4) for row in range(0, w.shape[0], 8)}
            if block == 0
            else None
        )


def test_claims(kept):
    layer = qv.open_model("demo").open(LAYER)
    for verdict in (
        claims.bytes_a_weight(),
        claims.near_zero(layer, LAYER),
        claims.six_numbers(),
        claims.blocks_contain(),
    ):
        kept(asdict(verdict))
    statistics = qv.describe(layer)
    kept([claims.share_within(statistics, sigmas) for sigmas in (0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 100.0)])
    four = qv.describe(np.array([[-2, -1, 1, 2]], np.float32))
    kept([claims.share_within(four, sigmas / four.std) for sigmas in (0.9, 1.1, 1.99, 2.0, 3.0)])
    flat = np.tile(np.array([-1.0, 1.0], np.float32), (4, 64))
    flat[0, 0] = 1e6
    kept(asdict(claims.near_zero(flat, "x")))
    kept([asdict(loss) for loss in shipped.losses(layer)])


def test_speed(kept):
    kept([asdict(c) for c in speed.allowed("8b")][:9] + [c.device for c in speed.allowed("0.5b")])
    card = Card("cuda", "A card", "cuda", 10**10, None, 1 << 20, 1, None, {}, 1e12, None, 1.5e12)
    kept([asdict(c) for c in speed.allowed("8b", Report(card))][:4])
    steps = [
        Measurement("decode", scheme, (8,), 1, "cuda", tokens_per_s=tokens, correct=True, model="M")
        for scheme, tokens in (("bf16", 10.0), ("int8-sym-b64", 19.0), ("int4-sym-b64", 31.25))
    ]
    for report in (
        None,
        Report(),
        Report(card, tuple(steps)),
        Report(card, tuple(steps[:1])),
        Report(card, tuple(steps[:2])),
    ):
        kept(asdict(speed.verdict(report)))
    kept([list(speed.MODELS), list(speed.SCHEMES)])


def test_the_glossary(kept):
    kept({key: [term.name, term.group, len(term.text), term.formula] for key, term in glossary.terms().items()})
    kept({group: next(t.text for t in glossary.terms().values() if t.group == group) for group in glossary.GROUPS})
    kept(
        {
            word: [t.key for t in glossary.found(word)]
            for word in ("sqnr_db", "gptq", "SCALE", " block ", "nothing at all")
        }
    )
    labels = ("Granularity", "Schemes (3)", "Scale, stored as fp16", "Seed", "SQNR", "block", "", "Bits per weight")
    kept({label: glossary.term_of(label) for label in labels})


def test_the_interface(kept):
    kept(interface("lessons"))
