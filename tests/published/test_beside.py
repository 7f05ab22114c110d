"""A file beside its original: names, the order of rows, the error, and whether the bytes are the plain ones."""

from __future__ import annotations

import json

import gguf
import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints.names import Place
from quantviz.cli import main
from quantviz.errors import QuantvizError
from quantviz.evaluation.pairs import evaluate_pair
from quantviz.kernels.block_rows import quantize_rows
from quantviz.published.beside import AS_THEY_ARE, INTERLEAVED, Against, against, opened, pair_up, sentence, whole
from quantviz.published.requantized import rounded
from tests.sources.builders import safetensors, weights
from tests.sources.gguf_builder import HEADS, add, close, demo, permute, write

TYPES = {"blk.0.ffn_up.weight": "q4_k", "blk.1.ffn_down.weight": "q6_k", "blk.2.attn_q.weight": "q5_0",
         "blk.0.ffn_gate.weight": "f16", "blk.1.ffn_gate.weight": "iq2_xxs", "blk.3.attn_k.weight": "q4_0"}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    path = demo(tmp_path_factory.mktemp("gguf") / "demo.gguf", TYPES)
    return qv.open_model("demo"), qv.open_model(path)


def test_every_tensor_has_its_counterpart(models):
    original, file = models
    pairs = pair_up(original, file)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 4)
    assert {p.original: p.place.name for p in pairs.pairs} == {
        t.name: names.get_name(t.name, (".weight",)) for t in original.tensors
    }
    assert pairs.only_original == pairs.only_file == ()
    assert pairs.of("blk.0.attn_q.weight") == pairs.of("model.layers.0.self_attn.q_proj.weight")
    with pytest.raises(QuantvizError, match="no counterpart: it is in neither"):
        pairs.of("nothing")


def test_the_converters_permutation_is_found_and_undone(models):
    original, file = models
    for pair in pair_up(original, file).pairs:
        o = opened(original, file, pair)
        x, order = o.original, o.order
        queries_or_keys = pair.place.name.endswith(("attn_q.weight", "attn_k.weight"))
        assert order == (INTERLEAVED if queries_or_keys else AS_THEY_ARE)
        w = original.load(pair.original)
        assert np.array_equal(x.numpy(), permute(w, HEADS) if queries_or_keys else w)
    x = opened(original, file, pair_up(original, file).of("blk.2.attn_q.weight")).original
    flat = permute(original.load("model.layers.2.self_attn.q_proj.weight"), HEADS).reshape(-1)
    for start, stop in ((0, 5), (200, 700), (255, 257), (40, 40), (65000, None)):
        assert np.array_equal(x.read(start, stop), flat[start:stop])
    assert np.array_equal(x.row_range(3, 9).numpy(), flat.reshape(256, 256)[3:9])


def test_a_gguf_beside_the_gguf_it_was_made_from(models, tmp_path):
    half = qv.open_model(demo(tmp_path / "half.gguf", otherwise="f16"))
    pairs = pair_up(half, models[1])
    assert len(pairs.pairs) == 38 and all(p.original == p.place.name for p in pairs.pairs)
    a = against(half, models[1], pairs.of("blk.1.attn_k.weight"))
    assert a.order == AS_THEY_ARE and a.requantized.same


def test_a_converter_that_leaves_rows_alone_is_seen_too(tmp_path):
    w = weights(64, 64)
    (tmp_path / "m.safetensors").write_bytes(safetensors({"model.layers.0.self_attn.q_proj.weight": w}))
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_head_count(4)
    add(writer, "blk.0.attn_q.weight", w, "q4_0")
    original, file = qv.open_model(tmp_path / "m.safetensors"), qv.open_model(close(writer, tmp_path / "m.gguf"))
    a = against(original, file, pair_up(original, file).pairs[0])
    assert a.order == AS_THEY_ARE and a.requantized.same


