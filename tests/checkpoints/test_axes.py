"""Which axis is the input: of models that transformers itself writes, and of names and shapes by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantviz as qv
from quantviz.checkpoints.axes import Architecture, layout
from quantviz.checkpoints.turned import Turn, TurnedElements
from quantviz.quality.model.quiet import transformers_quietly
from quantviz.sources import TensorInfo
from tests.sources.builders import safetensors


def model_of(folder: Path, arrays: dict[str, np.ndarray], **config) -> qv.sources.Model:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "model.safetensors").write_bytes(safetensors(arrays))
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    return qv.open_model(folder)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


# -- models as transformers writes them ------------------------------------------------------------

HIDDEN, INTER = 48, 40
SMALL = {"vocab_size": 64, "hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": INTER, "moe_intermediate_size": INTER,
         "max_position_embeddings": 32}  # fmt: skip
MIXTURES = {
    "gpt_oss": {"num_local_experts": 3, "layer_types": ["full_attention"]},
    "llama4_text": {"num_local_experts": 3, "intermediate_size_mlp": 56, "interleave_moe_layer_step": 1},
    "qwen3_moe": {"num_experts": 3},
    "mixtral": {"num_local_experts": 3},
    "granitemoe": {"num_local_experts": 3},
}  # fmt: skip


def saved(tmp_path: Path, kind: str, **config):
    """A model of a kind with small random weights, and what quantviz opens of what transformers saved."""
    import torch

    with transformers_quietly() as transformers:
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **config))
        model.save_pretrained(tmp_path)
    return model, qv.open_model(tmp_path)


@pytest.mark.parametrize("kind", MIXTURES)
def test_the_input_of_every_expert_is_what_flows_into_it(tmp_path: Path, kind: str) -> None:
    _, opened = saved(tmp_path, kind, **SMALL | MIXTURES[kind])
    found = [t for t in opened.tensors if "expert" in t.name or "_linear" in t.name]
    found = [t for t in found if "bias" not in t.name and len(t.shape) > 1]
    assert found
    for info in found:
        into_hidden = any(word in info.name for word in ("down_proj", "w2", "output_linear"))
        assert info.cols == (INTER if into_hidden else HIDDEN), info
        assert not any("cannot be told" in text for text in info.notices)


def test_fused_experts_are_the_matrices_that_the_model_multiplies_with(tmp_path: Path) -> None:
    model, opened = saved(tmp_path, "gpt_oss", **SMALL | MIXTURES["gpt_oss"])
    for part in ("gate_up_proj", "down_proj"):
        parameter = getattr(model.model.layers[0].mlp.experts, part).detach().numpy()  # x @ parameter
        name = f"model.layers.0.mlp.experts.{part}"
        assert opened.info(name).shape == parameter.transpose(0, 2, 1).shape
        assert np.array_equal(opened.load(name), parameter.transpose(0, 2, 1))


def test_every_linear_layer_of_gpt2_is_what_its_outputs_say(tmp_path: Path) -> None:
    import torch

    model, opened = saved(tmp_path, "gpt2", vocab_size=64, n_embd=48, n_layer=2, n_head=2, n_positions=32)
    names = [t.name for t in opened.tensors if ".h." in t.name and len(t.shape) == 2]
    assert len(names) == 8
    for name in names:
        module = model.get_submodule(name.removesuffix(".weight"))
        x = torch.eye(opened.info(name).cols)
        outputs = (module(x) - module.bias).detach().numpy()  # row i: what input i alone gives
        assert np.allclose(opened.load(name), outputs.T, atol=1e-6)
        assert any("Stored as [" in text and "shown as [" in text for text in opened.open(name).notices)
    embedding = opened.open("transformer.wte.weight")
    assert embedding.shape == (64, 48) and not embedding.notices


def test_quality_quantizes_gpt2_as_evaluate_does(tmp_path: Path) -> None:
    from quantviz.quality.model.layers import find_layers

    model, opened = saved(tmp_path, "gpt2", vocab_size=64, n_embd=48, n_layer=1, n_head=2, n_positions=32)
    layers = [layer for layer in find_layers(model) if "linear" in layer.kinds]
    assert len(layers) == 4
    for layer in layers:
        assert layer.shape == opened.info(layer.name).shape


# -- by hand -----------------------------------------------------------------------------------------


def test_groups_run_along_the_input(tmp_path: Path) -> None:
    w = numbers(64, 192)
    w[5] *= 30  # one input with large weights: each output's group sees one outlier
    opened = model_of(tmp_path, {"h.0.attn.c_attn.weight": w}, model_type="gpt2")
    stored = opened.open("h.0.attn.c_attn.weight")
    for key in ("int4-sym-b64", "nf4-b32", "q8_0", "int8-asym-channel"):
        assert qv.evaluate(stored, key).metrics == qv.evaluate(np.ascontiguousarray(w.T), key).metrics
        assert np.array_equal(qv.quantize(stored, key).dequantize(), qv.quantize(w.T, key).dequantize())
    importance = np.arange(1, 65, dtype=np.float32)
    assert (
        qv.evaluate(stored, "int4-sym-b64", importance=importance).metrics
        == qv.evaluate(w.T.copy(), "int4-sym-b64", importance=importance).metrics
    )
    assert qv.compare(stored, ["q8_0"]).notices[0].startswith("Stored as [64, 192], inputs before outputs")


KEPT_OTHERWISE = {
    "openai-gpt": ("h.0.mlp.c_fc.weight", (8, 32), lambda w: w.T),
    "imagegpt": ("transformer.h.0.mlp.c_proj.weight", (32, 8), lambda w: w.T),
    "decision_transformer": ("encoder.h.0.attn.c_proj.weight", (8, 8), lambda w: w.T),
    "llama4": ("language_model.model.layers.0.feed_forward.experts.gate_up_proj", (2, 8, 24),
               lambda w: w.swapaxes(1, 2)),
    "qwen3_vl_moe": ("model.language_model.layers.0.mlp.experts.down_proj", (2, 12, 8), lambda w: w.swapaxes(1, 2)),
    "xlnet": ("transformer.layer.0.rel_attn.q", (8, 2, 4), lambda w: w.reshape(8, 8).T),
    "convbert": ("convbert.encoder.layer.0.intermediate.dense.weight", (2, 4, 6), lambda w: w.swapaxes(1, 2)),
    "csm": ("depth_decoder.codebooks_head.weight", (3, 8, 10), lambda w: w.swapaxes(1, 2)),
    "sam": ("mask_decoder.upscale_conv1.weight", (8, 4, 2, 2), lambda w: w.swapaxes(0, 1)),
    "dpt": ("neck.reassemble_stage.layers.0.resize.weight", (4, 4, 2, 2), lambda w: w.swapaxes(0, 1)),
    "vits": ("decoder.upsampler.0.weight", (8, 4, 6), lambda w: w.swapaxes(0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KEPT_OTHERWISE)
@pytest.mark.parametrize("nested", [False, True])
def test_what_a_kind_of_model_keeps_with_the_input_first_is_turned(tmp_path: Path, kind: str, nested: bool) -> None:
    name, shape, turned = KEPT_OTHERWISE[kind]
    config = {"model_type": "whole", "text_config": {"model_type": kind}} if nested else {"model_type": kind}
    w = numbers(*shape)
    opened = model_of(tmp_path, {name: w}, **config)
    expected = turned(w)
    assert opened.info(name).shape == expected.shape and np.array_equal(opened.load(name), expected)
    rows = expected.reshape(opened.info(name).matrix)
    assert np.array_equal(opened.load(name, rows=(1, 4)), rows[1:4])
    assert opened.open(name).row_range(1, 3).numpy().tolist() == rows[1:3].tolist()
    assert opened.open(name).notices[0].startswith("Stored as [")


@pytest.mark.parametrize("kind", ["llama", "gpt_bigcode", "starcoder2", "falcon", "qwen"])
def test_models_with_the_same_names_and_linear_layers_are_left_alone(tmp_path: Path, kind: str) -> None:
    w = numbers(24, 8)
    opened = model_of(tmp_path, {"transformer.h.0.attn.c_attn.weight": w}, model_type=kind)
    assert np.array_equal(opened.load("transformer.h.0.attn.c_attn.weight"), w)
    assert not opened.open("transformer.h.0.attn.c_attn.weight").notices


def test_sizes_of_the_config_decide_where_a_model_may_be_saved_either_way(tmp_path: Path) -> None:
    name, w = "model.language_model.layers.0.mlp.experts.gate_up_proj", numbers(2, 24, 8)
    text = {"model_type": "qwen3_vl_moe_text", "hidden_size": 8, "moe_intermediate_size": 12}
    opened = model_of(tmp_path / "a", {name: w}, model_type="qwen3_vl_moe", text_config=text)
    assert np.array_equal(opened.load(name), w) and not opened.open(name).notices
    other = np.ascontiguousarray(w.swapaxes(1, 2))
    opened = model_of(tmp_path / "b", {name: other}, model_type="qwen3_vl_moe", text_config=text)
    assert np.array_equal(opened.load(name), w)


def test_dbrx_keeps_all_experts_below_one_another(tmp_path: Path) -> None:
    name, w = "transformer.blocks.0.ffn.experts.mlp.w2", numbers(3 * 10, 8)
    config = {"model_type": "dbrx", "ffn_config": {"moe_num_experts": 3, "ffn_hidden_size": 10}}
    opened = model_of(tmp_path, {name: w, name[:-1] + "1": w}, **config)
    assert np.array_equal(opened.load(name), w.reshape(3, 10, 8).swapaxes(1, 2))
    assert np.array_equal(opened.load(name[:-1] + "1"), w), "w1 and v1 are [out, in]"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("h.0.attn.c_attn.weight", (8, 24)),
        ("model.layers.0.mlp.experts.gate_up_proj", (2, 8, 24)),
        ("model.layers.0.mlp.experts.down_proj", (2, 8, 8)),
        ("dense.kernel", (8, 24)),
    ],
)
def test_where_nothing_tells_it_is_not_guessed_in_silence(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    w = numbers(*shape)
    opened = model_of(tmp_path, {name: w})
    assert np.array_equal(opened.load(name), w)
    (said,) = qv.evaluate(opened.open(name), "int8-sym-channel").notices
    assert "cannot be told" in said and "it is taken as" in said


@pytest.mark.parametrize(
    ("name", "shape", "matrix"),
    [
        ("backbone.layers.0.mixer.conv1d.weight", (16, 1, 4), (16, 4)),
        ("model.encoder.conv1.weight", (12, 10, 3), (12, 30)),
        ("feature_extractor.conv_layers.0.conv.weight", (12, 1, 10), (12, 10)),
        ("embeddings.patch_embeddings.projection.weight", (12, 3, 4, 4), (12, 48)),
        ("visual.patch_embed.proj.weight", (12, 3, 2, 4, 4), (12, 96)),
        ("model.layers.0.mlp.experts.gate_up_proj", (2, 24, 8), (48, 8)),
        ("model.layers.0.block_sparse_moe.input_linear.weight", (2, 24, 8), (48, 8)),
        ("encoder.conformer.layers.0.conv_module.pointwise_conv1.weight", (12, 6, 1), (12, 6)),
        ("convnet.layers.0.mixer.stack", (2, 24, 8), (48, 8)),
        ("neck.deconv.weight", (8, 4, 2, 2), (4, 32)),
        ("upsample.conv_transpose.weight", (8, 1, 4), (8, 4)),
    ],
)
def test_rows_of_stacks_and_convolutions(name: str, shape: tuple[int, ...], matrix: tuple[int, int]) -> None:
    how = layout(name, TensorInfo(name, shape, "float32", 4 * int(np.prod(shape))), Architecture({"model_type": "any"}))
    assert TensorInfo(name, how.shape, "float32", 0, input_axes=how.input_axes).matrix == matrix


# -- turning -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [Turn(1, 5, 7), Turn(3, 300, 290), Turn(4, 1, 6), Turn(2, 3, 4, 9)])
def test_any_slice_of_turned_elements(turn: Turn) -> None:
    data = np.arange(turn.matrices * turn.a * turn.b * turn.tail, dtype=np.float32)
    whole = data.reshape(turn.matrices, turn.a, turn.b, turn.tail).swapaxes(1, 2).reshape(-1)
    turned = TurnedElements(data, turn)
    assert len(turned) == len(whole) and np.array_equal(np.asarray(turned), whole)
    rng = np.random.default_rng(0)
    for start, stop in rng.integers(0, len(whole) + 1, (40, 2)).tolist():
        assert np.array_equal(np.asarray(turned[start:stop]), whole[start:stop])
        assert np.array_equal(np.asarray(turned[start:][: stop // 2]), whole[start:][: stop // 2])
    assert np.asarray(turned[-3:]).tolist() == whole[-3:].tolist()
    copied = np.array(turned)
    copied[:] = 0  # nobody else's
    assert np.array_equal(np.asarray(turned), whole)


def test_experts_of_the_hub_are_fetched_by_the_matrix(hub, tmp_path: Path) -> None:
    name, w = "model.layers.0.mlp.experts.gate_up_proj", numbers(8, 64, 96)
    content = safetensors({name: w})
    config = json.dumps({"model_type": "gpt_oss"}).encode()
    hub.add_repo("org/name", {"model.safetensors": content, "config.json": config})
    opened = qv.open_model("hf:org/name")
    progress: list[tuple[int, int]] = []
    part = opened.load(name, rows=(96 * 3 + 5, 96 * 3 + 9), progress=lambda done, total: progress.append((done, total)))
    assert np.array_equal(part, w[3].T[5:9])
    assert progress[-1][1] == w[3].nbytes, "one expert's bytes and no more"
    assert np.array_equal(opened.load(name, rows=(90, 200)), w.swapaxes(1, 2).reshape(-1, 64)[90:200])
    assert np.array_equal(opened.load(name), w.swapaxes(1, 2))
