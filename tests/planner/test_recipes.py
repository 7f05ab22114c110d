"""Recipes, each read back by its tool or by its tool's grammar: every layer gets the scheme of the plan."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest
import torch
import yaml

import quantviz as qv
from quantviz.errors import QuantvizError
from quantviz.planner import FORMATS, Rules, plan, recipe
from quantviz.quality.model.layers import Layer, Mixture
from quantviz.schemes import Scheme

from .frames import demo, made_up
from .home.real_libraries import model_of
from .plans import KEPT, TENSORS, plan_for

READ_BACK = json.loads((Path(__file__).parent / "data" / "read_back.json").read_text("utf-8"))
# A subset that Python, PCRE and std::regex (ECMAScript) read alike.
PLAIN = re.compile(r"\^(?:[a-z0-9_]|\\\.|\([0-9]+(?:\|[0-9]+)+\))+\$")


def test_every_format_keeps_one_and_tells_the_rest() -> None:
    for tool in FORMATS:
        made = plan_for(tool)
        assert recipe(made, tool).text == recipe(made, tool).text and recipe(made, tool).text.endswith("\n")
        assert str(qv.recipe(made, tool)) == recipe(made, tool).text
    with pytest.raises(QuantvizError, match="no recipe 'llamacpp'.*Did you mean llama.cpp"):
        recipe(made, "llamacpp")


def test_llama_cpp_reads_words_and_the_first_match_wins() -> None:
    made = plan_for("llama.cpp")
    written = recipe(made, "llama.cpp")
    rules = [word.rpartition("=") for word in written.text.split()]
    assert all(PLAIN.fullmatch(regex) and kind == kind.lower() for regex, _, kind in rules)
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}  # fmt: skip
    for line in made.lines:
        layer, part = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", line.tensor).groups()
        name = f"blk.{layer}.{parts[part]}.weight"
        got = next(kind for regex, _, kind in rules if re.search(regex, name))
        assert got == (line.scheme or "bf16"), name
    assert written.notes[-1].startswith("llama-quantize --tensor-type-file tensor-types.txt model-BF16.gguf")


def test_llama_cpp_types_embedding_and_head_and_stacked_experts() -> None:
    tensors = {"model.embed_tokens.weight": (512, 256), "lm_head.weight": (512, 256)} | {
        f"model.layers.0.mlp.experts.{e}.up_proj.weight": (64, 256) for e in range(3)
    }
    frame = made_up(tensors, ("q4_0", "q8_0"))
    written = recipe(plan(frame, bits=8.5, rules=Rules(share=("experts",))), "llama.cpp")
    assert "^blk\\.0\\.ffn_up_exps\\.weight$=q8_0" in written.text.split()
    assert "--token-embedding-type q8_0 --output-tensor-type q8_0" in written.notes[-1]
    assert written.notes[-1].endswith("Q8_0")
    gguf = recipe(plan(made_up({"blk.0.ffn_up.weight": (64, 256)}, ("q4_0",)), bits=4.5), "llama.cpp")
    assert gguf.text == "^blk\\.0\\.ffn_up\\.weight$=q4_0\n"
    with pytest.raises(QuantvizError, match="plan with tensors that share one"):
        recipe(_uneven(tensors), "llama.cpp")


def _uneven(tensors: dict[str, tuple[int, int]]):
    """A plan in which experts of one layer differ."""
    for seed in range(20):
        made = plan(made_up(tensors, ("q4_0", "q8_0"), seed), bits=6.5)
        if len({line.scheme for line in made.lines if "experts" in line.tensor}) > 1:
            return made
    raise AssertionError("no such plan")


def test_what_the_real_libraries_read() -> None:
    for tool in ("llm-compressor", "mlx"):
        made = plan_for(tool)
        assert recipe(made, tool).text == READ_BACK[tool]["text"], "run tests.planner.home.real_libraries again"
        for line in made.lines:
            got = READ_BACK[tool]["read"][line.tensor]
            if not line.scheme:
                assert got is None and KEPT in line.tensor
            elif tool == "mlx":
                _check_mlx(Scheme.parse(line.scheme), got)
            else:
                _check_compressed(Scheme.parse(line.scheme), got)


def _check_mlx(scheme: Scheme, got: dict) -> None:
    mode = "affine" if scheme.symmetry else scheme.format
    assert got == {"group_size": scheme.granularity.cols, "bits": scheme.fmt.bits, "mode": mode}


def _check_compressed(scheme: Scheme, got: dict) -> None:
    assert (got["num_bits"], got["type"]) == (scheme.fmt.bits, "int" if scheme.symmetry else "float")
    assert got["symmetric"] == (scheme.symmetry != "asym")
    strategy = {"nvfp4": "tensor_group", "fp8_e4m3-b128x128": "block"}.get(scheme.key)
    g = scheme.granularity
    assert got["strategy"] == (strategy or ("group" if g.cols else "channel"))
    assert got["group_size"] == (None if strategy == "block" or not g.cols else g.cols)
    assert got["block_structure"] == ([128, 128] if strategy == "block" else None)
    assert got["scale_dtype"] == {"nvfp4": "torch.float8_e4m3fn", "mxfp4": "torch.uint8"}.get(scheme.format)


def test_torchao_quantizes_by_the_recipe() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchao.core.config import config_from_dict
        from torchao.quantization import quantize_

        made = plan_for("torchao")
        model = model_of(torch.nn.Module, torch.nn.Linear).to(torch.bfloat16)
        quantize_(model, config_from_dict(json.loads(recipe(made, "torchao").text)), filter_fn=None)
    for line in made.lines:
        weight = model.get_submodule(line.tensor.removesuffix(".weight")).weight
        if not line.scheme:
            assert type(weight) is torch.nn.Parameter
            continue
        scheme = Scheme.parse(line.scheme)
        assert tuple(weight.block_size) == (1, scheme.granularity.cols or line.shape[1])
        if scheme.symmetry:
            assert weight.target_dtype == getattr(torch, scheme.format)
            assert bool((weight.zero_point != 0).any()) == (scheme.symmetry == "asym")
        else:
            assert weight.qdata.dtype == torch.float8_e4m3fn


def test_autoround_and_gptqmodel_by_their_grammar() -> None:
    for tool in ("autoround", "gptqmodel"):
        made = plan_for(tool)
        read = json.loads(recipe(made, tool).text)
        for line in made.lines:
            path = line.tensor.removesuffix(".weight")
            got = read[path] if tool == "autoround" else _dynamic(read, path)
            if not line.scheme:
                assert got is None or got["bits"] == 16
                continue
            scheme = Scheme.parse(line.scheme)
            assert (got["bits"], got["group_size"]) == (scheme.fmt.bits, scheme.granularity.cols or -1)
            assert got["sym"] == (scheme.symmetry == "sym")
    gguf = recipe(plan(made_up(TENSORS, ("q4_k", "q6_k")), bits=5), "autoround")
    assert set(json.loads(gguf.text).values()) == {"GGUF:Q4_K_S", "GGUF:Q6_K"}
    with pytest.raises(QuantvizError, match="cannot stand in one recipe"):
        recipe(plan(made_up(TENSORS, ("q4_k", "int8-sym-b32")), bits=6), "autoround")
    with pytest.raises(QuantvizError, match="autoround cannot express int8-asym-b32"):
        recipe(plan(made_up(TENSORS, ("int8-asym-b32",)), bits=8.75), "autoround")


def _dynamic(config: dict, path: str) -> dict | None:
    """What GPTQModel's dynamic_get makes of a module's name: the first rule that matches from its start."""
    for key, overrides in config["dynamic"].items():
        sign, regex = key.split(":", 1)
        if re.match(regex, path):
            return None if sign == "-" else config | overrides
    return config


def test_quantviz_tables_give_each_layer_its_scheme() -> None:
    for seed in range(4):
        made = plan_for("quantviz", 5.0, seed=seed)
        layers = [Layer(line.tensor, ("linear",), None, line.shape) for line in made.lines]
        got = Mixture.parse(recipe(made, "quantviz").text).assign(layers, ("linear",))
        assert {layer.name: scheme.key for layer, scheme in got.items()} == {
            x.tensor: x.scheme for x in made.lines if x.scheme
        }
    alike = plan(made_up(TENSORS, ("int4-sym-b32",)), bits=4.5)
    assert recipe(alike, "quantviz").text == "model=int4-sym-b32\n"


def test_quantviz_tables_are_short_and_mean_no_layer_that_was_not_swept() -> None:
    model = qv.open_model("demo")
    frame = demo(("int4-sym-b32", "int8-sym-b32"))
    part = frame[frame["tensor"].str.contains("down_proj|layers.0")]
    text = recipe(plan(part, bits=8.5, model=model), "quantviz").text
    layers = [Layer(info.name, ("linear",), None, info.shape) for info in model.tensors if len(info.shape) == 2]
    got = Mixture.parse(text).assign(layers, ())
    assert {layer.name for layer in got} == set(part["tensor"])
    assert text.count("=") == 2


def test_quantviz_measures_its_own_recipe() -> None:
    made = plan(demo(("int4-sym-b32", "int8-sym-b32")), bits=9, rules=Rules(keep=("embed_tokens",)))
    text = recipe(made, "quantviz").text
    got = [r for r in qv.measure_quality("demo", [text], tokens=1024) if r.complete]
    linear = [line for line in made.lines if line.scheme]
    assert got[0].bits_per_weight == pytest.approx(sum(x.bits for x in linear) / sum(x.weights for x in linear))


def test_what_a_tool_cannot_say_is_refused_by_name() -> None:
    frame = made_up(TENSORS, ("nf4-b64", "nf4-b256"))
    made = plan(frame, bits=4.4)
    for tool in ("llama.cpp", "llm-compressor", "torchao", "autoround", "gptqmodel", "mlx"):
        with pytest.raises(QuantvizError, match=rf"{tool} cannot express .*nf4-b64.*; schemes that it has are "):
            recipe(made, tool)
    embedded = plan(made_up({"model.embed_tokens.weight": (512, 256)} | TENSORS, ("int4-sym-b32",)), bits=4.5)
    for tool in ("llm-compressor", "torchao", "autoround", "gptqmodel"):
        with pytest.raises(QuantvizError, match="leaves model.embed_tokens as stored.*--keep embed_tokens"):
            recipe(embedded, tool)
    gguf = plan(made_up({"blk.0.ffn_up.weight": (64, 256)}, ("int4-sym-b32",)), bits=4.5)
    with pytest.raises(QuantvizError, match="names of a GGUF file, which mlx does not know"):
        recipe(gguf, "mlx")


def test_differences_of_rule_are_said() -> None:
    narrow = plan(made_up(TENSORS, ("int4-sym-b32",)), bits=4.5)
    for tool in ("llm-compressor", "torchao", "autoround", "gptqmodel"):
        assert any("range=full" in note for note in recipe(narrow, tool).notes)
    assert any("vLLM joins q, k and v" in note for note in recipe(narrow, "llm-compressor").notes)
    assert yaml.safe_load(recipe(narrow, "llm-compressor").text)["quant_stage"]