@pytest.mark.parametrize("name, kind", [*TYPES.items(), ("blk.0.attn_v.weight", "q8_0"), ("output_norm.weight", "f32")])
def test_plain_quantization_gives_the_bytes_or_it_is_said_why_not(models, name, kind):
    original, file = models
    a = against(original, file, pair_up(original, file).of(name))
    if kind == "iq2_xxs":
        assert a.requantized is None and "importance" in a.why_not and "cannot be told" in sentence(a)
        h = np.ones(256, np.float32)
        a = against(original, file, pair_up(original, file).of(name), h)
        assert a.requantized.importance and "weighted_mse" in a.evaluation.metrics
    assert a.requantized.same and a.requantized.first is None
    assert "exactly the bytes" in sentence(a)
    assert ("interleaved" in sentence(a)) == (".attn_q" in name or ".attn_k" in name)


@pytest.mark.parametrize("kind", ["q4_k", "q8_0", "q4_0", "iq4_xs", "fp16", "fp32"])
def test_the_error_is_what_evaluate_measures(tmp_path, kind):
    w = weights(48, 512)
    made = qv.open_model(write(tmp_path / "m.gguf", {"w": (w, {"fp16": "f16", "fp32": "f32"}.get(kind, kind))}))
    ours, theirs = evaluate_pair(w, made.open("w")), qv.evaluate(w, kind)
    assert ours.scheme == theirs.scheme == kind
    for name in ours.metrics:
        if name in theirs.metrics:
            assert ours.metrics[name] == pytest.approx(theirs.metrics[name], rel=1e-5, abs=1e-12, nan_ok=True), name
    assert set(theirs.metrics) - set(ours.metrics) <= {"clipped_fraction", "code_entropy_bits", "rmse_over_scale"}
    if kind not in ("fp16", "fp32"):
        assert np.array_equal(ours.code_counts, theirs.code_counts)
        assert np.allclose(ours.block_errors, theirs.block_errors, rtol=1e-5)
        assert {"rmse_over_scale", "code_entropy_bits"} <= set(ours.metrics)
    for name in ("original", "dequantized"):
        assert np.array_equal(ours.histograms[name].counts, theirs.histograms[name].counts)
    assert (
        ours.histograms["error"].counts.sum() + ours.histograms["error"].above + ours.histograms["error"].below
        == w.size
    )
    plain = evaluate_pair(w, made.open("w"), detail="metrics")
    assert plain.histograms is None and plain.metrics.items() <= ours.metrics.items()
    assert evaluate_pair(w, made.open("w")).metrics == ours.metrics


def test_a_file_made_by_way_of_half_precision_is_recognised(tmp_path):
    w = weights(64, 512) * np.float32(1.2345)
    (tmp_path / "m.safetensors").write_bytes(safetensors({"w": w}))
    for through in ("float16", "bfloat16"):
        model = qv.open_model(write(tmp_path / "m.gguf", {"w": (rounded(w, through), "q4_k")}, arch="other"))
        a = against(qv.open_model(tmp_path / "m.safetensors"), model, pair_up(model, model).pairs[0])
        assert a.requantized.through == through and a.requantized.same
        assert f"rounded to {through} first" in sentence(a)


def test_rounding_is_torchs():
    import torch

    x = np.concatenate([weights(100, 100).reshape(-1), np.array([1 + 2**-9, 1 + 3 * 2**-9, 65519, -0.0], np.float32)])
    for dtype in ("float16", "bfloat16", "float32"):
        theirs = torch.from_numpy(x).to(getattr(torch, dtype)).float().numpy()
        assert np.array_equal(rounded(x, dtype).view(np.uint32), theirs.view(np.uint32))


