"""Perplexity, KL divergence and their kin against plain computations, and the promises of a measurement."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.evaluation.comparison import Refusal
from quantviz.quality.measure import measure_quality
from quantviz.quality.model import predicting
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.passage import encode_start
from quantviz.quality.results import QualityResult
from quantviz.quality.text.texts import demo_text
from quantviz.sources.demo import FOLDER

SMALL = {"tokens": 512, "context": 128}


def measure(ref, *schemes: str, **options) -> list[QualityResult]:
    found = [r for r in measure_quality(ref, schemes, **(SMALL | options)) if isinstance(r, Refusal) or r.complete]
    assert [r.scheme for r in found] == list(schemes)
    return found


def plain_losses(model, ids: list[int], context: int) -> np.ndarray:
    """-ln p of the tokens that llama.cpp's tool scores, token by token in float64."""
    losses = []
    for start in range(0, len(ids) - context + 1, context):
        window = torch.tensor(ids[start : start + context])
        logp = model(window[None]).logits[0].double().log_softmax(-1)
        losses += [-float(logp[j, window[j + 1]]) for j in range(context // 2, context - 1)]
    return np.array(losses)


@pytest.fixture(scope="module")
def ids() -> list[int]:
    return AutoTokenizer.from_pretrained(FOLDER)(demo_text())["input_ids"]


@pytest.mark.parametrize("which", ["demo", "llama"])
@torch.inference_mode()
def test_figures_equal_a_plain_computation_with_transformers(which, llama, ids) -> None:
    folder = FOLDER if which == "demo" else llama
    scheme = "int4-asym-b32"
    (found,) = measure("demo" if which == "demo" else str(llama), scheme)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    base = plain_losses(model, ids[:512], 128)
    windows = torch.tensor(ids[:512]).view(-1, 128)
    p0 = model(windows).logits[:, 64:-1].double().log_softmax(-1).flatten(0, 1)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            weights = qv.quantize(module.weight, scheme).dequantize()
            module.weight.copy_(torch.as_tensor(weights))
    loss = plain_losses(model, ids[:512], 128)
    p = model(windows).logits[:, 64:-1].double().log_softmax(-1).flatten(0, 1)
    kl = (p0.exp() * (p0 - p)).sum(-1).numpy()

    assert found.scored == len(base) == 4 * 63
    assert found.base_perplexity == pytest.approx(math.exp(base.mean()), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(loss.mean()), rel=1e-5)
    assert found.perplexity_se == pytest.approx(math.exp(loss.mean()) * loss.std(ddof=1) / math.sqrt(252), rel=1e-4)
    ratio = math.exp((loss - base).mean())
    assert found.perplexity_ratio == pytest.approx(ratio, rel=1e-5)
    assert found.perplexity_ratio_se == pytest.approx(ratio * (loss - base).std(ddof=1) / math.sqrt(252), rel=1e-3)
    assert found.kl_mean == pytest.approx(kl.mean(), rel=1e-3)
    assert found.kl_mean_se == pytest.approx(kl.std(ddof=1) / math.sqrt(252), rel=1e-3)
    quantiles = [found.kl_median, found.kl_p99, found.kl_p999, found.kl_max]
    np.testing.assert_allclose(quantiles, np.quantile(kl, (0.5, 0.99, 0.999, 1)), rtol=1e-3)
    change = np.exp(-loss) - np.exp(-base)
    assert found.probability_change == pytest.approx(change.mean(), abs=1e-7)
    assert found.probability_change_rms == pytest.approx(math.sqrt((change**2).mean()), rel=1e-4)
    assert found.top1_agreement == pytest.approx((p0.argmax(-1) == p.argmax(-1)).double().mean().item())


@torch.inference_mode()
def test_sliding_windows_score_every_token_but_the_first_once(llama, ids) -> None:
    (found,) = measure(str(llama), "fp32", tokens=300, method="sliding")
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32).eval()
    total, end = 0.0, 0
    for start in range(0, 300, 64):  # as the guide to perplexity of fixed-length models has it
        stop = min(start + 128, 300)
        row = torch.tensor(ids[start:stop])
        targets = row.clone()
        targets[: -(stop - end)] = -100
        total += F.cross_entropy(model(row[None]).logits[0, :-1], targets[1:], reduction="sum").item()
        end = stop
        if stop == 300:
            break
    assert found.scored == 299 and found.tokens == 300
    assert found.perplexity == pytest.approx(math.exp(total / 299), rel=1e-5)


def test_fp32_changes_nothing_at_all_and_the_same_weights_give_the_same_figures(llama) -> None:
    same, four, _ = measure(str(llama), "fp32", "int4-sym-b32", "int2-sym-b32")
    _, again = measure(str(llama), "int2-asym-b32", "int4-sym-b32")
    assert (same.perplexity_ratio, same.perplexity_ratio_se, same.top1_agreement) == (1.0, 0.0, 1.0)
    assert [same.kl_mean, same.kl_max, same.probability_change_rms, same.weight_error] == [0.0] * 4
    assert replace(four, seconds=0) == replace(again, seconds=0)


def test_bf16_weights_are_kept_by_bf16() -> None:
    (found,) = measure("demo", "bf16")
    assert (found.perplexity_ratio, found.kl_max, found.bits_per_weight) == (1.0, 0.0, 16.0)
    assert found.model_bits_per_weight == 16.0


@pytest.mark.parametrize("targets", [("linear",), ("linear", "head"), ("head",)])
def test_keeping_features_gives_the_same_figures_as_keeping_logits(llama, monkeypatch, targets) -> None:
    scheme = "int3-asym-b32"
    (kept,) = measure(str(llama), scheme, targets=targets)
    monkeypatch.setattr("quantviz.quality.baseline.KEPT", 0)
    monkeypatch.setattr(predicting, "CHUNK", 4 * 2048 * 50)  # fifty places at a time
    (made,) = measure(str(llama), scheme, targets=targets)
    assert made.perplexity == pytest.approx(kept.perplexity, rel=1e-6)
    assert made.kl_mean == pytest.approx(kept.kl_mean, rel=1e-4)
    assert made.top1_agreement == kept.top1_agreement
    same, _ = measure(str(llama), "fp32", scheme, targets=targets)
    assert (same.perplexity_ratio, same.kl_max) == (1.0, 0.0)


def test_a_model_that_goes_another_way_is_measured_whole(llama, monkeypatch) -> None:
    (halves,) = measure(str(llama), "int4-sym-b32")
    monkeypatch.setattr(predicting.Predictor, "_agrees", lambda *_: False)
    (whole,) = measure(str(llama), "int4-sym-b32")
    assert whole.perplexity == pytest.approx(halves.perplexity, rel=1e-6)
    assert whole.kl_mean == pytest.approx(halves.kl_mean, rel=1e-4)


def test_results_come_as_windows_finish(llama) -> None:
    told: list[tuple[str, int, int]] = []
    found = list(
        measure_quality(
            str(llama), ["int8", "int4"], tokens=4096, context=128, progress=lambda *step: told.append(step)
        )
    )
    for scheme in ("int8-sym-tensor", "int4-sym-tensor"):
        windows = [r.windows for r in found if r.scheme == scheme]
        assert windows == sorted(set(windows)) and windows[-1] == 32 and len(windows) > 2
    assert [r.complete for r in found].count(True) == 2
    assert all(r.tokens == 128 * r.windows and r.scored == 63 * r.windows for r in found)
    steps = dict.fromkeys(what for what, _, _ in told)
    assert list(steps) == [
        "reading the model", "the model as it is stored", "int8-sym-tensor: quantizing", "int8-sym-tensor",
        "int4-sym-tensor: quantizing", "int4-sym-tensor",
    ]  # fmt: skip
    assert all(0 < done <= total for _, done, total in told)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("where", ["reading the model", "the model as it is stored", "int4-sym-tensor"])
def test_what_progress_raises_stops_and_the_model_is_itself_again(llama, where) -> None:
    def stop(what: str, *_: int) -> None:
        if what == where:
            raise Stopped

    with pytest.raises(Stopped):
        list(measure_quality(str(llama), ["int4"], progress=stop, **SMALL))
    with open_language_model(str(llama)) as opened:
        before = {name: weights.clone() for name, weights in opened.model.state_dict().items()}
        with pytest.raises(Stopped):
            list(measure_quality(opened, ["int4"], progress=stop if where != "reading the model" else _stop, **SMALL))
        going = measure_quality(opened, ["int4"], **SMALL)
        next(going)
        assert not torch.is_inference_mode_enabled()
        going.close()
        assert all(torch.equal(weights, before[name]) for name, weights in opened.model.state_dict().items())


def _stop(*_) -> None:
    raise Stopped


def test_a_scheme_that_cannot_apply_is_refused_before_anything_is_computed(llama) -> None:
    told: list[str] = []
    found = measure_quality(str(llama), ["int8-b32", "q4_k"], progress=lambda what, *_: told.append(what), **SMALL)
    first = next(found)
    assert isinstance(first, Refusal) and "q_proj: q4_k needs rows whose length is a multiple of 256" in first.reason
    assert set(told) == {"reading the model"}
    assert {r.scheme for r in found} == {"int8-sym-b32"}
    assert all(isinstance(r, Refusal) for r in measure_quality(str(llama), ["q4_k"], **SMALL))


def test_a_collapsed_model_is_shown_as_such_with_the_count(llama, monkeypatch) -> None:
    from quantviz.quality.model import replacing

    def ruin(stored, scheme, into, importance=None):
        into.fill_(math.nan)
        return replacing.Change(stored.size, stored.size, 1.0, math.nan)

    monkeypatch.setattr(replacing, "place", ruin)
    (found,) = measure(str(llama), "int1-sym-tensor")
    assert found.collapsed and found.non_finite == found.scored == 252
    assert math.isnan(found.perplexity) and math.isnan(found.kl_p99) and found.top1_agreement == 0
    assert "252 of 252 predictions are no finite numbers" in found.notices[0]
    assert math.isfinite(found.base_perplexity)


def test_importance_weighs_the_search(llama) -> None:
    with open_language_model(str(llama)) as opened:
        names = [name for name, _ in opened.model.named_parameters() if "proj" in name]
        cols = {name: opened.model.get_parameter(name).shape[1] for name in names}
    uneven = {name: np.geomspace(1, 1e6, n).astype(np.float32) for name, n in cols.items()}
    (even,) = measure(str(llama), "int3-sym-b32:clip=mse")
    (weighed,) = measure(str(llama), "int3-sym-b32:clip=mse", importance=uneven)
    assert weighed.weight_error > even.weight_error


@torch.inference_mode()
def test_a_tokenizer_s_first_token_begins_the_text_and_each_of_llama_cpp_s_windows(llama, tmp_path, ids) -> None:
    folder = shutil.copytree(llama, tmp_path / "bos")
    said = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    first = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
    rest = {"Sequence": {"id": "A", "type_id": 0}}
    said["post_processor"] = {
        "type": "TemplateProcessing", "single": [first, rest], "pair": [first, rest],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(said), encoding="utf-8")
    assert AutoTokenizer.from_pretrained(folder)("a")["input_ids"][0] == 0
    (found,) = measure(str(folder), "fp32")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    text = [0, *ids][:512]
    text[::128] = [0] * 4  # each window's first token is the one that begins a text
    assert found.perplexity == pytest.approx(math.exp(plain_losses(model, text, 128).mean()), rel=1e-5)
    (sliding,) = measure(str(folder), "fp32", method="sliding", tokens=128)
    row = torch.tensor([0, *ids][:128])
    plain = F.cross_entropy(model(row[None]).logits[0, :-1], row[1:]).item()
    assert sliding.perplexity == pytest.approx(math.exp(plain), rel=1e-5)


def test_a_token_that_the_model_does_not_know(llama, tmp_path) -> None:
    from transformers import LlamaForCausalLM

    folder = shutil.copytree(llama, tmp_path / "small")
    model = LlamaForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(300)
    model.save_pretrained(folder)
    with pytest.raises(QuantvizError, match="and the model knows 300; they do not belong together"):
        next(measure_quality(str(folder), ["int8"], **SMALL))


def test_the_cut_of_a_long_text_changes_no_token(ids) -> None:
    with open_language_model("demo") as opened:
        for tokens in (1, 7, 100, 5000, 10**6):
            assert encode_start(opened, demo_text(), tokens) == ids[:tokens]
        assert encode_start(opened, demo_text(), None) == ids


def test_a_text_whose_predictions_do_not_fit_in_memory(llama, monkeypatch) -> None:
    monkeypatch.setattr("quantviz.quality.baseline.KEPT", 0)
    monkeypatch.setattr("quantviz.quality.baseline.available", lambda _: 10_000)
    with pytest.raises(QuantvizError, match="252 tokens takes 64.5 kB of memory, and 10 kB are free; measure fewer"):
        next(measure_quality(str(llama), ["int8"], **SMALL))
