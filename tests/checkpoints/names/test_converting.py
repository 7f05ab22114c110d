"""A model is listed as llama.cpp's converter lists it: the same names, shapes and dtypes."""

from __future__ import annotations

import pytest

from quantviz.checkpoints.names import architecture_of, converted, layers_in, text_part
from quantviz.checkpoints.names.rewriting import turned
from tests.checkpoints.names.truth import CONVERTED

DROPPED = {  # what the converter leaves out of models that are not made to see
    "apertus": "act_fn", "bert": "pooler", "bert-mlm": "cls.predictions", "chatglm": "inv_freq",
    "deepseek_v3-mtp": "model.layers.8", "falcon_mamba": "lm_head", "gemma": "lm_head", "gemma2": "lm_head",
    "mamba": "lm_head", "roberta": "pooler", "t5": "embed_tokens", "xlm-roberta": "pooler", "youtu": "lm_head",
}  # fmt: skip


@pytest.mark.parametrize("kind", CONVERTED)
def test_names_shapes_and_dtypes_are_the_converters(kind):
    known = CONVERTED[kind]
    config = text_part(known["config"])
    assert architecture_of(known["config"]) == known["architecture"]
    layers = layers_in(known["original"], known["architecture"], config)
    assert layers == known["metadata"]["block_count"]
    tensors = [(name, tuple(shape), "float16") for name, shape in known["original"].items()]
    made = converted(tensors, known["architecture"], layers, config)
    assert made.shapes == {name: tuple(shape) for name, (shape, _) in known["tensors"].items()}
    assert made.dtypes == {name: dtype for name, (_, dtype) in known["tensors"].items()}
    assert made.unknown == ()
    senses = any("vision" in name or "visual" in name for name in known["original"])
    assert senses or all(DROPPED.get(kind, "nothing") in name for name in made.dropped)


def made_of(architecture: str, shapes: dict[str, tuple[int, ...]], dtype: str = "float32", **config):
    return converted([(name, shape, dtype) for name, shape in shapes.items()], architecture, 2, config)


@pytest.mark.parametrize("rows, cols", [(512, 64), (64, 512), (64, 64)])
def test_fused_experts_are_told_by_the_length_of_the_hidden_state(rows, cols):
    names = {"model.layers.0.mlp.experts.gate_up_proj": (4, rows, cols),
             "model.layers.0.mlp.experts.down_proj": (4, cols, rows)}  # fmt: skip
    made = made_of("qwen3moe", names, hidden_size=64).shapes
    rows = rows if cols == 64 else cols
    assert made["blk.0.ffn_gate_exps.weight"] == made["blk.0.ffn_up_exps.weight"] == (4, rows // 2, 64)
    assert made["blk.0.ffn_down_exps.weight"] == (4, 64, rows)


def test_a_shape_is_turned_only_where_that_helps():
    assert turned((3, 8), 3, -1) == (8, 3) and turned((3, 8), 8, -1) == (3, 8) and turned((3, 8), 5, -1) == (3, 8)
    assert turned((2, 3, 8), 8, -2) == (2, 8, 3) and turned((4,), 4, -1) == (4,)


def test_what_nothing_tells_is_said_by_name():
    names = {"model.layers.0.self_attn.kv_b_proj.weight": (512, 64), "something.new": (3,)}
    assert made_of("deepseek2", names).unknown == tuple(names)  # nothing says how the halves divide
    assert made_of("deepseek2", names, qk_nope_head_dim=32, v_head_dim=32, num_key_value_heads=7).unknown
    assert made_of("minicpm3", names).shapes == {"blk.0.attn_kv_b.weight": (512, 64)}
    hostile = {"hidden_size": "x", "num_key_value_heads": [None], "rope_scaling": 3, "per_layer_config": [1]}
    assert made_of("gemma4", {}, **hostile).shapes == {"rope_freqs.weight": (256,)}


def test_what_is_not_quantized_keeps_the_models_own_half_precision():
    names = {"model.layers.0.self_attn.q_proj.weight": (64, 64), "model.norm.weight": (64,)}
    for stored, half in (("bfloat16", "bfloat16"), ("float16", "float16"), ("float32", "float16")):
        assert list(made_of("llama", names, stored).dtypes.values()) == [half, "float32"]


@pytest.mark.parametrize("shape", [(), (4,), (0, 0), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize(
    "kind", ["deepseek_v3", "gpt_oss", "mamba2", "qwen3_next", "dbrx", "internlm2", "refact", "roberta"]
)
def test_shapes_that_no_such_tensor_has_are_no_crash(kind, shape):
    known = CONVERTED[kind]
    tensors = [(name, shape, "float16") for name in known["original"]]
    made = converted(tensors, known["architecture"], 8, text_part(known["config"]))
    assert made.shapes or made.unknown
