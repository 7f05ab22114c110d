"""act= in a language model: layers are fed what was rounded, window by window, until their weights are back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from quantviz import QuantvizError, Scheme, measure_quality
from quantviz.calibration.inputs import quantized_inputs
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.model.inputs import of_torch
from quantviz.quality.model.layers import check_fits, find_layers
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.model.replacing import Originals, Replacer

SMALL = {"tokens": 256, "context": 64}


def test_a_layer_is_fed_what_was_rounded_until_its_weights_are_back(llama: Path) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 5, 64), dtype=np.float32))
    with open_language_model(str(llama)) as opened, torch.inference_mode():
        layer = next(one for one in find_layers(opened.model) if one.path.endswith("q_proj"))
        module = opened.model.get_submodule(layer.path)
        before = module(x)
        with Replacer(Originals(opened)) as replacer:
            for key in ("int4-sym-b32:act=int8-tensor", "fp32:rotate=hadamard,act=int4-token", "int4-sym-b32"):
                scheme = Scheme.parse(key)
                replacer.apply({layer: scheme})
                fed = np.stack([quantized_inputs(window, scheme) for window in x.numpy()])  # a scale of each window
                assert torch.equal(module(x), torch.from_numpy(fed) @ module.weight.T)
                assert torch.equal(module(x), module(input=x))
        assert torch.equal(module(x), before) and not module._forward_pre_hooks


def test_inputs_are_handed_on_as_they_came_where_they_are_no_numbers_and_in_their_own_dtype() -> None:
    scheme = Scheme.parse("int4:act=int8-token")
    x = torch.full((1, 4, 32), float("nan"), dtype=torch.bfloat16)
    assert of_torch(x, scheme) is x
    made = of_torch(torch.linspace(-1, 1, 32, dtype=torch.bfloat16).reshape(1, 1, 32), scheme)
    assert made.dtype == torch.bfloat16 and made.shape == (1, 1, 32)
    scaled = of_torch(torch.ones(1, 32), scheme, np.full(32, 4, np.float32))
    assert torch.equal(scaled, torch.ones(1, 32))


def test_fewer_bits_of_inputs_move_predictions_further_whatever_is_read_together(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"fp32:act={way}" for way in ("int8-token", "int8-tensor", "int4-token")]
    found = {r.scheme: r for r in measure_quality(str(llama), ["fp32", *keys], **SMALL)}
    kl = [found[key].kl_mean for key in ("fp32", *keys)]
    assert kl[0] == 0 < kl[1] < kl[2] < kl[3]
    monkeypatch.setattr("quantviz.quality.passage.BATCH", 64)
    again = list(measure_quality(str(llama), [keys[1]], **SMALL))[-1]
    assert again.kl_mean == pytest.approx(kl[2], rel=1e-3)
    assert not list(measure_quality(str(llama), ["int8-sym-b32:act=int8-token"], **SMALL))[-1].notices


def test_what_has_no_inputs_of_its_own_is_refused(llama: Path) -> None:
    found = list(measure_quality(str(llama), ["int8-sym-b32:act=mxfp4"], targets=["linear", "head"], **SMALL))
    assert isinstance(found[0], Refusal) and "lm_head takes no act=mxfp4: only linear layers" in found[0].reason
    with open_language_model(str(llama)) as opened:
        expert = replace(find_layers(opened.model)[1], matrices=4)
    with pytest.raises(QuantvizError, match="its experts get their inputs inside their own module; leave act= out"):
        check_fits(expert, Scheme.parse("int8-sym-b32:act=mxfp4"))
