"""What is measured on a small model, told of its calibration and of its layers, is what it was before."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np
import pytest

from quantviz import Calibrating
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.calibrator import Calibrator
from quantviz.quality.continuation import continuations
from quantviz.quality.measure import measure_quality
from quantviz.quality.model.activations import Activations, collect_activations, output_errors
from quantviz.quality.model.layers import find_layers
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.passage import Passage
from quantviz.quality.prefix import Prefix
from quantviz.quality.reading import Reading
from quantviz.quality.session import inference
from quantviz.quality.super_weights import super_weights
from quantviz.quality.text.texts import demo_text
from tests.recorded import tried

SMALL = {"tokens": 256, "context": 64, "device": "cpu"}
GPTQ = "int4-asym-b64:solver=gptq"
UNSTEADY = ("seconds", "quantizing_seconds", "ref", "top1_agreement")  # the last may turn on a tie of two tokens


@pytest.fixture
def kept(kept):
    """Sums of a whole model differ between processors by 1e-4 and more, where a weight lies on a tie."""
    return partial(kept, close=1e-3)


def told(result, figures: bool = True) -> dict:
    if isinstance(result, Refusal):
        return asdict(result)
    values = {name: value for name, value in asdict(result).items() if name not in UNSTEADY}
    kept = {name: value for name, value in values.items() if figures or not isinstance(value, float)}
    return {name: value + 1 if isinstance(value, float) else value for name, value in kept.items()}


def test_measures(llama, kept):
    ref = str(llama)
    schemes = ["int4-asym-b32", "down_proj=int8-sym-b32;*=int4-sym-b32", "int8-sym-b48", "fp32"]
    kept([told(r) for r in measure_quality(ref, schemes, **SMALL)])
    kept(
        [
            told(r)
            for r in measure_quality(ref, ["int4-sym-b32"], method="sliding", targets=("head", "down_proj"), **SMALL)
        ]
    )
    kept([told(r) for r in measure_quality(ref, ["iq2_s:pad=1", "iq1_s", "int4-sym-b48:solver=awq"], **SMALL)][:2])
    for more in ({}, {"propagate": False}, {"imatrix": True}):
        calibrating = Calibrating(tokens=256, context=64, **more)
        found = measure_quality(ref, [GPTQ, "q4_0"], calibrating=calibrating, **SMALL)
        kept([told(r, figures=False) for r in found])


WRONG = (
    {"tokens": 3}, {"context": 3}, {"context": 1000}, {"method": "other"}, {"targets": ("nothing",)}, {"targets": ()},
    {"text": ""}, {"text": b"\xff\xfe"}, {"text": "Short."}, {"dtype": "float64"}, {"tokens": 0}, {"tokens": -1},
)  # fmt: skip


@pytest.mark.parametrize("more", WRONG)
def test_measures_that_are_refused(more, llama, kept):
    found = tried(lambda: list(measure_quality(str(llama), ["int4-sym-b32"], **(SMALL | more))))
    kept(found.replace(str(llama), "…") if isinstance(found, str) else [told(r) for r in found])


def test_super_weights_and_continuations(llama, kept):
    for found in super_weights(str(llama), counts=(1, 5), seeds=(0, 1), tokens=256, context=64):
        kept([found.count, found.ratio, found.random_ratios, found.largest, found.ratio_se + 1])
    for found in continuations(str(llama), ["fp32"], prompt="In the beginning", tokens=4):
        kept(str(found) if isinstance(found, Refusal) else [found.scheme, len(found.tokens), found.differs])


def test_activations_and_errors_of_outputs(llama, kept, tmp_path):
    found = collect_activations(str(llama), tokens=200, context=64, samples=5)
    kept(
        [
            found.layers,
            {
                name: [len(found.sums[name]), found.counts[name], list(found.inputs[name].shape)]
                for name in found.layers
            },
        ]
    )
    kept([float(found.importance(name).astype(float).mean()) + 1 for name in found.layers])
    again = Activations.read(found.to_bytes())
    named = Activations({"blk.0.ffn_up.weight": np.ones(4, np.float32) * 6}, {"blk.0.ffn_up.weight": 3}, {})
    for name in ("blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight", "x"):
        value = tried(named.importance, name)
        kept(value if isinstance(value, str) else value.astype(float))
    kept([again.layers == found.layers, sorted(again.counts.values())])
    for error in output_errors(str(llama), "int4-sym-b32", found):
        kept(
            asdict(error)
            if isinstance(error, Refusal)
            else [error.layer, error.scheme, error.weight_error + 1, error.output_error + 1, error.bits_per_weight]
        )


def test_what_is_calibrated_on_and_where_layers_lie(llama, kept):
    with open_language_model(str(llama), device="cpu") as opened:
        layers = find_layers(opened.model)
        for tokens, context, scored in (
            (200, 64, None),
            (200, None, None),
            (64, 64, None),
            (63, 64, None),
            (512, 64, 256),
            (None, 64, 128),
        ):
            calibrator = Calibrator(opened, layers, Calibrating(demo_text(), tokens=tokens and tokens, context=context))
            if scored:
                calibrator.keep_apart(Passage.of(opened, demo_text(), scored, 64, "llama.cpp"))
            passage = tried(lambda: calibrator.passage)  # noqa: B023
            kept(
                passage
                if isinstance(passage, str)
                else [
                    calibrator.tokens if tokens else 0,
                    calibrator.start,
                    calibrator.text,
                    passage.context,
                    len(passage.windows) if tokens else 0,
                ]
            )
        passage = Passage.of(opened, demo_text(), 128, 64, "llama.cpp")
        with inference():
            prefix = Prefix(Reading(opened, passage))
            kept(
                [
                    prefix.path,
                    prefix.count,
                    len(prefix.blocks),
                    [[layer.name, prefix.place_of(layer), prefix.depth_of(layer)] for layer in layers],
                ]
            )
        groups = Calibrator(opened, layers, Calibrating(tokens=128, context=64))._groups(list(layers))
        kept([[layer.name for layer in group] for group in groups])
