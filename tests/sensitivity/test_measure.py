"""A unit alone gives what the whole measurement gives for it, however little of the network was run."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.quality import prefix
from quantviz.quality.baseline import Baseline
from quantviz.quality.measure import measure_quality
from quantviz.quality.model import replacing
from quantviz.quality.passage import Passage
from quantviz.quality.prefix import Prefix
from quantviz.quality.session import inference, open_session, text_of
from quantviz.schemes import Scheme
from quantviz.sensitivity import COLUMNS, additivity, sensitivity
from tests.quality.models import random_llama, save
from tests.sensitivity.conftest import SCHEME, SMALL, measured

FIGURES = ["kl_mean", "perplexity_ratio", "top1_agreement"]


def quality(ref, mixture: str, **more) -> list[float]:
    *_, last = measure_quality(str(ref), [mixture], **(SMALL | more))
    return [getattr(last, name) for name in FIGURES]


def table(units: list[str]) -> str:
    return ";".join(f"{name.removesuffix('.weight')}={SCHEME}" for name in units)


def test_every_tensor_gives_what_measure_quality_gives_bit_for_bit(llama, by_tensor) -> None:
    assert list(by_tensor.columns) == list(COLUMNS) and len(by_tensor) == 2 * 7 + 2
    assert by_tensor["unit"].iloc[[0, -1]].tolist() == ["model.embed_tokens.weight", "lm_head.weight"]
    for number in (0, 1, 7, 8, 14, 15):  # ends of the model, and the first and last tensor of each layer
        row = by_tensor.iloc[number]
        assert row[FIGURES].tolist() == quality(llama, table([row["unit"]])), row["unit"]
    assert (by_tensor["refused"] == "").all() and (by_tensor["kl_mean"] > 0).all()
    assert set(by_tensor["tokens"]) == {256} and set(by_tensor["tensors"]) == {1}


@pytest.mark.parametrize("by", ["role", "layer"])
def test_roles_and_layers_too(llama, by_tensor, by) -> None:
    found = measured(llama, by=by)
    assert found["weights"].sum() == by_tensor["weights"].sum() and found["tensors"].sum() == len(by_tensor)
    unit, inside = ("mlp up", "up_proj") if by == "role" else ("layer 1", "layers.1")
    (row,) = found[found["unit"] == unit].to_dict("records")
    assert [row[name] for name in FIGURES] == quality(llama, f"{inside}={SCHEME}")
    assert {"embedding", "head"} < set(found["unit"])


def test_kept_features_and_a_stored_head_give_the_same(llama, by_tensor, monkeypatch) -> None:
    monkeypatch.setattr("quantviz.quality.baseline.KEPT", 0)
    pd.testing.assert_frame_equal(measured(llama)[FIGURES], by_tensor[FIGURES], rtol=1e-5)
    found = measured(llama, targets=["head"])
    assert found[FIGURES].iloc[0].tolist() == quality(llama, f"lm_head={SCHEME}")


def gpt2(folder):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=2048, n_positions=64, n_embd=32, n_layer=3, n_head=2, initializer_range=0.2)
    save(GPT2LMHeadModel(config), folder)
    return folder


def mixtral(folder):
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=2048, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, num_local_experts=2, max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    save(MixtralForCausalLM(config), folder)
    return folder


@pytest.mark.parametrize("made", [gpt2, mixtral])
def test_leaving_layers_out_equals_running_all_of_them_bit_for_bit(made, tmp_path, monkeypatch) -> None:
    ref = made(tmp_path / "model")
    options = {"tokens": 128, "context": 32}
    used, fits = [], prefix.Prefix._fits
    monkeypatch.setattr(prefix.Prefix, "_fits", lambda self: used.append(self) or fits(self))
    quick = measured(ref, **options)
    monkeypatch.setattr(prefix.Prefix, "_fits", lambda self: used.append(self))
    slow = measured(ref, **options)
    assert used[0].depth >= len(used[0].blocks) - 1 > 0 and not used[1].blocks
    pd.testing.assert_frame_equal(quick.drop(columns="seconds"), slow.drop(columns="seconds"), check_exact=True)


def test_layers_before_are_left_out_and_where_each_tensor_comes_in(llama) -> None:
    with open_session(str(llama), None, ("linear", "embeddings", "head"), device="cpu") as session, inference():
        passage = Passage.of(session.opened, text_of(None), 256, 64, "llama.cpp")
        baseline = Baseline(session.opened, passage)
        found = Prefix(baseline)
        assert [found.depth_of(layer) for layer in session.layers] == [0] + [0] * 7 + [1] * 7 + [2]
        whole, runs = [baseline.features(0)], []
        for depth in range(3):
            found.advance(depth)
            hooks = [block.register_forward_pre_hook(lambda *_, at=depth: runs.append(at)) for block in found.blocks]
            originals = [block.forward for block in found.blocks]
            whole.append(found.features(0))
            assert [block.forward for block in found.blocks] == originals
            for hook in hooks:
                hook.remove()
        assert all(torch.equal(features, whole[0]) for features in whole)


def test_a_model_whose_layers_hand_on_more_than_hidden_states_is_run_whole(llama, by_tensor, monkeypatch) -> None:
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    own = LlamaDecoderLayer.forward

    def with_memory(self, hidden_states, *given, **named):
        self.self_attn.config.seen = hidden_states.sum() * 0 + getattr(self.self_attn.config, "seen", 0) + 1
        return own(self, hidden_states, *given, **named) + 0.01 * self.self_attn.config.seen

    monkeypatch.setattr(LlamaDecoderLayer, "forward", with_memory)
    with open_session(str(llama), None, device="cpu") as session, inference():
        passage = Passage.of(session.opened, text_of(None), 128, 64, "llama.cpp")
        assert not Prefix(Baseline(session.opened, passage)).blocks


def test_standard_errors_are_those_of_window_means(llama, by_tensor) -> None:
    from quantviz.sensitivity.trials import Trials

    with open_session(str(llama), None, ("down_proj",), device="cpu") as session:
        passage = Passage.of(session.opened, text_of(None), 256, 64, "llama.cpp")
        layer = next(layer for layer in session.layers if layer.name == by_tensor["unit"][7])
        trial = Trials(session, passage).run({layer: Scheme.parse(SCHEME)})
    means = trial.kl / np.array(trial.places)
    assert trial.places == (31,) * 4 and trial.kl_se == by_tensor["kl_se"][7]
    assert trial.kl_se == pytest.approx(means.std(ddof=1) / math.sqrt(4), rel=1e-9)
    assert trial.figures.kl_mean == pytest.approx(means.mean(), rel=1e-12)


def test_one_window_has_no_standard_error(llama) -> None:
    found = measured(llama, targets=["layers.1.mlp.down_proj"], tokens=64)
    assert found["kl_se"].isna().all() and found["perplexity_ratio_se"].isna().all() and found["kl_mean"][0] > 0


def test_additivity_is_the_whole_over_the_sum_of_parts(llama) -> None:
    options = SMALL | {"targets": ["linear"]}
    found = additivity(str(llama), SCHEME, "layer", **options)
    parts = measured(llama, by="layer", targets=["linear"])
    assert found.parts == pytest.approx(parts["kl_mean"].sum(), rel=1e-12) and found.units == 2
    assert found.whole == quality(llama, SCHEME)[0] and not found.left_out
    assert found.ratio == pytest.approx(found.whole / found.parts, rel=1e-12)
    assert 0 < found.ratio_se < 1 and found.whole_se > 0 and found.parts_se > 0


def test_a_unit_that_a_scheme_cannot_apply_to_has_its_reason_and_the_others_their_figures(tmp_path) -> None:
    ref = random_llama(tmp_path / "model", intermediate_size=80)  # rows of 80 are no whole blocks of q4_0
    found = measured(ref, ["q4_0", SCHEME], targets=["layers.0.mlp"])
    refused = found[found["refused"] != ""]
    assert refused[["unit", "scheme"]].values.tolist() == [["model.layers.0.mlp.down_proj.weight", "q4_0"]]
    assert "multiple" in refused["refused"].iloc[0] or "32" in refused["refused"].iloc[0]
    assert found["kl_mean"].isna().sum() == 1
    whole = additivity(str(ref), "q4_0", **(SMALL | {"targets": ["layers.0.mlp"]}))
    assert (whole.units, whole.left_out) == (2, ("model.layers.0.mlp.down_proj.weight",))


def test_a_collapsed_model_is_said_to_be_one(llama, monkeypatch) -> None:
    def ruin(stored, scheme, into, importance=None):
        into.fill_(math.nan)
        return replacing.Change(stored.size, stored.size, 1.0, 1.0)

    monkeypatch.setattr(replacing, "place", ruin)
    found = measured(llama, targets=["layers.1.mlp.down_proj"])
    assert found["refused"].tolist() == ["The model collapsed: 124 of 124 predictions are no finite numbers."]


def test_the_model_has_its_own_weights_again(llama) -> None:
    from quantviz.quality.model.loading import open_language_model

    with open_language_model(str(llama), device="cpu") as opened:
        before = {name: values.clone() for name, values in opened.model.state_dict().items()}
        frames = sensitivity(opened, SCHEME, "layer", tokens=128, context=64)
        next(frames)
        frames.close()  # stopped in the middle
        after = opened.model.state_dict()
        assert all(torch.equal(values, after[name]) for name, values in before.items())


def test_the_front_door_is_a_function_and_a_folder(llama) -> None:
    found = pd.concat(qv.sensitivity(str(llama), SCHEME, targets=["layers.1.mlp.up_proj"], **SMALL))
    assert len(found) == 1 and qv.sensitivity.additivity is additivity


@pytest.mark.parametrize(("given", "says"), [
    ({"by": "rows"}, "choose tensor, role, layer"),
    ({"ref": "random:normal"}, "no language model"),
    ({"schemes": "q4_k"}, "fits no tensor of"),
    ({"schemes": "int99"}, "int99"),
    ({"schemes": []}, "at least one scheme"),
    ({"schemes": "iq1_s"}, "importance"),
    ({"text": "In the beginning"}, "fewer than one window of 64"),
    ({"tokens": 10}, "fewer than one window of 64"),
    ({"context": 2}, "too short"),
    ({"context": 1024, "tokens": None}, "reads 256 tokens at a time"),
    ({"targets": ["up_prj"]}, "No layer matches"),
    ({"device": "tpu"}, "choose cpu or cuda"),
])  # fmt: skip
def test_bad_input_is_told_in_one_sentence(llama, given, says) -> None:
    given = {"ref": str(llama), "schemes": SCHEME, **SMALL, **given}
    with pytest.raises(QuantvizError, match=says) as caught:
        next(sensitivity(given.pop("ref"), given.pop("schemes"), **given))
    assert "\n" not in str(caught.value)