def test_importance_shows_as_some_blocks_that_differ(tmp_path):
    w, h = weights(32, 512), np.random.default_rng(1).uniform(0.01, 5, 512).astype(np.float32)
    w[:, 256:] = 0  # blocks that importance does not change
    (tmp_path / "m.safetensors").write_bytes(safetensors({"w": w}))
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("w", quantize_rows("q4_k", w, h), raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    original, file = qv.open_model(tmp_path / "m.safetensors"), qv.open_model(close(writer, tmp_path / "m.gguf"))
    pair = pair_up(original, file).pairs[0]
    plain, weighted = against(original, file, pair), against(original, file, pair, h)
    assert (plain.requantized.count, plain.requantized.equal, plain.requantized.first) == (64, 32, (0, 0))
    assert "50% of the file's blocks (32 of 64)" in sentence(plain) and "importance" in sentence(plain)
    assert weighted.requantized.same


def test_experts_and_shapes_and_strangers(tmp_path):
    stack = weights(4 * 8, 64).reshape(4, 8, 64)
    experts = {f"model.layers.0.mlp.experts.{i}.up_proj.weight": stack[i] for i in range(4)}
    other = {"model.layers.0.self_attn.v_proj.weight": weights(8, 64, 5), "visual.x": weights(2, 2)}
    (tmp_path / "m.safetensors").write_bytes(safetensors(experts | other))
    file = write(
        tmp_path / "m.gguf",
        {"blk.0.ffn_up_exps.weight": (stack, "q8_0"), "blk.0.attn_v.weight": (weights(9, 64), "q8_0"),
         "extra.weight": (weights(1, 32), "f32")}, arch="qwen3moe",
    )  # fmt: skip
    x, y = qv.open_model(tmp_path / "m.safetensors"), qv.open_model(file)
    pairs = pair_up(x, y)
    assert pairs.only_original == ("visual.x",) and pairs.only_file == ("extra.weight",)
    third = pairs.of("model.layers.0.mlp.experts.2.up_proj.weight")
    assert third.place == Place("blk.0.ffn_up_exps.weight", 2)
    assert against(x, y, third).requantized.same
    with pytest.raises(QuantvizError, match="made from another model"):
        against(x, y, pairs.of("blk.0.attn_v.weight"))
    found = list(whole(x, y))
    assert [isinstance(a, Against) for a in found] == [True] * 4 + [False]
    with pytest.raises(QuantvizError, match="no tensor in common"):
        pair_up(qv.open_model("random:normal?rows=4&cols=4"), y)
    with pytest.raises(QuantvizError, match="only tensors of one shape"):
        evaluate_pair(weights(2, 3), weights(3, 2))


def test_a_scale_kept_apart_counts_and_has_no_plain_bytes(tmp_path):
    w = weights(32, 64)
    (tmp_path / "m.safetensors").write_bytes(safetensors({"a.weight": w * np.float32(3), "b.weight": w}))
    parts = {
        "a.weight": (w, "gguf_nvfp4"),
        "a.scale": (np.full(1, 3, np.float32), "f32"),
        "b.weight": (w, "gguf_nvfp4"),
    }
    x, y = qv.open_model(tmp_path / "m.safetensors"), qv.open_model(write(tmp_path / "m.gguf", parts))
    a, b = (against(x, y, pair_up(x, y).of(name)) for name in ("a.weight", "b.weight"))
    assert b.requantized.same and a.requantized is None and "scale of the whole tensor" in a.why_not
    for name in ("sqnr_db", "rmse_over_scale", "mean_relative_error"):
        assert a.evaluation.metrics[name] == pytest.approx(b.evaluation.metrics[name], rel=1e-4)


def test_unrelated_weights_are_said_to_be_so(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(safetensors({"w": weights(32, 64, 1)}))
    y = qv.open_model(write(tmp_path / "m.gguf", {"w": (weights(32, 64, 2), "q8_0")}))
    x = qv.open_model(tmp_path / "m.safetensors")
    assert "little in common" in sentence(against(x, y, pair_up(x, y).pairs[0]))


def test_nan_in_the_file_is_refused_with_its_place(tmp_path):
    w = weights(4, 64)
    broken = w.copy()
    broken[2, 7] = np.nan
    y = qv.open_model(write(tmp_path / "m.gguf", {"w": (broken, "f32")}))
    with pytest.raises(QuantvizError, match=r"\[2, 7\]"):
        evaluate_pair(w, y.open("w"))


def test_the_command_line(models, capsys):
    file = models[1].ref
    assert main(["against", "demo", file, "blk.2.attn_q.weight"]) == 0
    out = capsys.readouterr().out
    assert "exactly the bytes" in out and "SQNR" in out and "q5_0" in out
    assert main(["against", "demo", file, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["tensors"]) == 38 and document["only_file"] == []
    told = [t for t in document["tensors"] if t["requantized"]]
    assert len(told) == 37 and all(t["requantized"]["equal"] == t["requantized"]["count"] for t in told)
    assert main(["against", "demo", file]) == 0 and "same bytes" in capsys.readouterr().out
    assert main(["against", "demo", file, "nothing"]) == 2
    assert main(["against", "demo", file, "--importance", "x.npy"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
