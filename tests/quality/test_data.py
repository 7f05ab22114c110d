"""Schemes that use data, in a language model: layer after layer as by hand, never on the text that is scored."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import quantviz as qv
from quantviz import Calibrating, QuantvizError
from quantviz.calibration.moments import MomentSums
from quantviz.cli.process import main
from quantviz.evaluation.comparison import Refusal
from quantviz.quality import calibrator as module
from quantviz.quality.continuation import continuations
from quantviz.quality.measure import measure_quality
from quantviz.quality.model.activations import collect_activations, output_errors
from quantviz.quality.model.feeds import Feed
from quantviz.quality.model.loading import open_language_model
from quantviz.quality.prefix import Prefix
from quantviz.quality.session import open_session
from quantviz.quality.text.overlap import shared_until
from quantviz.quality.text.texts import calibration_text, demo_text

GPTQ, AWQ = "int4-asym-b64:solver=gptq", "int4-asym-b64:solver=awq"
SMOOTH = "int8-sym-channel:act=int8-token,smooth=0.5"
SMALL = {"tokens": 256, "context": 64}
FEW = {"tokens": 256, "context": 64}


@pytest.fixture
def opened(llama):
    with open_language_model(str(llama), device="cpu") as model:
        yield model


def measured(ref, *schemes: str, calibrating: Calibrating | None = None, **options):
    given = SMALL | {"calibrating": calibrating or Calibrating(**FEW)} | options
    found = [r for r in measure_quality(ref, schemes, **given) if isinstance(r, Refusal) or r.complete]
    return found[0] if len(schemes) == 1 else found


def weights_under(ref, scheme: str, **calibrating) -> dict[str, torch.Tensor]:
    """The linear layers of a model as a scheme leaves them."""
    with open_session(ref, [scheme], device="cpu", calibrating=Calibrating(**FEW | calibrating)) as session:
        changes = session.apply(session.mixtures[0])
        assert not isinstance(changes, Refusal), changes
        assert list(changes) == [layer for layer in session.layers if layer in changes]
        return {layer.name: layer.parameter.detach().clone() for layer in changes}


def by_hand(opened, key: str, propagate: bool) -> dict[str, torch.Tensor]:
    """`calibrate` and `quantize` block after block."""
    found = {}
    kept = {name: p.detach().clone() for name, p in opened.model.named_parameters()}
    for block in range(2):
        c = qv.calibrate(opened, layers=rf"layers\.{block}\.", **FEW)
        for name, of in c.items():
            made = qv.quantize(kept[name], key, calibration=of).dequantize()
            found[name] = torch.as_tensor(made)
        if propagate:
            put_into(opened, {name: w for name, w in found.items() if name in c})
    put_into(opened, kept)
    return found


def put_into(opened, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, w in weights.items():
            opened.model.get_parameter(name).copy_(w)


@pytest.mark.parametrize("propagate", [True, False])
def test_solvers_give_what_calibrate_and_quantize_give_layer_after_layer(opened, propagate, monkeypatch) -> None:
    for key in (GPTQ, AWQ) if propagate else (SMOOTH, GPTQ, AWQ):  # by hand no inputs are rounded
        expected = by_hand(opened, key, propagate)
        found = weights_under(opened, key, propagate=propagate)
        assert found.keys() == expected.keys() and len(found) == 14
        assert all(torch.equal(found[name], expected[name]) for name in expected), key
    # Where hidden states cannot be kept, all blocks run each time, and the inputs are the same.
    monkeypatch.setattr(Prefix, "_fits", lambda self: False)
    again = weights_under(opened, key, propagate=propagate)
    assert all(torch.equal(again[name], expected[name]) for name in expected)


def test_inputs_through_quantized_blocks_differ_from_the_second_block_on(opened) -> None:
    through, stored = (weights_under(opened, GPTQ, propagate=p) for p in (True, False))
    for name in through:
        assert torch.equal(through[name], stored[name]) == ("layers.0." in name), name


def test_a_model_is_itself_again_and_figures_are_of_what_was_put_in(opened, llama) -> None:
    before = {name: w.clone() for name, w in opened.model.state_dict().items()}
    nearest, solved, awq = measured(opened, "int4-asym-b64", GPTQ, AWQ)
    assert all(torch.equal(w, before[name]) for name, w in opened.model.state_dict().items())
    put_into(opened, by_hand(opened, GPTQ, True))
    *_, plain = measure_quality(opened, ["fp32"], **SMALL)
    put_into(opened, before)
    assert solved.perplexity == pytest.approx(plain.base_perplexity, rel=1e-6)
    assert solved.weight_error > nearest.weight_error and solved.bits_per_weight == nearest.bits_per_weight
    assert (nearest.uses_data, solved.uses_data, awq.uses_data) == ("", "gptq", "awq")
    assert (nearest.calibration_tokens, solved.calibration_tokens, solved.propagate) == (0, 192, True)
    assert "second half of the demo" in solved.calibration_text and "Gospel of John" in solved.text
    assert 0 < solved.quantizing_seconds < solved.seconds and not solved.notices
    # After a scheme that uses data another finds the model as it is stored.
    assert measured(opened, "int4-asym-b64").perplexity == nearest.perplexity


def test_block_types_and_clips_search_by_the_imatrix_of_the_stored_model(opened) -> None:
    c = qv.calibrate(opened, **FEW)
    kept = {name: p.detach().clone() for name, p in opened.model.named_parameters()}
    for key in ("q4_0", "int3-sym-b32:clip=mse"):
        found = weights_under(opened, f"{key};*={GPTQ}".replace(key, f"layers.1={key}", 1), imatrix=True)
        for name in [name for name in found if "layers.1." in name]:
            made = qv.quantize(kept[name], key, importance=c[name].importance).dequantize()
            assert torch.equal(found[name], torch.as_tensor(made)), name
    plain, by_it = (measured(opened, "q4_0", calibrating=Calibrating(imatrix=i, **FEW)) for i in (False, True))
    assert (plain.uses_data, by_it.uses_data, by_it.propagate) == ("", "imatrix", None)
    assert plain.weight_error != by_it.weight_error
    both = measured(opened, f"layers.1=q4_0;*={GPTQ}", calibrating=Calibrating(imatrix=True, **FEW))
    assert both.uses_data == "imatrix, gptq" or both.uses_data == "gptq, imatrix"


def test_layers_that_read_the_same_inputs_share_one_collection_of_one_block(opened, monkeypatch) -> None:
    alive, most, made = set(), [], []

    class Counted(MomentSums):
        def __init__(self, cols: int) -> None:
            super().__init__(cols)
            made.append(cols)
            alive.add(id(self))
            most.append(len(alive))

        def means(self):
            alive.discard(id(self))
            return super().means()

    monkeypatch.setattr("quantviz.quality.model.feeds.MomentSums", Counted)
    weights_under(opened, GPTQ)
    assert made == 2 * [64, 64, 64, 96] and max(most) == 4, "q, k, v; o; gate, up; down"


def test_memory_is_told_before_anything_is_collected(opened, monkeypatch) -> None:
    monkeypatch.setattr("quantviz.calibration.moments.available", lambda _: 50_000)
    told = []
    plain, refused = measured(opened, "int4-asym-b64", GPTQ, progress=lambda what, *_: told.append(what))[::-1]
    assert isinstance(refused, Refusal) and "E[x xᵀ] of 4 layers takes 123 kB of memory, and 50 kB" in refused.reason
    assert not any("calibrating" in what for what in told) and plain.complete


def test_no_token_that_is_scored_is_calibrated_on(opened) -> None:
    book = demo_text()
    ids = np.array(opened.encode(book))
    # The same text: what is calibrated on begins behind what is scored.
    found = measured(opened, GPTQ, text=book, calibrating=Calibrating(text=book, **FEW))
    assert found.calibration_text.endswith(", from its token 256 on") and found.calibration_tokens == 192
    # The demo's own: the second half begins to be scored.
    behind = measured(opened, GPTQ, tokens=13952, calibrating=Calibrating(**FEW))
    start = int(behind.calibration_text.split("token ")[1].split(" ")[0].replace(",", ""))
    second = np.array(opened.encode(calibration_text()))
    assert start > 50 and not shared_until(second[start:], ids[:13952])
    for tokens, context in ((None, 64), (None, 128)):
        with pytest.raises(QuantvizError, match="that hold what is scored, fewer than one window of .*measure fewer"):
            measured(opened, GPTQ, tokens=tokens, context=context, calibrating=Calibrating())
    assert measured(opened, "int4-asym-b64", calibrating=Calibrating(text="x")).complete, "it needs no calibration"
    with pytest.raises(QuantvizError, match="has 1 token to calibrate on, fewer than one window of 64"):
        measured(opened, GPTQ, calibrating=Calibrating(text="x"))
    with pytest.raises(QuantvizError, match="tokens=0 leaves nothing to calibrate on"):
        Calibrating(tokens=0)


def test_progress_names_each_layer_and_stops_the_work(opened) -> None:
    class Stopped(Exception):
        pass

    before = {name: w.clone() for name, w in opened.model.state_dict().items()}
    for stop_at in ("calibrating block 2 of 2", "quantizing model.layers.1.mlp.down_proj"):
        told: list[str] = []

        def progress(what: str, done: int, total: int, told=told, stop_at=stop_at) -> None:
            told.append(what)
            assert 0 <= done <= total
            if what.endswith(stop_at):
                raise Stopped

        with pytest.raises(Stopped):
            measured(opened, GPTQ, progress=progress)
        assert all(torch.equal(w, before[name]) for name, w in opened.model.state_dict().items())
        assert f"{GPTQ}: quantizing model.layers.0.self_attn.q_proj" in told


def test_layers_that_cannot_be_calibrated_are_rounded_and_said(opened, monkeypatch) -> None:
    found = measured(opened, GPTQ, targets=("embeddings", "down_proj", "head"))
    assert [text.partition(":")[0] for text in found.notices] == ["model.embed_tokens"]
    assert "has none to calibrate on: it is rounded to nearest" in found.notices[0]
    few = measured(opened, GPTQ, tokens=64, calibrating=Calibrating(tokens=64, context=32))
    assert any("32 tokens are fewer than the layer's 64 inputs" in text and "12 layers" in text for text in few.notices)
    monkeypatch.setattr(Feed, "hook", lambda *_: None)
    unseen = measured(opened, GPTQ)
    assert "q_proj to model.layers.1.mlp.down_proj: no token of the calibration text" in unseen.notices[0]
    assert unseen.perplexity == measured(opened, "int4-asym-b64").perplexity
    layer = module.Layer("mlp.experts.down", ("linear",), torch.zeros(3, 2, 2), (2, 2), 3)
    assert "its 3 experts lie in one tensor" in module._why_none(layer)


def test_passages_and_layers_are_looked_at_under_such_schemes_too(opened) -> None:
    calibrating = Calibrating(**FEW)
    _, written = continuations(opened, [GPTQ], tokens=3, calibrating=calibrating)
    assert written.scheme == GPTQ and len(written.tokens) == 3
    inputs = collect_activations(opened, **FEW)
    nearest, solved = (
        {e.layer: e for e in output_errors(opened, key, inputs, calibrating=calibrating)}
        for key in ("int4-asym-b64", GPTQ)
    )
    assert all(solved[layer].weight_error > nearest[layer].weight_error for layer in solved)
    assert math.fsum(e.output_error for e in solved.values()) < math.fsum(e.output_error for e in nearest.values())


def test_the_command_line_has_all_of_it(llama, tmp_path, capsys) -> None:
    text = tmp_path / "other.txt"
    text.write_text(calibration_text()[:4000], "utf-8")
    given = ["quality", str(llama), GPTQ, "q4_0", "--tokens", "256", "--context", "64", "--calibration-tokens", "128",
             "--calibration-text", str(text), "--no-propagate", "--imatrix"]  # fmt: skip
    assert main([*given, "--json"]) == 0
    solved, searched = json.loads(capsys.readouterr().out)
    assert solved["uses_data"] == "gptq" and solved["propagate"] is False and solved["calibration_tokens"] == 64
    assert "a text of 4,000 bytes" in solved["calibration_text"] and searched["uses_data"] == "imatrix"
    assert main(given) == 0
    shown = capsys.readouterr().out
    assert "Calibrated on: a text of 4,000 bytes" in shown and "64 tokens, none of which is scored" in shown
