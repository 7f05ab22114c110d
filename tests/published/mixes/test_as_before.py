"""What every mix gives every role of tensors, with its reason, and what is told of whole models: as before."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict
from itertools import product

import pytest

from quantviz.errors import QuantvizError
from quantviz.published.mixes import MIXES, recipe, recipe_dict, recipe_table, sizes
from quantviz.published.mixes.base import Facts, Question, Role, is_quantized, role_of
from quantviz.published.mixes.described import described
from quantviz.published.mixes.recipes import notices
from quantviz.published.mixes.rules import choose, demands_importance
from quantviz.sources.model import Model, TensorInfo
from tests.published.mixes.test_mixes import Listing, llama

FACTS = (Facts("llama", 32), Facts("llama", 32, 4), Facts("llama", 80, 8), Facts("llama", 32, 1, 8),
         Facts("llama", 32, 2, 3), Facts("llama", 30, 5, 4), Facts("falcon", 32), Facts("qwen2", 80),
         Facts("jais2", 68), Facts("bailingmoe3", 8, 1, 16), Facts("glm5-next", 4), Facts("llama", 80, 1),
         Facts("llama", 80, 8, 8), Facts("gemma", 0))  # fmt: skip
NAMES = ("output.weight", "token_embd.weight", "per_layer_token_embd.weight", "blk.0.attn_qkv.weight",
         "blk.0.attn_kv_b.weight", "blk.0.attn_v.weight", "blk.0.attn_k.weight", "blk.0.attn_q.weight",
         "blk.0.attn_output.weight", "blk.0.ffn_up_exps.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_down.weight",
         "blk.0.ssm_in.weight", "blk.0.attn_norm.weight", "blk.0.ffn_gate_inp.weight", "blk.0.attn_q.bias",
         "position_embd.weight", "token_types.weight", "blk.0.hc_x.weight", "blk.0.ssm_conv1d.weight",
         "v.patch_embd.weight", "blk.0.time_mix_first.weight", "blk.0.attn_q_a.weight")  # fmt: skip


@pytest.mark.parametrize("mix", MIXES)
def test_what_a_mix_gives_each_role(mix: str, kept: Callable) -> None:
    sums = {}
    for role, facts in product(Role, FACTS):
        answers = []
        for layer, cols, (importance, tied, deep) in product(
            (0, 1, 3, 4, 5, 6, 27, 28),
            (4096, 2080, 33),
            ((False, False, False), (True, True, False), (False, False, True)),
        ):
            before, values = layer + (layer > 5), max(facts.layers, 1)
            asked = Question(MIXES[mix], facts, "blk.0.attn_q_a.weight", role, cols, deep, layer, before, layer, values,
                             importance, tied)  # fmt: skip
            try:
                answers.append(choose(asked))
            except QuantvizError as refused:
                answers.append(str(refused))
        sums[role.name] = zlib.crc32(f"{sums.get(role.name)} {answers}".encode())
    kept([MIXES[mix].file_name, MIXES[mix].start, sums])


def test_roles_of_names(kept: Callable) -> None:
    shapes = ((4, 4), (1, 4), (4, 1), (2, 3, 4), (4,), (1, 1, 4), ())
    for name in NAMES:
        kinds = "".join(f"{demands_importance(name, kind, mix):d}" for kind in ("q2_k", "iq1_s", "iq3_s", "iq2_s")
                        for mix in ("q2_k_s", "q2_k"))  # fmt: skip
        quantized = ["".join(f"{is_quantized(name, s, arch):d}" for s in shapes) for arch in ("", "glm5-next")]
        kept([name, role_of(name).name, kinds, quantized])


@pytest.mark.parametrize("shape", [
    dict(layers=3), dict(layers=2, tied=True, rope=64), dict(layers=2, experts=4),
    dict(layers=2, hidden=2080, inner=5624),
    dict(layers=2, heads=32, shared=32, arch="falcon"), dict(layers=1, hidden=288, inner=288, vocabulary=100),
], ids=str)  # fmt: skip
def test_whole_models(shape: dict, kept: Callable) -> None:
    model = llama(**shape)
    kept([repr(described(model).facts), {name: f"{made.bits_per_weight:.6g} {made.nbytes} {made.needs_importance:d}"
          if not isinstance(made, str) else made for name, made in sizes(model).items()}])  # fmt: skip
    made = recipe(model, "q4_k_m", importance=True)
    whole = recipe_dict(made)
    kept([{key: value for key, value in whole.items() if key != "tensors"}, made.kinds, notices(made)])
    kept([zlib.crc32(repr([whole["tensors"], recipe_table(made)]).encode()), recipe_table(made)["why"][:5]])


def listing(shapes: dict[str, tuple[int, ...]], metadata: dict | None = None, config: dict | None = None) -> Model:
    tensors = [TensorInfo(name, shape, "float16", 0) for name, shape in shapes.items()]
    return Model("model", Listing(tensors, metadata), None if config is None else lambda _: config)


def test_what_shapes_and_words_tell_of_a_model(kept: Callable) -> None:
    parts = {"attn_q": (64, 32), "attn_k": (16, 32), "attn_output": (32, 64), "ffn_up_exps": (3, 8, 32)}
    fused = {"attn_qkv": (96, 32), "attn_output": (32, 64)}
    heads = {"llama.attention.head_count": 8, "llama.attention.head_count_kv": 3, "llama.expert_count": 5}
    llama_said = {"general.architecture": "llama", "llama.block_count": 7}
    for shapes in (parts, fused, {"attn_q": (64, 32)}, {"attn_q": (4,), "attn_k": (2, 2)}, {"ffn_up": (8, 8)}):
        for said in ({}, {"general.architecture": "lfm2"}, llama_said | heads, llama_said | {"llama.block_count": -1},
                     llama_said | {"llama.expert_count": 2.5}):  # fmt: skip
            for layer in (0, 1) if said else (0,):
                named = {f"blk.{layer}.{name}.weight": shape for name, shape in shapes.items()}
                found = described(listing(named, said))
                kept(f"{found.facts} {found.guessed}")


def test_what_is_told_of_tensors_that_are_left_out(kept: Callable) -> None:
    layer = {f"model.layers.0.self_attn.{n}_proj.weight": (256, 256) for n in "qkvo"}
    for config, known in product((None, {"model_type": "llama", "num_hidden_layers": 1}), (True, False)):
        for strange, vision in ((0, 0), (1, 0), (0, 1), (2, 2), (6, 7), (7, 6)):
            shapes = layer | {f"strange.{n}.weight": (256, 256) for n in range(strange)}
            shapes |= {f"vision_tower.{n}.weight": (256, 256) for n in range(vision)}
            made = recipe(listing(shapes, config=config), "q4_0", architecture="llama" if known else None)
            kept([notices(made), len(made.lines), made.left_out[:2], asdict(made)["unknown"][:2]])
    for config in (
        {"model_type": "nothing"},
        {"architectures": ["A", "B"], "model_type": "c"},
        {"text_config": {}, "a": 1},
    ):
        with pytest.raises(QuantvizError) as refused:
            recipe(listing(layer, config=config), "q4_0")
        kept(str(refused.value))
    with pytest.raises(QuantvizError) as refused:
        recipe(listing({"x": (2, 2)}), "q4_0", architecture="llama")
    kept(str(refused.value))
