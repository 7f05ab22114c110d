"""The largest weights set to zero, and random ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from quantviz.errors import QuantvizError
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.super_weights import super_weights
from quantviz.quality.text.texts import demo_text
from quantviz.sources.demo import FOLDER
from tests.quality.test_measure import plain_losses

SMALL = {"tokens": 512, "context": 128}


@torch.inference_mode()
def test_the_largest_are_found_and_cost_what_a_plain_computation_says(llama) -> None:
    one, four = super_weights(str(llama), counts=(1, 4), seeds=(0, 1), **SMALL)
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(FOLDER)(demo_text())["input_ids"][:512]
    base = plain_losses(model, ids, 128).mean()
    linear = {n: p for n, p in model.named_parameters() if "proj" in n}
    everything = sorted(
        ((abs(v), n, i) for n, p in linear.items() for i, v in enumerate(p.flatten().tolist())), reverse=True
    )[:4]
    for count, found in ((1, one), (4, four)):
        for _, name, at in everything[:count]:
            linear[name].view(-1)[at] = 0
        assert found.count == count and len(found.random_ratios) == 2 and len(found.largest) == count
        assert found.ratio == pytest.approx(math.exp(plain_losses(model, ids, 128).mean() - base), rel=1e-5)
    size, name, at = everything[0]
    row, column = divmod(at, linear[name].shape[1])
    assert one.largest[0].startswith(f"{name.removesuffix('.weight')} [{row}, {column}] = ")
    assert abs(float(one.largest[0].rpartition(" ")[2])) == pytest.approx(size, rel=1e-3)


def test_the_model_is_itself_again_and_draws_are_the_same_each_time(llama) -> None:
    with open_language_model(str(llama)) as opened:
        before = {name: weights.clone() for name, weights in opened.model.state_dict().items()}
        first, again = (list(super_weights(opened, counts=(64,), seeds=(0, 1), **SMALL)) for _ in range(2))
        other = list(super_weights(opened, counts=(64,), seeds=(7, 8), **SMALL))
        assert all(torch.equal(weights, before[name]) for name, weights in opened.model.state_dict().items())
    assert first == again and first[0].random_ratios != other[0].random_ratios
    assert len(set(first[0].random_ratios)) == 2 and np.isfinite(first[0].random_ratio)


@pytest.mark.parametrize(("options", "says"), [
    ({"counts": ()}, "Give counts of weights from 1 to"), ({"counts": (10**9,)}, "from 1 to the [0-9,]+ that there"),
    ({"seeds": ()}, "no random draw to compare with"),
])  # fmt: skip
def test_what_there_is_not(llama, options, says) -> None:
    with pytest.raises(QuantvizError, match=says):
        next(super_weights(str(llama), **SMALL, **options))
